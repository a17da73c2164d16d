//! /proc/PID/timens_offsets: by how much the clocks of a time namespace are set apart.
//!
//! time_namespaces(7). Lines are `CLOCK SECONDS NANOSECONDS`. The clock is a name, or in the
//! first kernels that had the file its number.

use std::time::Duration;

use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::LineReader;
use crate::number::parse_i64;

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// Offset of a time namespace to a clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offset {
    /// Seconds, often negative.
    pub seconds: i64,
    /// Nanoseconds, added to the seconds.
    pub nanoseconds: i64,
}

/// The offset of CLOCK_BOOTTIME; zero if it is not listed.
pub fn boottime(text: &[u8]) -> Result<Offset, ParseError> {
    for (number, line) in LineReader::new(text) {
        let mut fields = Fields::new(line, number);
        // 7 is the number of CLOCK_BOOTTIME in linux/time.h.
        if !matches!(fields.next(), Some(b"boottime" | b"7")) {
            continue;
        }
        let seconds = fields.parse("the offset in seconds", parse_i64)?;
        let nanoseconds = fields.parse("the nanoseconds of the offset", parse_i64)?;
        fields.end()?;
        return Ok(Offset {
            seconds,
            nanoseconds,
        });
    }
    Ok(Offset::default())
}

impl Offset {
    /// The time that the namespace sees when the clock outside shows `t`. Never below zero.
    pub fn apply(self, t: Duration) -> Duration {
        // All of u64 seconds and i64 seconds fits in 128 bits of nanoseconds.
        let outside = i128::try_from(t.as_nanos()).unwrap_or(i128::MAX);
        let inside = (i128::from(self.seconds) * NANOSECONDS_PER_SECOND)
            .saturating_add(i128::from(self.nanoseconds))
            .saturating_add(outside)
            .max(0);
        let seconds = u64::try_from(inside / NANOSECONDS_PER_SECOND);
        let nanoseconds = u32::try_from(inside % NANOSECONDS_PER_SECOND);
        match (seconds, nanoseconds) {
            (Ok(seconds), Ok(nanoseconds)) => Duration::new(seconds, nanoseconds),
            _ => Duration::MAX,
        }
    }
}

#[cfg(test)]
mod tests;
