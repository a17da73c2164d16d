//! io.stat of cgroup v2: what a cgroup and those below it have read, written and discarded.
//!
//! Documentation/admin-guide/cgroup-v2.rst, "IO Interface Files". A line is a device and
//! `KEY=NUMBER` pairs; keys of other statistics (of io.latency, say) are passed over. Two things are
//! not in the document:
//! - a device without numbers has no newline either, so several may stand before the pairs of one:
//!   `7:7 7:6 254:0 rbytes=...`, and one may end the text;
//! - a device that /proc/diskstats does not have is `(unknown)`.

use crate::device::{Device, IoCounts, UNKNOWN};
use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::LineReader;
use crate::number::parse_u64;

/// The devices that have numbers, in the order of `text`.
pub fn devices(text: &[u8]) -> impl Iterator<Item = Result<(Device, IoCounts), ParseError>> {
    LineReader::new(text).filter_map(|(number, line)| device(line, number).transpose())
}

fn device(line: &[u8], number: usize) -> Result<Option<(Device, IoCounts)>, ParseError> {
    let mut of = None;
    let mut named = false;
    let mut counted = false;
    let mut counts = IoCounts::default();
    for word in Fields::new(line, number) {
        let Some(equals) = word.iter().position(|byte| *byte == b'=') else {
            of = Device::parse(word);
            if of.is_none() && word != UNKNOWN {
                let expected = "the numbers of a device, or KEY=NUMBER";
                return Err(ParseError::new(expected, number, word));
            }
            named = true;
            continue;
        };
        if !named {
            return Err(ParseError::new("the numbers of a device", number, word));
        }
        let (key, value) = word.split_at_checked(equals).unwrap_or_default();
        let count = match key {
            b"rbytes" => &mut counts.read_bytes,
            b"wbytes" => &mut counts.write_bytes,
            b"dbytes" => &mut counts.discard_bytes,
            b"rios" => &mut counts.reads,
            b"wios" => &mut counts.writes,
            b"dios" => &mut counts.discards,
            _ => continue,
        };
        *count = value
            .get(1..)
            .and_then(parse_u64)
            .ok_or_else(|| ParseError::new("KEY=NUMBER", number, word))?;
        counted = true;
    }
    Ok(of.filter(|_| counted).map(|device| (device, counts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &[u8]) -> Vec<(u32, u32, u64, u64)> {
        devices(text)
            .map(|device| {
                let (device, counts) = device.unwrap();
                (
                    device.major,
                    device.minor,
                    counts.read_bytes,
                    counts.discards,
                )
            })
            .collect()
    }

    #[test]
    fn a_line_for_each_device() {
        let text = b"254:0 rbytes=77156352 wbytes=4202496 rios=1733 wios=7 dbytes=0 dios=3\n\
            8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 use_delay=0 depth=max avg_lat=1.5\n";
        assert_eq!(found(text), [(254, 0, 77_156_352, 3), (8, 16, 1, 6)]);
        let (_, counts) = devices(text).last().unwrap().unwrap();
        let expected = IoCounts {
            read_bytes: 1,
            write_bytes: 2,
            discard_bytes: 5,
            reads: 3,
            writes: 4,
            discards: 6,
        };
        assert_eq!(counts, expected);
    }

    #[test]
    fn devices_without_numbers_are_passed_over() {
        let text = b"7:7 7:6 7:4 rbytes=28672 wbytes=0 rios=22 wios=0 dbytes=0 dios=0\n252:0 ";
        assert_eq!(found(text), [(7, 4, 28672, 0)]);
        let text = b"(unknown) rbytes=5 rios=6\n8:0 (unknown) rbytes=5\n8:0 cost.usage=5\n\n";
        assert_eq!(found(text), []);
        assert_eq!(found(b""), []);
    }

    #[test]
    fn what_is_neither_is_an_error() {
        for text in [
            &b"rbytes=1\n"[..],
            b"8 rbytes=1\n",
            b"8:0 rbytes=\n",
            b"8:0 rbytes=-1\n",
            b"8:0 rbytes=18446744073709551616\n",
            b"8:0 rbytes 1\n",
            b"\0\xff",
        ] {
            let error = devices(text).next().unwrap().unwrap_err();
            assert_eq!(error.line, 1, "{}", text.escape_ascii());
        }
    }
}
