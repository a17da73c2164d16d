//! Cgroup files that hold one value, such as memory.current, memory.max, memory.limit_in_bytes,
//! pids.max, cpu.cfs_quota_us.
//!
//! The kernel ends the value with a newline; a text without one is read alike. Formats:
//! Documentation/admin-guide/cgroup-v2.rst, section "Format", and cgroup-v1/memory.rst.

use crate::error::ParseError;
use crate::fields::Fields;
use crate::limit::Limit;
use crate::number::{parse_i64, parse_u64};

/// A number, in the unit of its file.
pub fn number(text: &[u8]) -> Result<u64, ParseError> {
    only(text, "a decimal number", parse_u64)
}

/// A number that may be negative, in the unit of its file.
pub fn signed(text: &[u8]) -> Result<i64, ParseError> {
    only(text, "a decimal number", parse_i64)
}

/// A limit of cgroup v2: `max` or a number, in the unit of its file.
pub fn limit_v2(text: &[u8]) -> Result<Limit, ParseError> {
    only(text, "\"max\" or a decimal number", parse_limit)
}

/// A limit of cgroup v1, in the unit of its file.
///
/// There "no limit" is a number too: the largest that a signed 64-bit counter of whole pages
/// holds, in bytes; so it depends on the page size (bytes). `-1`, as cpu.cfs_quota_us has it and
/// as one writes it into the memory files, means the same.
pub fn limit_v1(text: &[u8], page_size: u64) -> Result<Limit, ParseError> {
    only(text, "a decimal number or -1", |word| {
        if word == b"-1" {
            return Some(Limit::Max);
        }
        let value = parse_u64(word)?;
        let largest = i64::MAX.unsigned_abs();
        let unlimited = largest - largest.checked_rem(page_size).unwrap_or(0);
        Some(if value >= unlimited {
            Limit::Max
        } else {
            Limit::Value(value)
        })
    })
}

/// One word that is a limit of cgroup v2.
pub(crate) fn parse_limit(word: &[u8]) -> Option<Limit> {
    if word == b"max" {
        Some(Limit::Max)
    } else {
        parse_u64(word).map(Limit::Value)
    }
}

fn only<T>(
    text: &[u8],
    expected: &'static str,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, ParseError> {
    let mut fields = Fields::new(text, 1);
    let value = fields.parse(expected, parse)?;
    fields.end()?;
    Ok(value)
}

#[cfg(test)]
mod tests;
