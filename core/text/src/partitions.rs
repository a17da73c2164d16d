//! /proc/partitions: a heading, a blank line, and a line for each disk and partition.
//!
//! proc_partitions(5).

use crate::device::Device;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};

/// One line as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The whole line, with its newline if it had one.
    pub text: &'a [u8],
    /// Whose line it is; `None` for the heading and the blank line.
    pub device: Option<Device>,
}

/// The lines of `text` in its order; put together they are the text.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Result<Line<'_>, ParseError>> {
    LineReader::new(text).map(|(number, text)| {
        let heading = Fields::new(text, number).next() == Some(b"major");
        if is_blank(text) || (number == 1 && heading) {
            return Ok(Line { text, device: None });
        }
        let mut fields = Fields::new(text, number);
        let device = Device {
            major: fields.u32("the major number of a device")?,
            minor: fields.u32("the minor number of a device")?,
        };
        fields.u64("a size in blocks")?;
        fields.word("the name of a device")?;
        Ok(Line {
            text,
            device: Some(device),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_text_with_its_devices() {
        let text = b"major minor  #blocks  name\n\n 254        0    4194304 vda\n   7        0      10 loop0\n";
        let found: Result<Vec<_>, _> = lines(text).collect();
        let found = found.unwrap();
        let again: Vec<u8> = found.iter().flat_map(|line| line.text.to_vec()).collect();
        assert_eq!(again, text);
        let of = |major, minor| Some(Device { major, minor });
        let devices: Vec<_> = found.iter().map(|line| line.device).collect();
        assert_eq!(devices, [None, None, of(254, 0), of(7, 0)]);
    }

    #[test]
    fn what_is_no_disk_is_an_error() {
        for text in [
            &b"254 0\n"[..],
            b"254 0 many vda\n",
            b"-1 0 5 vda\n",
            b"vda\n",
            b"\0\xff\n",
        ] {
            assert!(
                lines(text).next().unwrap().is_err(),
                "{}",
                text.escape_ascii()
            );
        }
        assert!(lines(b"\nmajor minor\n").nth(1).unwrap().is_err());
    }
}
