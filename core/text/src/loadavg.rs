//! /proc/loadavg: how many threads want a CPU or wait for a disk, averaged.
//!
//! proc_loadavg(5): `0.16 0.03 0.01 2/340 1234`. The first three are exponentially damped averages
//! over 1, 5 and 15 minutes of the number of threads that run or are in uninterruptible sleep. The
//! kernel takes that number every five seconds and computes in binary fixed point with 11 bits
//! after the point, and so do we: the same samples give the same digits.

use std::time::Duration;

use crate::error::ParseError;
use crate::fields::Fields;
use crate::number::{parse_u32, push_u64};

/// Bits after the binary point.
const FRACTION_BITS: u32 = 11;
/// The number 1.
const ONE: u64 = 1 << FRACTION_BITS;
/// From one sample to the next.
const SECONDS_BETWEEN: u64 = 5;
/// Remainder of an old average after five seconds, in 1/2048: e^(-5 s / 1, 5 and 15 minutes).
const KEPT: [u64; 3] = [1884, 2014, 2037];
/// More threads than any kernel has (its limit is 2^22); so nothing below overflows.
const MOST: u64 = u32::MAX as u64;

/// The averages over 1, 5 and 15 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Averages([u64; 3]);

impl Averages {
    /// Of a number of threads that has never been another.
    #[must_use]
    pub fn steady(threads: u64) -> Self {
        Self([threads.min(MOST) * ONE; 3])
    }

    /// The average that the kernel reaches in `age`, of which `busy` was the time of running threads:
    /// as if all samples since then had found the mean of their number.
    #[must_use]
    pub fn of_past(age: Duration, busy: Duration) -> Self {
        let most = u128::from(MOST * ONE);
        let mean = (busy.as_nanos() * u128::from(ONE)).checked_div(age.as_nanos());
        let mean = u64::try_from(mean.unwrap_or(0).min(most)).unwrap_or(0);
        let mut averages = Self::steady(0);
        averages.add_fixed(age.as_secs() / SECONDS_BETWEEN, mean);
        averages
    }

    /// As the numbers that they are computed with, of 11 bits after the point.
    #[must_use]
    pub fn to_bits(self) -> [u64; 3] {
        self.0
    }

    /// From those numbers; `None` if no averages are that high.
    #[must_use]
    pub fn from_bits(bits: [u64; 3]) -> Option<Self> {
        bits.iter()
            .all(|bits| *bits <= MOST * ONE)
            .then_some(Self(bits))
    }

    /// After further samples, five seconds apart, each of which found that many `threads`.
    pub fn add(&mut self, samples: u64, threads: u64) {
        self.add_fixed(samples, threads.min(MOST) * ONE);
    }

    fn add_fixed(&mut self, samples: u64, threads: u64) {
        for (average, kept) in self.0.iter_mut().zip(KEPT) {
            for _ in 0..samples {
                let next = after_one(*average, threads, kept);
                // It has arrived: further samples change nothing, however many a sleep has cost.
                if next == *average {
                    break;
                }
                *average = next;
            }
        }
    }
}

/// Rising, the rest of the division is rounded up: so an average arrives at its goal from below, as
/// it does from above.
fn after_one(average: u64, threads: u64, kept: u64) -> u64 {
    let sum = average * kept + threads * (ONE - kept);
    if threads >= average {
        sum.div_ceil(ONE)
    } else {
        sum / ONE
    }
}

/// Appends the file.
pub fn push(out: &mut Vec<u8>, averages: &Averages, runnable: u64, total: u64, last_pid: u32) {
    for average in averages.0 {
        push_rounded(out, average);
        out.push(b' ');
    }
    push_u64(out, runnable);
    out.push(b'/');
    push_u64(out, total);
    out.push(b' ');
    push_u64(out, u64::from(last_pid));
    out.push(b'\n');
}

/// To hundredths; half a hundredth, which has no exact form, is taken as the kernel takes it.
fn push_rounded(out: &mut Vec<u8>, average: u64) {
    let average = average.saturating_add(ONE / 200);
    let hundredths = ((average % ONE) * 100) >> FRACTION_BITS;
    push_u64(out, average >> FRACTION_BITS);
    out.push(b'.');
    push_u64(out, hundredths / 10);
    push_u64(out, hundredths % 10);
}

/// The last column: the number that was given to a task last.
pub fn last_pid(text: &[u8]) -> Result<u32, ParseError> {
    let mut fields = Fields::new(text, 1);
    for _ in 0..3 {
        fields.word("a load average")?;
    }
    fields.word("the numbers of runnable and of all threads")?;
    let pid = fields.parse("the last process id", parse_u32)?;
    fields.end()?;
    Ok(pid)
}

#[cfg(test)]
mod tests;
