//! /proc/PID/stat, the fields that say who a process is.
//!
//! proc_pid_stat(5). The command name is any bytes of the process' choosing, blanks, parentheses
//! and newlines too, so it ends at the *last* closing parenthesis: only numbers and the state
//! letter follow it. Fields after the start time are not looked at.

use crate::error::ParseError;
use crate::fields::Fields;
use crate::number::{parse_u32, trim};

/// Fields between the parent (4) and the number of threads (20).
const PPID_TO_THREADS: usize = 15;

/// Identity of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PidStat<'a> {
    /// Process id, in the pid namespace of the procfs instance that was read.
    pub pid: u32,
    /// Command name, without the parentheses.
    pub comm: &'a [u8],
    /// State letter, `R`, `S`, `D`, `Z`...
    pub state: u8,
    /// Process id of the parent; 0 if it is in another pid namespace.
    pub ppid: u32,
    /// Number of threads.
    pub num_threads: u64,
    /// When the process started, in ticks (USER_HZ) after boot.
    pub start_time: u64,
}

/// Reads the file.
pub fn parse(text: &[u8]) -> Result<PidStat<'_>, ParseError> {
    let no_name = || ParseError::new("a command name in parentheses", 1, trim(text));
    let open = text.iter().position(|byte| *byte == b'(');
    let close = text.iter().rposition(|byte| *byte == b')');
    let (open, close) = open.zip(close).ok_or_else(no_name)?;
    let pid = trim(text.get(..open).unwrap_or_default());
    let comm = text.get(open + 1..close).ok_or_else(no_name)?;
    let after = text.get(close + 1..).unwrap_or_default();

    let mut fields = Fields::new(after, 1);
    let state = fields.parse("a state letter", |word| match word {
        [letter] => Some(*letter),
        _ => None,
    })?;
    let ppid = fields.u32("the parent's process id")?;
    for _ in 0..PPID_TO_THREADS {
        fields.word("the fields up to the number of threads")?;
    }
    let num_threads = fields.u64("the number of threads")?;
    fields.word("the obsolete timer field")?;
    let start_time = fields.u64("the start time in ticks")?;
    Ok(PidStat {
        pid: parse_u32(pid).ok_or_else(|| ParseError::new("a process id", 1, pid))?,
        comm,
        state,
        ppid,
        num_threads,
        start_time,
    })
}

#[cfg(test)]
mod tests;
