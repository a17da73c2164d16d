//! /proc/zoneinfo with some CPUs left out, and perhaps with nothing in use.
//!
//! proc_zoneinfo(5) and the kernel's mm/vmstat.c, as no document lists the fields. A paragraph for
//! each zone of each node: sizes and watermarks; counts of pages and events (`nr_...`, `numa_...`),
//! those of the whole node in its first zone; and the lists of free pages that each CPU keeps.

use crate::cpu_set::CpuSet;
use crate::cpuinfo::Numbering;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};
use crate::number::{parse_u32, parse_u64, push_u64};

/// Handling of counted pages and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// As they are.
    Kept,
    /// All zero.
    Zero,
}

/// Appends `text` without the lists of CPUs outside `visible`.
pub fn filter(
    text: &[u8],
    visible: &CpuSet,
    numbering: Numbering,
    counts: Counts,
    out: &mut Vec<u8>,
) -> Result<(), ParseError> {
    if !text.starts_with(b"Node ") {
        return Err(ParseError::new("a node and its zone", 1, text));
    }
    let mut of_cpu = OfCpu::None;
    let mut ordinal = 0;
    for (number, line) in LineReader::new(text).filter(|(_, line)| !is_blank(line)) {
        let mut fields = Fields::new(line, number);
        match fields.next().unwrap_or_default() {
            b"cpu:" => {
                let cpu = fields.parse("a CPU number", parse_u32)?;
                if !visible.contains(cpu) {
                    of_cpu = OfCpu::Hidden;
                    continue;
                }
                of_cpu = OfCpu::Shown;
                if numbering == Numbering::Renumbered {
                    push_with(line, ordinal, number, out)?;
                    ordinal += 1;
                } else {
                    out.extend_from_slice(line);
                }
                continue;
            }
            b"count:" if of_cpu == OfCpu::Hidden => continue,
            b"high:" | b"high_min:" | b"high_max:" | b"batch:" | b"vm" => {
                if of_cpu == OfCpu::Hidden {
                    continue;
                }
            }
            // How large, and when the kernel takes pages back: the same whoever uses them.
            b"per-node" | b"pagesets" | b"boost" | b"min" | b"low" | b"high" | b"promo"
            | b"spanned" | b"present" | b"managed" | b"cma" | b"protection:" | b"start_pfn:" => {}
            b"Node" => {
                of_cpu = OfCpu::None;
                ordinal = 0;
            }
            _ if counts == Counts::Kept => {}
            _ => {
                push_with(line, 0, number, out)?;
                continue;
            }
        }
        out.extend_from_slice(line);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfCpu {
    None,
    Shown,
    Hidden,
}

/// Appends `line` with `value` instead of its last number.
fn push_with(line: &[u8], value: u64, number: usize, out: &mut Vec<u8>) -> Result<(), ParseError> {
    let kept = line.trim_ascii_end();
    let start = kept.iter().rposition(|byte| !byte.is_ascii_digit());
    let (before, old) = kept
        .split_at_checked(start.map_or(0, |at| at + 1))
        .unwrap_or_default();
    if parse_u64(old).is_none() || !before.ends_with(b" ") {
        return Err(ParseError::new("a name and a decimal number", number, line));
    }
    out.extend_from_slice(before);
    push_u64(out, value);
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 12
      nr_dirty     3
  pages free     3776
        boost    0
        min      115
        high     171
        cma      0
        protection: (0, 1444, 1444, 1444, 1444)
      nr_free_pages 3776
  pagesets
    cpu: 1
              count: 284
              high:  3483
              batch: 63
  vm stats threshold: 30
    cpu: 2
              count: 6732
              high:  6732
              batch: 63
  vm stats threshold: 30
  node_unreclaimable:  0
  start_pfn:           1
Node 0, zone   Device
  pages free     0
        min      0
";

    fn filtered(
        text: &str,
        visible: &str,
        numbering: Numbering,
        counts: Counts,
    ) -> Result<String, ParseError> {
        let visible = CpuSet::parse(visible.as_bytes()).unwrap();
        let mut out = Vec::new();
        filter(text.as_bytes(), &visible, numbering, counts, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn with_all_cpus_and_counts_it_is_the_text() {
        let all = filtered(TEXT, "0-3", Numbering::Physical, Counts::Kept);
        assert_eq!(all.unwrap(), TEXT);
    }

    #[test]
    fn lists_of_other_cpus_are_left_out_and_counts_are_zero() {
        let some = filtered(TEXT, "2", Numbering::Renumbered, Counts::Zero).unwrap();
        let expected = "\
Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 0
      nr_dirty     0
  pages free     0
        boost    0
        min      115
        high     171
        cma      0
        protection: (0, 1444, 1444, 1444, 1444)
      nr_free_pages 0
  pagesets
    cpu: 0
              count: 0
              high:  6732
              batch: 63
  vm stats threshold: 30
  node_unreclaimable:  0
  start_pfn:           1
Node 0, zone   Device
  pages free     0
        min      0
";
        assert_eq!(some, expected);
    }

    #[test]
    fn what_is_no_count_is_an_error() {
        for text in [
            "",
            "  pages free 1\n",
            "Node 0, zone DMA\n  pages free many\n",
            "Node 0, zone DMA\n  pages free -1\n",
            "Node 0, zone DMA\n  pages free 99999999999999999999\n",
            "Node 0, zone DMA\n    cpu: x\n",
            "Node 0, zone DMA\nnr_free_pages\n",
        ] {
            let found = filtered(text, "0", Numbering::Physical, Counts::Zero);
            assert!(found.is_err(), "{text:?}: {found:?}");
        }
    }
}
