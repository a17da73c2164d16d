//! Files of cgroup v1's blkio controller that count by device and kind of I/O, such as
//! blkio.throttle.io_service_bytes_recursive (bytes) and blkio.bfq.io_serviced (I/Os).
//!
//! Documentation/admin-guide/cgroup-v1/blkio-controller.rst. `254:0 Read 4096`, and a last line
//! `Total N` of all devices. A device that /proc/diskstats does not have is `(unknown)`.

use crate::device::{Device, UNKNOWN};
use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};

/// The operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Read.
    Read,
    /// Written.
    Write,
    /// Discarded: blocks that are no longer in use.
    Discard,
}

/// The counters of known kinds. Sums, other divisions of the same I/O (`Sync`) and devices without
/// a name are passed over.
pub fn counters(text: &[u8]) -> impl Iterator<Item = Result<(Device, Kind, u64), ParseError>> {
    LineReader::new(text)
        .filter(|(_, line)| !is_blank(line))
        .filter_map(|(number, line)| counter(line, number).transpose())
}

fn counter(line: &[u8], number: usize) -> Result<Option<(Device, Kind, u64)>, ParseError> {
    let mut fields = Fields::new(line, number);
    let name = fields.word("the numbers of a device")?;
    let device = Device::parse(name);
    let kind = match name {
        b"Total" => &b""[..],
        UNKNOWN => fields.word("a kind of I/O")?,
        _ if device.is_some() => fields.word("a kind of I/O")?,
        _ => return Err(ParseError::new("the numbers of a device", number, name)),
    };
    let value = fields.u64("a decimal number")?;
    fields.end()?;
    let kind = match kind {
        b"Read" => Kind::Read,
        b"Write" => Kind::Write,
        b"Discard" => Kind::Discard,
        _ => return Ok(None),
    };
    Ok(device.map(|device| (device, kind, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_nameless_devices_are_passed_over() {
        let text =
            b"7:0 Read 10\n7:0 Write 20\n7:0 Sync 30\n7:0 Async 0\n7:0 Discard 5\n7:0 Total 35\n\
            (unknown) Read 7\n8:16 Read 1\nTotal 36\n";
        let found: Result<Vec<_>, _> = counters(text).collect();
        let of = |major, minor| Device { major, minor };
        assert_eq!(
            found.unwrap(),
            [
                (of(7, 0), Kind::Read, 10),
                (of(7, 0), Kind::Write, 20),
                (of(7, 0), Kind::Discard, 5),
                (of(8, 16), Kind::Read, 1),
            ]
        );
        assert_eq!(counters(b"Total 0\n").count(), 0);
        assert_eq!(counters(b"").count(), 0);
    }

    #[test]
    fn what_is_no_counter_is_an_error() {
        for text in [
            &b"7:0 Read\n"[..],
            b"7:0 Read -1\n",
            b"7:0 10\n",
            b"7:0 Read 1 2\n",
            b"Total\n",
            b"sda Read 1\n",
            b"7:0 Sync x\n",
            b"\0\xff\n",
        ] {
            assert!(
                counters(text).next().unwrap().is_err(),
                "{}",
                text.escape_ascii()
            );
        }
    }
}
