//! The text written into a file of /proc/pressure: a trigger, `some 150000 2000000`.
//!
//! Threshold and window in microseconds; Documentation/accounting/psi.rst, "Monitoring for pressure
//! thresholds". The kernel judges the text; here is what depends on the file that it is written to.

use crate::number;

/// How many bytes of what is written the kernel looks at.
const CONSIDERED: usize = 32;

/// Bytes written into /proc/pressure/* as the kernel interprets them: it uses 32 of them, and the
/// last used byte ends the text, whatever it is (usually a newline).
///
/// A cgroup's file takes all that is written. Given this, it judges as that in /proc would.
pub fn as_in_proc(written: &[u8]) -> Vec<u8> {
    let mut text = written[..written.len().min(CONSIDERED)].to_vec();
    if let Some(last) = text.last_mut() {
        *last = 0;
    }
    text
}

/// The window of a trigger, microseconds; `None`: it is none, or none that is worth asking for.
pub fn window(text: &[u8]) -> Option<u32> {
    let text = text.split(|&byte| byte == 0).next()?;
    let numbers = text
        .strip_prefix(b"some")
        .or_else(|| text.strip_prefix(b"full"))?;
    let (_threshold, rest) = leading_number(numbers)?;
    leading_number(rest).map(|(window, _)| window)
}

/// A number after blanks, and what follows it.
fn leading_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let text = text.trim_ascii_start();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    Some((number::parse_u32(digits)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_32_bytes_is_the_end() {
        assert_eq!(as_in_proc(b""), b"");
        assert_eq!(as_in_proc(b"x"), b"\0");
        assert_eq!(as_in_proc(b"some 1 2000000\n"), b"some 1 2000000\0");
        assert_eq!(as_in_proc(b"some 1 2000000"), b"some 1 200000\0");
        let long = as_in_proc(&[b'7'; 1 << 20]);
        assert_eq!(long, [&[b'7'; 31][..], b"\0"].concat());
    }

    #[test]
    fn windows() {
        for (text, expected) in [
            (&b"some 150000 2000000"[..], Some(2_000_000)),
            (b"full 150000 1000000\n", Some(1_000_000)),
            (b"some150000\t 4000000 and more", Some(4_000_000)),
            (b"some 1 2\0 000", Some(2)),
            (b"some 0 4294967295", Some(u32::MAX)),
            (b"some 0 4296967296", None),
            (b"some 4296967296 2000000", None),
            (b"some 1", None),
            (b"some -1 2000000", None),
            (b"some 1 -2000000", None),
            (b" some 1 2000000", None),
            (b"SOME 1 2000000", None),
            (b"some 0x10 2000000", None),
            (b"\xff\xfe", None),
            (b"", None),
        ] {
            assert_eq!(window(text), expected, "{}", text.escape_ascii());
        }
    }
}
