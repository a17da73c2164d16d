//! A device by its numbers, as cgroup files and mountinfo name it (`254:0`), and what was done on it.

use crate::number::parse_u32;

/// The kernel's text for a device without a name, such as one path of several to
/// one disk; /proc/diskstats does not have it either.
pub(crate) const UNKNOWN: &[u8] = b"(unknown)";

/// Numbers of a device: a block device, or the anonymous device of a file system without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// Of its driver.
    pub major: u32,
    /// Of the device among those of its driver.
    pub minor: u32,
}

impl Device {
    /// `MAJOR:MINOR`.
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        let colon = word.iter().position(|byte| *byte == b':')?;
        let (major, minor) = word.split_at_checked(colon)?;
        Some(Self {
            major: parse_u32(major)?,
            minor: parse_u32(minor.get(1..)?)?,
        })
    }
}

/// I/O on a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoCounts {
    /// Bytes.
    pub read_bytes: u64,
    /// Bytes.
    pub write_bytes: u64,
    /// Bytes.
    pub discard_bytes: u64,
    /// I/Os.
    pub reads: u64,
    /// I/Os.
    pub writes: u64,
    /// I/Os.
    pub discards: u64,
}

impl IoCounts {
    /// Count by count, `of` this one and the other one.
    #[must_use]
    pub fn zip_with(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            read_bytes: of(self.read_bytes, other.read_bytes),
            write_bytes: of(self.write_bytes, other.write_bytes),
            discard_bytes: of(self.discard_bytes, other.discard_bytes),
            reads: of(self.reads, other.reads),
            writes: of(self.writes, other.writes),
            discards: of(self.discards, other.discards),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_and_a_colon() {
        let device = |major, minor| Some(Device { major, minor });
        assert_eq!(Device::parse(b"254:16"), device(254, 16));
        for wrong in [
            &b""[..],
            b":",
            b"1:",
            b":1",
            b"1",
            b"1:2:3",
            b"-1:2",
            b"a:b",
            b"1:99999999999",
        ] {
            assert_eq!(Device::parse(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
