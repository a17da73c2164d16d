//! /proc/PID/mountinfo: the mounts that a process sees.
//!
//! proc_pid_mountinfo(5). Columns are divided by exactly one blank, as the source of a mount may
//! be empty; blanks, tabs, newlines, backslashes and `#` in a path are written as a backslash and
//! three octal digits. Columns after the options of the file system are not looked at.

use std::borrow::Cow;

use crate::device::Device;
use crate::error::ParseError;
use crate::line_reader::{LineReader, without_newline};
use crate::number::parse_u32;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Number of the mount; may be used again after it is gone.
    pub id: u32,
    /// Number of the mount that it is on.
    pub parent: u32,
    /// Device number of its files in stat(2); reused once the file
    /// system is gone.
    pub device: Device,
    /// The directory of the file system that is the root of this mount. Unescaped; allocates only
    /// if there was something to unescape.
    pub root: Cow<'a, [u8]>,
    /// Where it is, seen from the root directory of the process. Unescaped like `root`.
    pub mount_point: Cow<'a, [u8]>,
    /// Options of the mount, as against those of the file system: `rw,nosuid,relatime`.
    pub options: &'a [u8],
    /// File system type, perhaps with a subtype: `cgroup2`, `fuse.sshfs`.
    pub fs_type: &'a [u8],
    /// The mount source; still escaped. May be empty.
    pub source: &'a [u8],
    /// Options of the file system, as against those of the mount; still escaped.
    pub super_options: &'a [u8],
}

impl Mount<'_> {
    /// Whether `option` is one of the file system's options, by its full text.
    pub fn has_option(&self, option: &[u8]) -> bool {
        self.super_options
            .split(|byte| *byte == b',')
            .any(|one| one == option)
    }
}

/// The mounts in the order of the text. Empty lines are passed over.
pub fn mounts(text: &[u8]) -> impl Iterator<Item = Result<Mount<'_>, ParseError>> {
    LineReader::new(text)
        .map(|(number, line)| (number, without_newline(line)))
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            let malformed = |expected| ParseError::new(expected, number, line);
            parse(line).map_err(malformed)
        })
}

/// On failure, what was expected.
fn parse(line: &[u8]) -> Result<Mount<'_>, &'static str> {
    let mut columns = line.split(|byte| *byte == b' ');
    let id = columns.next().and_then(parse_u32).ok_or("a mount id")?;
    let parent = columns.next().and_then(parse_u32);
    let parent = parent.ok_or("a mount id and its parent's")?;
    let device = columns.next().and_then(Device::parse);
    let device = device.ok_or("a device number in column 3")?;
    let root = columns.next().ok_or("a root in column 4")?;
    let mount_point = columns.next().ok_or("a mount point in column 5")?;
    let options = columns.next().ok_or("mount options in column 6")?;
    // Any number of optional columns, up to the separator.
    columns
        .find(|column| *column == b"-")
        .ok_or("a column with a hyphen")?;
    let fs_type = columns.next().ok_or("a file system type")?;
    let source = columns.next().ok_or("a mount source")?;
    let super_options = columns.next().ok_or("file system options")?;
    Ok(Mount {
        id,
        parent,
        device,
        root: unescape(root),
        mount_point: unescape(mount_point),
        options,
        fs_type,
        source,
        super_options,
    })
}

fn unescape(escaped: &[u8]) -> Cow<'_, [u8]> {
    if !escaped.contains(&b'\\') {
        return Cow::Borrowed(escaped);
    }
    let mut plain = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((first, tail)) = rest.split_first() {
        let octal = match rest {
            [b'\\', a, b, c, after @ ..] => octal_byte([*a, *b, *c]).map(|byte| (byte, after)),
            _ => None,
        };
        let (byte, after) = octal.unwrap_or((*first, tail));
        plain.push(byte);
        rest = after;
    }
    Cow::Owned(plain)
}

fn octal_byte(digits: [u8; 3]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |byte, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        byte.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests;
