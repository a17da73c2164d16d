//! /proc/diskstats: the I/O of each disk and partition since boot.
//!
//! Documentation/admin-guide/iostats.rst, proc_diskstats(5). Sectors are of 512 bytes whatever the
//! disk. The kernel has 11 columns, 15 since it counts discards and 17 since it counts flushes; a
//! line is written again with as many as it had.

use crate::device::{Device, IoCounts};
use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};
use crate::number::push_u64;

const SECTOR: u64 = 512;
/// Columns of the first kernels that had the file.
const FEWEST: usize = 11;

/// One line, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its numbers.
    pub device: Device,
    /// Numbers and name with the blanks of the kernel.
    before: &'a [u8],
    columns: usize,
}

/// The lines of `text` in its order.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Result<Line<'_>, ParseError>> {
    LineReader::new(text)
        .filter(|(_, line)| !is_blank(line))
        .map(|(number, line)| parse(line, number))
}

fn parse(line: &[u8], number: usize) -> Result<Line<'_>, ParseError> {
    let mut fields = Fields::new(line, number);
    let device = Device {
        major: fields.u32("the major number of a device")?,
        minor: fields.u32("the minor number of a device")?,
    };
    fields.word("the name of a device")?;
    let before = line.len() - fields.rest().len();
    let mut columns = 0;
    while fields.clone().next().is_some() {
        fields.u64("a counter")?;
        columns += 1;
    }
    if columns < FEWEST {
        return Err(ParseError::new("11 counters or more", number, line));
    }
    Ok(Line {
        device,
        before: line.get(..before).unwrap_or_default(),
        columns,
    })
}

impl Line<'_> {
    /// Appends this line with `done` as its counters; counters that `done` lacks are zero.
    pub fn push_with(&self, done: &IoCounts, out: &mut Vec<u8>) {
        out.extend_from_slice(self.before);
        for column in 0..self.columns {
            out.push(b' ');
            let value = match column {
                0 => done.reads,
                2 => done.read_bytes / SECTOR,
                4 => done.writes,
                6 => done.write_bytes / SECTOR,
                11 => done.discards,
                13 => done.discard_bytes / SECTOR,
                _ => 0,
            };
            push_u64(out, value);
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: IoCounts = IoCounts {
        reads: 1,
        read_bytes: 1024,
        writes: 3,
        write_bytes: 2048,
        discards: 5,
        discard_bytes: 3583,
    };

    fn with(text: &str) -> String {
        let line = lines(text.as_bytes()).next().unwrap().unwrap();
        let mut out = Vec::new();
        line.push_with(&DONE, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn as_many_columns_as_the_kernel_has() {
        assert_eq!(
            with(" 254       0 vda 2364 365 206010 1297 38 11 8552 149 0 1216 1453 0 0 0 0 3 7\n"),
            " 254       0 vda 1 0 2 0 3 0 4 0 0 0 0 5 0 6 0 0 0\n"
        );
        assert_eq!(
            with("   8      16 sdb 1 2 3 4 5 6 7 8 9 10 11\n"),
            "   8      16 sdb 1 0 2 0 3 0 4 0 0 0 0\n"
        );
        assert_eq!(
            with("   8      16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"),
            "   8      16 sdb 1 0 2 0 3 0 4 0 0 0 0 5 0 6 0\n"
        );
    }

    #[test]
    fn what_is_no_disk_is_an_error() {
        let row = "8 16 sdb 1 2 3 4 5 6 7 8 9 10 11";
        assert_eq!(lines(row.as_bytes()).count(), 1);
        for wrong in [
            "8 16 sdb 1 2 3\n".to_owned(),
            "8 16\n".to_owned(),
            row.replacen('8', "-8", 1),
            row.replace("11", "eleven"),
            row.replace("11", "99999999999999999999"),
        ] {
            assert!(lines(wrong.as_bytes()).next().unwrap().is_err(), "{wrong}");
        }
        assert_eq!(lines(b"\n\n").count(), 0);
    }
}
