//! /proc/schedstat with some CPUs left out.
//!
//! Documentation/scheduler/sched-stats.rst, for the versions 15, 16 and 17 of the format: a version,
//! a time stamp, and for each online CPU a line `cpuN ...` that is followed by the lines `domainN ...`
//! of its scheduling domains. These hold a mask of CPUs, or since version 17 a name and a mask. The
//! text before the first CPU is copied.

use crate::cpu_set::CpuSet;
use crate::cpuinfo::Numbering;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};
use crate::number::{parse_u32, push_u64};

/// Appends `text` without what it says of CPUs outside `visible`. Where CPUs are shown with other
/// numbers, domains are left out: their masks are of the host's numbers.
pub fn filter(
    text: &[u8],
    visible: &CpuSet,
    numbering: Numbering,
    out: &mut Vec<u8>,
) -> Result<(), ParseError> {
    let mut first = Fields::new(text, 1);
    if first.next() != Some(b"version") {
        return Err(ParseError::new("the version of schedstat", 1, text));
    }
    first.u64("a version number")?;
    let mut hidden = false;
    let mut ordinal = 0;
    for (number, line) in LineReader::new(text).filter(|(_, line)| !is_blank(line)) {
        let key = Fields::new(line, number).next().unwrap_or_default();
        if let Some(cpu) = key.strip_prefix(b"cpu") {
            let cpu = parse_u32(cpu).ok_or_else(|| ParseError::new("cpuN", number, key))?;
            hidden = !visible.contains(cpu);
            if !hidden && numbering == Numbering::Renumbered {
                out.extend_from_slice(b"cpu");
                push_u64(out, ordinal);
                ordinal += 1;
                out.extend_from_slice(line.get(key.len()..).unwrap_or_default());
                continue;
            }
        }
        let names_cpus = key.starts_with(b"domain") && numbering == Numbering::Renumbered;
        if !hidden && !names_cpus {
            out.extend_from_slice(line);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version 17\ntimestamp 4294897661\n\
        cpu0 0 0 0 0 0 0 4380950407 2117882271 1181\ndomain0 SMT 3 0 0\ndomain1 PKG f 0 0\n\
        cpu1 0 0 0 0 0 0 11301102706 2455716841 1945\ndomain0 SMT 3 0 0\n\
        cpu3 0 0 0 0 0 0 9 8 7\ndomain0 SMT c 0 0\n";

    fn filtered(text: &str, visible: &str, numbering: Numbering) -> Result<String, ParseError> {
        let visible = CpuSet::parse(visible.as_bytes()).unwrap();
        let mut out = Vec::new();
        filter(text.as_bytes(), &visible, numbering, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_cpu_goes_with_its_domains() {
        let physical = |visible| filtered(TEXT, visible, Numbering::Physical).unwrap();
        assert_eq!(physical("0-3"), TEXT);
        assert_eq!(
            physical("1,3"),
            "version 17\ntimestamp 4294897661\n\
             cpu1 0 0 0 0 0 0 11301102706 2455716841 1945\ndomain0 SMT 3 0 0\n\
             cpu3 0 0 0 0 0 0 9 8 7\ndomain0 SMT c 0 0\n"
        );
        assert_eq!(
            filtered(TEXT, "1,3", Numbering::Renumbered).unwrap(),
            "version 17\ntimestamp 4294897661\n\
             cpu0 0 0 0 0 0 0 11301102706 2455716841 1945\n\
             cpu1 0 0 0 0 0 0 9 8 7\n"
        );
    }

    #[test]
    fn what_has_no_version_is_an_error() {
        for text in [
            "",
            "cpu0 0\n",
            "version x\n",
            "version 99999999999999999999\n",
            "version 15\ncpu 1\n",
            "version 15\ncpu-1 1\n",
        ] {
            assert!(
                filtered(text, "0", Numbering::Physical).is_err(),
                "{text:?}"
            );
        }
    }
}
