//! /proc/PID/status, the lines with process ids, groups, capabilities and signals.
//!
//! proc_pid_status(5). `NSpid` gives the id in each pid namespace, from that of the procfs
//! instance inwards. The name of the process is in this file too, but cannot forge a line: the
//! kernel escapes the newlines in it. The first line with a key counts.

use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::LineReader;

const A_PID: &str = "a process id";

/// The process id in the innermost pid namespace; `None` if the kernel has no `NSpid` line.
pub fn ns_pid_innermost(text: &[u8]) -> Result<Option<u32>, ParseError> {
    let Some(mut ids) = value_of(text, b"NSpid:") else {
        return Ok(None);
    };
    let mut innermost = ids.u32(A_PID)?;
    while ids.clone().next().is_some() {
        innermost = ids.u32(A_PID)?;
    }
    Ok(Some(innermost))
}

/// The process id in each pid namespace, from that of the procfs instance inwards; empty if the
/// kernel has no `NSpid` line. Allocates.
pub fn ns_pids(text: &[u8]) -> Result<Vec<u32>, ParseError> {
    ids(text, b"NSpid:", A_PID)
}

/// The supplementary groups; empty if there is no `Groups` line. Allocates.
pub fn groups(text: &[u8]) -> Result<Vec<u32>, ParseError> {
    ids(text, b"Groups:", "a group id")
}

/// The id of the process that this thread belongs to; `None` if there is no `Tgid` line.
pub fn tgid(text: &[u8]) -> Result<Option<u32>, ParseError> {
    one_id(text, b"Tgid:")
}

/// The id of the parent; `None` if there is no `PPid` line.
pub fn ppid(text: &[u8]) -> Result<Option<u32>, ParseError> {
    one_id(text, b"PPid:")
}

/// The set of capabilities that are in effect, as bits (capabilities(7)); `None` if there is no
/// `CapEff` line.
pub fn effective_capabilities(text: &[u8]) -> Result<Option<u64>, ParseError> {
    set(text, b"CapEff:")
}

/// Whether a signal is pending that ends the thread: SIGKILL, which the kernel makes of every other signal that
/// ends a process, or one that dumps its core and is neither blocked, ignored nor caught. Absent lines are empty
/// sets.
pub fn is_ending(text: &[u8]) -> Result<bool, ParseError> {
    const KILL: u64 = 1 << (9 - 1);
    // SIGQUIT, ILL, TRAP, ABRT, BUS, FPE, SEGV, XCPU, XFSZ, SYS (signal(7)).
    const DUMPS: u64 = 0x4180_04fc;
    let of = |label| Ok::<_, ParseError>(set(text, label)?.unwrap_or(0));
    let pending = of(b"SigPnd:")? | of(b"ShdPnd:")?;
    let kept = of(b"SigBlk:")? | of(b"SigIgn:")? | of(b"SigCgt:")?;
    Ok(pending & KILL != 0 || pending & DUMPS & !kept != 0)
}

fn set(text: &[u8], label: &[u8]) -> Result<Option<u64>, ParseError> {
    let Some(mut fields) = value_of(text, label) else {
        return Ok(None);
    };
    let set = fields.parse("a hexadecimal number", |word| {
        let word = str::from_utf8(word).ok()?;
        u64::from_str_radix(word, 16).ok()
    })?;
    fields.end()?;
    Ok(Some(set))
}

fn ids(text: &[u8], label: &[u8], what: &'static str) -> Result<Vec<u32>, ParseError> {
    let mut ids = Vec::new();
    if let Some(mut fields) = value_of(text, label) {
        while fields.clone().next().is_some() {
            ids.push(fields.u32(what)?);
        }
    }
    Ok(ids)
}

fn one_id(text: &[u8], label: &[u8]) -> Result<Option<u32>, ParseError> {
    let Some(mut fields) = value_of(text, label) else {
        return Ok(None);
    };
    let id = fields.u32(A_PID)?;
    fields.end()?;
    Ok(Some(id))
}

fn value_of<'a>(text: &'a [u8], label: &[u8]) -> Option<Fields<'a>> {
    LineReader::new(text).find_map(|(number, line)| {
        let value = line.strip_prefix(label)?;
        Some(Fields::new(value, number))
    })
}

#[cfg(test)]
mod tests;
