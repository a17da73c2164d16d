//! Lines of /proc/cpuinfo that hold the number of a CPU, or how many there are.

use crate::cpu_set::MAX_CPUS;
use crate::number::{parse_u32, trim};

/// Meaning of the number in a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// `processor : N` or `cpu number : N`: what follows is about CPU N.
    Paragraph,
    /// `processor N: ...` of s390x: this line is about CPU N.
    SummaryLine,
    /// `# processors : N` of s390x: there are N CPUs.
    Count,
}

/// Such a line, cut around its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mention<'a> {
    pub(super) kind: Kind,
    pub(super) number: u32,
    /// The line up to the number.
    pub(super) before: &'a [u8],
    /// The rest of the line after the number.
    pub(super) after: &'a [u8],
}

impl<'a> Mention<'a> {
    /// `None` if `line` is about something else, or its number is none that a CPU can have.
    pub(super) fn find(line: &'a [u8]) -> Option<Self> {
        let (kind, rest) = if let Some(rest) = line.strip_prefix(b"processor") {
            match after_colon(rest) {
                Some(value) => (Kind::Paragraph, value),
                None => (Kind::SummaryLine, rest),
            }
        } else if let Some(rest) = line.strip_prefix(b"cpu number") {
            (Kind::Paragraph, after_colon(rest)?)
        } else if let Some(rest) = line.strip_prefix(b"# processors") {
            (Kind::Count, after_colon(rest)?)
        } else {
            return None;
        };

        let value = rest.trim_ascii_start();
        let length = value
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, after) = value.split_at_checked(length)?;
        let complete = match kind {
            Kind::SummaryLine => value.len() < rest.len() && after.starts_with(b":"),
            Kind::Paragraph | Kind::Count => trim(after).is_empty(),
        };
        let number = parse_u32(digits).filter(|number| complete && *number < MAX_CPUS)?;
        let before = line.get(..line.len().checked_sub(value.len())?)?;
        Some(Mention {
            kind,
            number,
            before,
            after,
        })
    }
}

fn after_colon(text: &[u8]) -> Option<&[u8]> {
    text.trim_ascii_start().strip_prefix(b":")
}
