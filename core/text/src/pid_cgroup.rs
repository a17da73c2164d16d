//! /proc/PID/cgroup: the cgroup of a process in each hierarchy.
//!
//! cgroups(7), "/proc files": `ID:CONTROLLERS:PATH` a line. A path may hold colons and blanks, and
//! any other byte but a newline, which the kernel does not let into the name of a cgroup. It is
//! seen from the cgroup namespace of the reader, and ends in ` (deleted)` on v2 if the cgroup has
//! gone; both are for the caller to judge.

use crate::error::ParseError;
use crate::line_reader::{LineReader, without_newline};
use crate::number::parse_u32;

/// The cgroup of a process in one hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership<'a> {
    /// Number of the hierarchy; 0 is v2.
    pub hierarchy_id: u32,
    /// Controllers of a v1 hierarchy, or its name: `cpu,cpuacct`, `name=systemd`. Empty on v2.
    pub controllers: &'a [u8],
    /// Path of the cgroup in its hierarchy; begins with `/`.
    pub path: &'a [u8],
}

impl Membership<'_> {
    /// Whether `controller` is one of the hierarchy's controllers, by its full name.
    pub fn has(&self, controller: &[u8]) -> bool {
        self.controllers
            .split(|byte| *byte == b',')
            .any(|one| one == controller)
    }
}

/// The memberships in the order of the text. Empty lines are passed over.
pub fn memberships(text: &[u8]) -> impl Iterator<Item = Result<Membership<'_>, ParseError>> {
    LineReader::new(text)
        .map(|(number, line)| (number, without_newline(line)))
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            parse(line).ok_or_else(|| ParseError::new("ID:CONTROLLERS:/PATH", number, line))
        })
}

fn parse(line: &[u8]) -> Option<Membership<'_>> {
    let mut parts = line.splitn(3, |byte| *byte == b':');
    Some(Membership {
        hierarchy_id: parse_u32(parts.next()?)?,
        controllers: parts.next()?,
        path: parts.next().filter(|path| path.starts_with(b"/"))?,
    })
}

#[cfg(test)]
mod tests;
