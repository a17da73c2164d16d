//! Tables with a column for each CPU, with some CPUs left out: /proc/interrupts, /proc/softirqs.
//!
//! proc_interrupts(5), proc_softirqs(5). A heading names the CPUs (the online ones, or all possible
//! ones), which need not be 0, 1, 2...; a row is a label up to a colon, a number for each CPU, and
//! perhaps a description. A row with one number and nothing else (`ERR: 0`) is about no CPU.

use crate::cpu_set::CpuSet;
use crate::cpuinfo::Numbering;
use crate::error::ParseError;
use crate::line_reader::{LineReader, is_blank};
use crate::number::{digits, parse_u32, parse_u64, push_blanks, push_u64};

/// Appends `text` without the columns of CPUs outside `visible`. Allocates for more than 1,024 columns.
pub fn filter(
    text: &[u8],
    visible: &CpuSet,
    numbering: Numbering,
    out: &mut Vec<u8>,
) -> Result<(), ParseError> {
    let mut lines = LineReader::new(text);
    let (number, line) = lines.next().unwrap_or((1, b""));
    let columns = heading(line, number, visible, numbering, out)?;
    for (number, line) in lines.filter(|(_, line)| !is_blank(line)) {
        row(line, number, &columns, out)?;
    }
    Ok(())
}

/// Whether `text` begins with a heading that names CPUs.
pub fn has_heading(text: &[u8]) -> bool {
    let line = LineReader::new(text)
        .next()
        .map_or(b"".as_slice(), |(_, line)| line);
    let first = line.trim_ascii_start().strip_prefix(b"CPU");
    first.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

/// The columns of a table, and which of them are shown.
#[derive(Debug, Default)]
struct Columns {
    count: u32,
    shown: CpuSet,
}

fn heading(
    line: &[u8],
    number: usize,
    visible: &CpuSet,
    numbering: Numbering,
    out: &mut Vec<u8>,
) -> Result<Columns, ParseError> {
    let expected = "CPU0 and so on";
    let wrong = || ParseError::new(expected, number, line);
    let mut columns = Columns::default();
    let mut ordinal = 0;
    let mut rest = line.trim_ascii_start();
    if rest.is_empty() {
        return Err(wrong());
    }
    push_blanks(out, line.len() - rest.len());
    while !rest.is_empty() {
        let end = rest.iter().position(u8::is_ascii_whitespace);
        let (name, after) = rest
            .split_at_checked(end.unwrap_or(rest.len()))
            .ok_or_else(wrong)?;
        let next = after.trim_ascii_start();
        let cpu = name.strip_prefix(b"CPU").and_then(parse_u32);
        let cpu = cpu.ok_or_else(|| ParseError::new(expected, number, name))?;
        if visible.contains(cpu) {
            columns.shown.insert(columns.count);
            let cpu = match numbering {
                Numbering::Physical => u64::from(cpu),
                Numbering::Renumbered => ordinal,
            };
            ordinal += 1;
            out.extend_from_slice(b"CPU");
            push_u64(out, cpu);
            // The newline, if this is the last column, is not part of it.
            let blanks = after.len() - next.len();
            let blanks = blanks - usize::from(next.is_empty() && line.ends_with(b"\n"));
            push_blanks(out, (name.len() + blanks).saturating_sub(3 + digits(cpu)));
        }
        columns.count += 1;
        rest = next;
    }
    out.push(b'\n');
    Ok(columns)
}

fn row(line: &[u8], number: usize, columns: &Columns, out: &mut Vec<u8>) -> Result<(), ParseError> {
    let label = line.iter().position(|byte| *byte == b':');
    let label = label.ok_or_else(|| ParseError::new("a label and a colon", number, line))? + 1;
    let (label, mut rest) = line.split_at_checked(label).unwrap_or((line, b""));
    let start = out.len();
    out.extend_from_slice(label);
    for column in 0..columns.count {
        let word = rest.trim_ascii_start();
        let length = word.iter().position(u8::is_ascii_whitespace);
        let (word, after) = word
            .split_at_checked(length.unwrap_or(word.len()))
            .unwrap_or_default();
        if word.is_empty() && column == 1 {
            out.truncate(start);
            out.extend_from_slice(line);
            return Ok(());
        }
        if parse_u64(word).is_none() {
            return Err(ParseError::new("a number for each CPU", number, word));
        }
        if columns.shown.contains(column) {
            let with_blanks = rest.len() - after.len();
            out.extend_from_slice(rest.get(..with_blanks).unwrap_or_default());
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "           CPU0       CPU2       CPU10      \n\
                        \x20 0:        112          0          7   IO-APIC   2-edge      timer\n\
                        LOC:       1548 2813000000000       1492   Local timer interrupts\n\
                        ERR:          0\n";

    fn filtered(text: &str, visible: &str, numbering: Numbering) -> Result<String, ParseError> {
        let visible = CpuSet::parse(visible.as_bytes()).unwrap();
        let mut out = Vec::new();
        filter(text.as_bytes(), &visible, numbering, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn with_all_cpus_it_is_the_text() {
        let all = filtered(TEXT, "0-63", Numbering::Physical).unwrap();
        assert_eq!(all, TEXT);
    }

    #[test]
    fn columns_of_other_cpus_are_left_out() {
        let some = filtered(TEXT, "1,2,10", Numbering::Physical).unwrap();
        let expected = "           CPU2       CPU10      \n\
                        \x20 0:          0          7   IO-APIC   2-edge      timer\n\
                        LOC: 2813000000000       1492   Local timer interrupts\n\
                        ERR:          0\n";
        assert_eq!(some, expected);
        let renumbered = filtered(TEXT, "1,2,10", Numbering::Renumbered).unwrap();
        let heading = "           CPU0       CPU1       \n";
        assert!(renumbered.starts_with(heading), "{renumbered}");
        assert_eq!(renumbered.lines().skip(1).count(), 3);
    }

    #[test]
    fn a_heading_is_recognised() {
        assert!(has_heading(TEXT.as_bytes()));
        for text in ["", "cpu0 1\n", "CPU\n", "\nCPU0\n", "HI: CPU0\n"] {
            assert!(!has_heading(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn one_cpu() {
        let text = "   CPU0 \n  1:  5 timer\nERR:  0\n";
        assert_eq!(filtered(text, "0", Numbering::Physical).unwrap(), text);
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        for text in [
            "",
            "\n",
            "CPUx\n",
            "CPU0 what\n",
            "CPU-1\n",
            "CPU0 CPU1\n1 2\n",
            "CPU0 CPU1\n1: 2 timer\n",
            "CPU0 CPU1\n1: -2 3\n",
            "CPU0 CPU1\n1:\n",
            "CPU0 CPU1\n1: 2 99999999999999999999999 timer\n",
        ] {
            let found = filtered(text, "0-1", Numbering::Physical);
            assert!(found.is_err(), "{text:?}: {found:?}");
        }
    }
}
