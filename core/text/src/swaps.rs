//! /proc/swaps: a header, and a line for each swap area.
//!
//! proc_swaps(5). Columns are set with tabs: older kernels put one behind each size, newer ones two
//! where the size is short. The header shows which.
//! All sizes are in KiB.

use crate::error::ParseError;
use crate::line_reader::{LineReader, without_newline};
use crate::number::{push_blanks, push_u64};

/// Where the kernel's second column begins, as long as the first fits.
const TYPE_COLUMN: usize = 40;
/// A size that reaches the next tab stop by itself.
const WIDE: u64 = 10_000_000;

/// The header, and with it how lines are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The whole line, with its newline if it had one.
    pub text: &'a [u8],
    two_tabs: bool,
}

/// One swap area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area<'a> {
    /// The file or device.
    pub name: &'a [u8],
    /// `partition`, `file` or the like.
    pub kind: &'a [u8],
    /// KiB.
    pub size: u64,
    /// KiB.
    pub used: u64,
    /// Those of higher priority are used first.
    pub priority: u64,
}

/// The header of `text`.
pub fn header(text: &[u8]) -> Result<Header<'_>, ParseError> {
    let line = LineReader::new(text).next().map_or(text, |(_, line)| line);
    let names: [&[u8]; 5] = [b"Filename", b"Type", b"Size", b"Used", b"Priority"];
    if !without_newline(line)
        .split(|byte| *byte == b'\t')
        .filter(|name| !name.is_empty())
        .eq(names)
    {
        let expected = "Filename, Type, Size, Used and Priority";
        return Err(ParseError::new(expected, 1, line));
    }
    Ok(Header {
        text: line,
        two_tabs: line.windows(7).any(|columns| columns == b"\t\tUsed\t"),
    })
}

impl Header<'_> {
    /// Appends the line of an area as the kernel that wrote this header would set it.
    pub fn push_area(&self, area: &Area<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(area.name);
        push_blanks(out, TYPE_COLUMN.saturating_sub(area.name.len()).max(1));
        out.extend_from_slice(area.kind);
        // `partition` alone is longer than a tab stop.
        out.extend_from_slice(if area.kind.len() < 8 { b"\t\t" } else { b"\t" });
        for size in [area.size, area.used] {
            push_u64(out, size);
            let short = self.two_tabs && size < WIDE;
            out.extend_from_slice(if short { b"\t\t" } else { b"\t" });
        }
        push_u64(out, area.priority);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &[u8] = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
        /dev/zram0                              partition\t524284\t\t0\t\t5\n\
        /swap                                   file\t\t16777212\t1024\t\t2\n";
    const OLD: &[u8] = b"Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n\
        /dev/sda2                               partition\t524284\t0\t5\n";

    fn area(
        name: &'static str,
        kind: &'static str,
        size: u64,
        used: u64,
        priority: u64,
    ) -> Area<'static> {
        Area {
            name: name.as_bytes(),
            kind: kind.as_bytes(),
            size,
            used,
            priority,
        }
    }

    #[test]
    fn lines_are_set_as_the_kernel_sets_them() {
        for (text, areas) in [
            (
                NEW,
                vec![
                    area("/dev/zram0", "partition", 524_284, 0, 5),
                    area("/swap", "file", 16_777_212, 1024, 2),
                ],
            ),
            (OLD, vec![area("/dev/sda2", "partition", 524_284, 0, 5)]),
        ] {
            let header = header(text).unwrap();
            let mut out = header.text.to_vec();
            for area in areas {
                header.push_area(&area, &mut out);
            }
            assert_eq!(
                out.escape_ascii().to_string(),
                text.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn a_name_that_is_too_long_keeps_its_blank() {
        let mut out = Vec::new();
        let name = "/a/very/long/name/of/a/file/that/is/swapped/to";
        header(NEW)
            .unwrap()
            .push_area(&area(name, "file", 1, 2, 3), &mut out);
        assert!(out.starts_with(format!("{name} file\t\t1\t\t2\t\t3\n").as_bytes()));
    }

    #[test]
    fn another_header_is_an_error() {
        for text in [
            &b""[..],
            b"\n",
            b"Filename\tType\tSize\n",
            b"\0\xff",
            b"/dev/a partition 1 2 3\n",
        ] {
            assert!(header(text).is_err(), "{}", text.escape_ascii());
        }
        assert!(header(b"Filename\tType\tSize\tUsed\tPriority").is_ok());
    }
}
