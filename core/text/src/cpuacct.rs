//! CPU time per CPU as cgroup v1 counts it: cpuacct.usage_all and cpuacct.usage_percpu.
//!
//! Documentation/admin-guide/cgroup-v1/cpuacct.rst. All times are in nanoseconds since the cgroup
//! was made, or since they were last reset by writing to cpuacct.usage.

use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};
use crate::number::parse_u64;

/// The time that a cgroup used on one CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Number of the CPU.
    pub cpu: u32,
    /// Time in user mode, in ns.
    pub user: u64,
    /// Time in the kernel, in ns.
    pub system: u64,
}

/// The lines of cpuacct.usage_all. The header and blank lines are passed over.
pub fn usage_all(text: &[u8]) -> impl Iterator<Item = Result<Usage, ParseError>> {
    LineReader::new(text)
        .filter(|(number, line)| !is_blank(line) && !is_header(line, *number))
        .map(|(number, line)| {
            let mut fields = Fields::new(line, number);
            let usage = Usage {
                cpu: fields.u32("a CPU number")?,
                user: fields.u64("the ns in user mode")?,
                system: fields.u64("the ns in the kernel")?,
            };
            fields.end()?;
            Ok(usage)
        })
}

/// The columns of cpuacct.usage_percpu, as (number of the CPU, ns).
pub fn usage_percpu(text: &[u8]) -> impl Iterator<Item = Result<(u32, u64), ParseError>> {
    Fields::new(text, 1).zip(0..).map(|(word, cpu)| {
        let time = parse_u64(word);
        time.map(|time| (cpu, time))
            .ok_or_else(|| ParseError::new("the ns of a CPU", 1, word))
    })
}

fn is_header(line: &[u8], number: usize) -> bool {
    number == 1 && Fields::new(line, number).next() == Some(b"cpu")
}

#[cfg(test)]
mod tests;
