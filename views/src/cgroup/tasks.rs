//! Task IDs in cgroup files, translated for the reader or writer.
//!
//! The kernel shows and takes IDs of the pid namespace of its reader or writer, here vistafs's. A
//! read is translated line by line, without tasks that the reader cannot see; a write must be one
//! ID, as the kernel parses it, of a task that the writer can see and that is in its container's
//! subtree.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::thread::CapabilitySet;
use vistafs_cgroup::{Cgroup, Tasks};
use vistafs_host::{Credentials, Dir, HostError, Owner, Process};
use vistafs_text::number;
use vistafs_view::{Errno, Request, ViewError};

use super::judged;

/// The kernel takes at most a page at once.
const MOST: usize = 4096;

/// Appends the list `text` in the caller's IDs.
pub(super) fn push_list(
    request: &Request<'_>,
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), ViewError> {
    let mut translation = request.pid_translation()?;
    if translation.is_identity() {
        out.extend_from_slice(text);
        return Ok(());
    }
    for line in text.split(|&byte| byte == b'\n') {
        // The kernel writes 0 for a task that vistafs itself cannot see.
        let Some(pid) = number::parse_u32(line).filter(|pid| *pid > 0) else {
            continue;
        };
        if let Some(seen) = translation.to_caller(request.host(), pid)? {
            out.extend_from_slice(seen.to_string().as_bytes());
            out.push(b'\n');
        }
    }
    Ok(())
}

/// The task for which `data` is the caller's ID, by vistafs's ID.
///
/// # Errors
/// E2BIG, EINVAL and ESRCH as the kernel.
pub(super) fn meant(
    request: &Request<'_>,
    cgroup: Option<&Arc<Cgroup>>,
    data: &[u8],
) -> Result<u32, ViewError> {
    if data.len() > MOST {
        return Err(ViewError::Answer(Errno::TOOBIG));
    }
    let written = parse(data).ok_or(ViewError::Answer(Errno::INVAL))?;
    if written == 0 {
        return Ok(request.asker().tid);
    }
    let candidates = |found: &mut dyn FnMut(u32)| {
        if let Some(cgroup) = cgroup {
            let listed = Tasks::new(cgroup).threads(&mut |tids, _| {
                tids.iter().for_each(|tid| found(*tid));
            });
            if let Err(error) = listed {
                log::debug!("cannot list the tasks of a container: {error}");
            }
        }
    };
    let task = request
        .pid_translation()?
        .from_caller(request.host(), written, candidates)?;
    task.ok_or(ViewError::Answer(Errno::SRCH))
}

/// Whether a caller in the container of `cgroup` may move `task` into `target`, beyond the kernel's
/// own checks.
///
/// # Errors
/// EACCES for a task outside the container; ESRCH for an ended one.
pub(super) fn may_join(
    cgroup: &Cgroup,
    credentials: &Credentials,
    task: &Process,
    target: &Dir,
) -> Result<(), ViewError> {
    let place = place_of(cgroup, task)?.ok_or(ViewError::Answer(Errno::ACCESS))?;
    let gate = cgroup.gate(&place, target).map_err(ViewError::Answer)?;
    let Some(gate) = gate else {
        return Ok(());
    };
    let list = std::path::Path::new("cgroup.procs");
    let stat = gate.stat(list).map_err(ViewError::Answer)?;
    let owner = Owner {
        uid: stat.uid,
        gid: stat.gid,
    };
    let opened = credentials.act_on(owner, || gate.open_file_to_write_only(list));
    judged(opened).map(drop)
}

/// The capability that a cpuset requires of the mover, if the mover has it over that task.
///
/// # Errors
/// ESRCH for a task that has ended.
pub(super) fn power_over(
    credentials: &Credentials,
    task: &Process,
) -> Result<CapabilitySet, ViewError> {
    let governs = credentials.govern(task).map_err(ended)?;
    Ok(if governs {
        CapabilitySet::SYS_NICE
    } else {
        CapabilitySet::empty()
    })
}

/// Checks that a task still exists, so that its ID was not reused.
///
/// # Errors
/// ESRCH when it has ended.
pub(super) fn ensure_there(task: &Process) -> Result<(), ViewError> {
    task.ensure_there().map_err(ended)
}

fn place_of(cgroup: &Cgroup, task: &Process) -> Result<Option<PathBuf>, ViewError> {
    let text = task.cgroup_text().map_err(ended)?;
    Ok(cgroup.place_of_task(&text)?)
}

/// An error about the task to move: ESRCH if it has ended.
pub(super) fn ended(error: HostError) -> ViewError {
    if error.is_not_found() {
        ViewError::Answer(Errno::SRCH)
    } else {
        error.into()
    }
}

/// Parses a number like the kernel's kstrtoint(buf, 0) after blanks are trimmed, if it can be a
/// task ID.
fn parse(data: &[u8]) -> Option<u32> {
    let text = data.split(|&byte| byte == 0).next()?;
    // isspace() of the kernel includes the vertical tab.
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = text.iter().position(|byte| !is_blank(byte))?;
    let end = text.iter().rposition(|byte| !is_blank(byte))? + 1;
    let text = str::from_utf8(text.get(start..end)?).ok()?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = digits.to_ascii_lowercase();
    let (digits, base) = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(rest), _) => (rest, 16),
        (None, Some(rest)) if !rest.is_empty() => (rest, 8),
        _ => (lower.as_str(), 10),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i32::from_str_radix(digits, base).ok()?;
    let is_negative = text.starts_with('-') && number != 0;
    (!is_negative).then(|| number.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_kernel_reads_them() {
        for (text, expected) in [
            (&b"12"[..], Some(12)),
            (b" 12\n", Some(12)),
            (b"\x0b\t12 \n\n", Some(12)),
            (b"+7", Some(7)),
            (b"0", Some(0)),
            (b"-0", Some(0)),
            (b"00", Some(0)),
            (b"010", Some(8)),
            (b"0x1F", Some(31)),
            (b"0X1f", Some(31)),
            (b"12\0whatever", Some(12)),
            (b"2147483647", Some(2_147_483_647)),
            (b"2147483648", None),
            (b"-1", None),
            (b"", None),
            (b"\n", None),
            (b"\0", None),
            (b"0x", None),
            (b"+-7", None),
            (b"++7", None),
            (b"1 2", None),
            (b"08", None),
            (b"self", None),
            (b"\xff", None),
        ] {
            assert_eq!(parse(text), expected, "{}", text.escape_ascii());
        }
    }
}
