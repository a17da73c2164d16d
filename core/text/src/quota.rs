//! cpu.max of cgroup v2: how much CPU time a group may use in each period.
//!
//! Documentation/admin-guide/cgroup-v2.rst, "CPU Interface Files". The quota may stand alone, as
//! the kernel takes it when written; then the period is the kernel's default.

use crate::error::ParseError;
use crate::fields::Fields;
use crate::limit::Limit;
use crate::number::parse_u64;
use crate::single_value::parse_limit;

/// The kernel's default period, in µs.
const DEFAULT_PERIOD: u64 = 100_000;

/// A CPU bandwidth limit. `quota / period` is the number of CPUs' worth of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuMax {
    /// CPU time in each period, in µs.
    pub quota: Limit,
    /// Length of a period, in µs; never 0, so that it may be divided by.
    pub period: u64,
}

/// Reads `QUOTA PERIOD` or `QUOTA`.
pub fn parse(text: &[u8]) -> Result<CpuMax, ParseError> {
    let mut fields = Fields::new(text, 1);
    let quota = fields.parse("\"max\" or a quota in µs", parse_limit)?;
    let period = if fields.clone().next().is_some() {
        fields.parse("a period in µs, above 0", |word| {
            parse_u64(word).filter(|period| *period > 0)
        })?
    } else {
        DEFAULT_PERIOD
    };
    fields.end()?;
    Ok(CpuMax { quota, period })
}

#[cfg(test)]
mod tests;
