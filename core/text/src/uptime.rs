//! /proc/uptime: time since the start, and the idle time of all CPUs together.
//!
//! proc_uptime(5). Both in seconds with two decimals; the kernel cuts off, it does not round.

use std::time::Duration;

use crate::error::ParseError;
use crate::fields::Fields;
use crate::number::{parse_u32, parse_u64, push_u64};

const NANOSECONDS_PER_HUNDREDTH: u32 = 10_000_000;
/// Decimals that a [`Duration`] can hold.
const MAX_DECIMALS: usize = 9;

/// Reads (time since the start, idle time summed over the CPUs).
pub fn parse(text: &[u8]) -> Result<(Duration, Duration), ParseError> {
    let mut fields = Fields::new(text, 1);
    let up = fields.parse("the seconds since the start", seconds)?;
    let idle = fields.parse("the seconds of idle time", seconds)?;
    fields.end()?;
    Ok((up, idle))
}

/// Appends the file: `12.34 56.78` and a newline.
pub fn push(out: &mut Vec<u8>, up: Duration, idle: Duration) {
    push_seconds(out, up);
    out.push(b' ');
    push_seconds(out, idle);
    out.push(b'\n');
}

fn push_seconds(out: &mut Vec<u8>, time: Duration) {
    let hundredths = time.subsec_nanos() / NANOSECONDS_PER_HUNDREDTH;
    push_u64(out, time.as_secs());
    out.push(b'.');
    push_u64(out, u64::from(hundredths / 10));
    push_u64(out, u64::from(hundredths % 10));
}

fn seconds(word: &[u8]) -> Option<Duration> {
    let mut parts = word.splitn(2, |byte| *byte == b'.');
    let whole = parse_u64(parts.next()?)?;
    let nanoseconds = parts.next().map_or(Some(0), fraction)?;
    Some(Duration::new(whole, nanoseconds))
}

/// Converts decimals of a second to nanoseconds.
fn fraction(decimals: &[u8]) -> Option<u32> {
    let missing = MAX_DECIMALS.checked_sub(decimals.len())?;
    let scale = 10_u32.checked_pow(u32::try_from(missing).ok()?)?;
    parse_u32(decimals)?.checked_mul(scale)
}

#[cfg(test)]
mod tests;
