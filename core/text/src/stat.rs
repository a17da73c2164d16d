//! /proc/stat: CPU times since boot, and counters that are passed on.
//!
//! proc_stat(5). All times are in USER_HZ ticks. The kernel has added columns over the years
//! (ten as of 2.6.33) and may add more: missing ones read as 0, further ones are not looked at.

use std::ops::Add;

use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::LineReader;
use crate::number::{parse_u32, push_u64};

/// The time that one CPU, or all together, spent in each state; in USER_HZ ticks.
///
/// As in the kernel, `guest` is part of `user` and `guest_nice` part of `nice`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// In user mode.
    pub user: u64,
    /// In user mode at low priority.
    pub nice: u64,
    /// In the kernel.
    pub system: u64,
    /// With nothing to do.
    pub idle: u64,
    /// With nothing to do but wait for I/O.
    pub iowait: u64,
    /// In interrupts.
    pub irq: u64,
    /// In soft interrupts.
    pub softirq: u64,
    /// Wanted, but given to others by the host of this machine.
    pub steal: u64,
    /// Running a virtual machine.
    pub guest: u64,
    /// Running a virtual machine of low priority.
    pub guest_nice: u64,
}

impl Add for CpuTimes {
    type Output = Self;

    /// Column by column, saturating.
    fn add(self, other: Self) -> Self {
        Self {
            user: self.user.saturating_add(other.user),
            nice: self.nice.saturating_add(other.nice),
            system: self.system.saturating_add(other.system),
            idle: self.idle.saturating_add(other.idle),
            iowait: self.iowait.saturating_add(other.iowait),
            irq: self.irq.saturating_add(other.irq),
            softirq: self.softirq.saturating_add(other.softirq),
            steal: self.steal.saturating_add(other.steal),
            guest: self.guest.saturating_add(other.guest),
            guest_nice: self.guest_nice.saturating_add(other.guest_nice),
        }
    }
}

/// Whose times a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// All CPUs together: `cpu`.
    Sum,
    /// One CPU, by its number: `cpu3`.
    Cpu(u32),
}

/// One line as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The whole line, with its newline if it had one.
    pub text: &'a [u8],
    /// The first word; empty if the line is blank.
    pub key: &'a [u8],
}

/// Appends a line of CPU times with all ten columns, in the kernel's form.
pub fn push_cpu_line(out: &mut Vec<u8>, label: Label, times: &CpuTimes) {
    out.extend_from_slice(b"cpu");
    match label {
        // The kernel leaves a blank where the CPU's number would stand.
        Label::Sum => out.push(b' '),
        Label::Cpu(cpu) => push_u64(out, u64::from(cpu)),
    }
    for ticks in times.columns() {
        out.push(b' ');
        push_u64(out, ticks);
    }
    out.push(b'\n');
}

/// All lines of `text`, in its order, blank ones too; put together they are the text.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    LineReader::new(text).map(|(number, text)| Line {
        text,
        key: Fields::new(text, number).next().unwrap_or_default(),
    })
}

/// Appends a line with each of its numbers replaced by 0.
pub fn push_zeroed(line: &Line<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(line.key);
    for _ in Fields::new(line.text, 1).skip(1) {
        out.extend_from_slice(b" 0");
    }
    out.push(b'\n');
}

/// The lines of CPU times; lines with other keys are passed over.
pub fn cpu_times(text: &[u8]) -> impl Iterator<Item = Result<(Label, CpuTimes), ParseError>> {
    LineReader::new(text).filter_map(|(number, line)| {
        let mut fields = Fields::new(line, number);
        let key = fields.next()?;
        let cpu = key.strip_prefix(b"cpu")?;
        let label = match cpu.first() {
            None => Some(Label::Sum),
            Some(byte) if byte.is_ascii_digit() => parse_u32(cpu).map(Label::Cpu),
            Some(_) => return None,
        };
        let label = label.ok_or_else(|| ParseError::new("cpu or cpuN", number, key));
        Some(label.and_then(|label| Ok((label, CpuTimes::parse(fields)?))))
    })
}

impl CpuTimes {
    fn columns(&self) -> [u64; 10] {
        [
            self.user,
            self.nice,
            self.system,
            self.idle,
            self.iowait,
            self.irq,
            self.softirq,
            self.steal,
            self.guest,
            self.guest_nice,
        ]
    }

    fn parse(mut fields: Fields<'_>) -> Result<Self, ParseError> {
        let user = fields.u64("the ticks in user mode")?;
        let nice = fields.u64("the ticks at low priority")?;
        let system = fields.u64("the ticks in the kernel")?;
        let idle = fields.u64("the idle ticks")?;
        let mut newer = |expected| match fields.clone().next() {
            None => Ok(0),
            Some(_) => fields.u64(expected),
        };
        Ok(CpuTimes {
            user,
            nice,
            system,
            idle,
            iowait: newer("the ticks of waiting for I/O")?,
            irq: newer("the ticks in interrupts")?,
            softirq: newer("the ticks in soft interrupts")?,
            steal: newer("the stolen ticks")?,
            guest: newer("the ticks of guests")?,
            guest_nice: newer("the ticks of guests at low priority")?,
        })
    }
}

#[cfg(test)]
mod tests;
