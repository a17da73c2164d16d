//! Answering what dead workers have read and not answered, on kernels that do not send it again.
//!
//! Any process that has the descriptor may answer a request, whoever has read it. So what was noted
//! is done anew and answered, and what must not be done twice, or cannot, ends with EINTR. A request
//! that was answered in the last instant is refused by the kernel with ENOENT, which does no harm.
//!
//! Between reading a request and noting it there is an instant in which a worker may be killed. Of
//! such a request nothing is known, but its number is near the highest that was noted: kernels that
//! do not send again count by twos. All the numbers around it are answered with EINTR; the kernel
//! refuses that for every one that no worker has read.

use std::collections::HashSet;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use fuser::{Errno, OpenFlags, PollFlags};
use vistafs_handover::{Handover, Unfinished};
use vistafs_view::{Access, Asker};

use crate::abi::{self, opcode};
use crate::channel::Wake;
use crate::dispatcher::Poll;
use crate::fuse::{LASTING, NOT_AT_ALL, access, guarded, kept, opened};
use crate::{DispatchError, Dispatcher};

/// The least that the kernel has room for in an answer to READDIR.
const LISTING: usize = 4096;
/// How often a request is done anew: it may be what kills the workers.
const TIMES: u32 = 2;
/// From one request's number to the next one's.
const STEP: u64 = 2;
/// How many requests others may have read while a thread has not noted the one that it has read.
const BEFORE: u64 = 4096;
/// How many threads may have read one since the highest that was noted.
const AFTER: u64 = 512;

/// Answers all that was left unanswered, when the workers before this one are dead and before this
/// one reads its first request: `device` is the descriptor of the mount. When this returns, all is
/// taken over; what is done anew is answered by threads of their own.
///
/// # Errors
/// When no descriptor or thread can be had: what was read is unanswered still.
pub fn redo_unfinished(
    dispatcher: &Arc<Dispatcher>,
    handover: &Arc<Handover>,
    device: BorrowedFd<'_>,
) -> std::io::Result<()> {
    let taken = handover.take_over_unfinished();
    let interrupted = interrupt_unknown(handover, &taken, device);
    if !taken.is_empty() || interrupted > 0 {
        log::info!(
            "a worker has left {} requests: they are done anew; {interrupted} that were not noted \
             end with EINTR",
            taken.len()
        );
    }
    let redo = Arc::new(Redo {
        dispatcher: Arc::clone(dispatcher),
        handover: Arc::clone(handover),
        device: device.try_clone_to_owned()?,
    });
    for request in taken {
        // Those of a container that take long delay its own ones alone.
        let account = dispatcher.account_of_thread(request.tid);
        let (redo, queue) = (Arc::clone(&redo), Arc::clone(&account.work));
        let answer = move |admitted: Result<(), _>| {
            redo.answer(&request, admitted.is_ok());
            // Until then: the other requests of a container of which nothing is known wait behind this one.
            drop(account);
        };
        queue.give(0, Box::new(answer));
    }
    Ok(())
}

/// Wakes those who wait in poll(2) for what a dead worker was to tell them: they ask again. On every
/// kernel, when a worker begins.
pub fn wake_pollers(handover: &Handover, device: BorrowedFd<'_>) {
    handover.wake_pollers(|number| tell_to_ask(device, number));
}

fn tell_to_ask(device: BorrowedFd<'_>, number: u64) {
    // One that has been closed meanwhile wakes nobody.
    if let Err(error) = rustix::io::write(device, &abi::wake_up(number)) {
        log::debug!("waking who polls: {error}");
    }
}

fn waking(device: OwnedFd, number: u64) -> Wake {
    Box::new(move || tell_to_ask(device.as_fd(), number))
}

/// How many were waiting.
fn interrupt_unknown(handover: &Handover, known: &[Unfinished], device: BorrowedFd<'_>) -> usize {
    let highest = handover.highest_unique();
    if highest == 0 {
        return 0;
    }
    let known: HashSet<u64> = known.iter().map(|request| request.unique).collect();
    let first = highest.saturating_sub(BEFORE * STEP).max(STEP);
    let step = usize::try_from(STEP).unwrap_or(2);
    let around = (first..=highest.saturating_add(AFTER * STEP)).step_by(step);
    around
        .filter(|unique| !known.contains(unique))
        .filter(|unique| send(device, *unique, libc::EINTR, &[]).is_ok())
        .count()
}

struct Redo {
    dispatcher: Arc<Dispatcher>,
    handover: Arc<Handover>,
    device: OwnedFd,
}

impl Redo {
    fn answer(&self, request: &Unfinished, is_admitted: bool) {
        self.handover.begin_again(request);
        let mut payload = Vec::new();
        let outcome = if request.taken_over > TIMES || !is_admitted {
            Err(Errno::EINTR)
        } else {
            guarded(|| self.answered(request, &mut payload)).and_then(|outcome| outcome)
        };
        let (errno, payload) = match outcome {
            Ok(()) => (0, &payload[..]),
            Err(errno) => (errno.code(), &[][..]),
        };
        let sent = send(self.device.as_fd(), request.unique, errno, payload);
        if let Err(error) = sent
            && error != rustix::io::Errno::NOENT
        {
            log::warn!(
                "cannot answer request {} of a dead worker: {error} (its caller gets EINTR, and may \
                 ask again)",
                request.unique
            );
            if errno == 0 {
                let _ = send(self.device.as_fd(), request.unique, libc::EINTR, &[]);
            }
        }
        self.handover.settle(request);
    }

    /// What the request is answered, appended to `out`. The inner error is one that no view and no
    /// table has to be asked for.
    fn answered(
        &self,
        request: &Unfinished,
        out: &mut Vec<u8>,
    ) -> Result<Result<(), Errno>, DispatchError> {
        let dispatcher = &self.dispatcher;
        let (node, handle) = (request.node, request.handle);
        let asker = Asker {
            tid: request.tid,
            uid: request.uid,
            gid: request.gid,
        };
        match request.opcode {
            opcode::LOOKUP => {
                let Some(name) = &request.name else {
                    return Ok(Err(Errno::EINTR));
                };
                let entry = dispatcher.lookup(node, name, asker)?;
                let lasting = if entry.lasting { LASTING } else { NOT_AT_ALL };
                abi::push_entry(out, &entry, lasting, kept(&entry.attributes));
            }
            opcode::GETATTR => {
                let reader = (handle != 0).then_some(handle);
                let attributes = dispatcher.attributes(node, reader, asker)?;
                abi::push_attr(out, &attributes, kept(&attributes));
            }
            opcode::READLINK => dispatcher.read_link(node, asker, out)?,
            opcode::OPEN => {
                let access = access(OpenFlags(request.flags.cast_signed()));
                let (handle, cache) = dispatcher.open(node, access, asker)?;
                abi::push_open(out, handle, opened(cache).bits());
            }
            opcode::READ => {
                let size = usize::try_from(request.size).unwrap_or(usize::MAX);
                let copy = |bytes: &[u8]| out.extend_from_slice(bytes);
                if request.flags & abi::READ_LOCKOWNER == 0 {
                    let piece = (request.offset, size);
                    dispatcher.read_page(node, handle, piece, asker, copy)?;
                    return Ok(Ok(()));
                }
                let opened = Access {
                    read: true,
                    write: false,
                };
                dispatcher.read(node, (handle, opened), request.offset, size, asker, copy)?;
            }
            opcode::OPENDIR => abi::push_open(out, dispatcher.open_directory(node, asker)?, 0),
            opcode::READDIR => {
                let add = |next: u64, number: u64, kind, name: &_| {
                    !abi::push_dirent(out, LISTING, (next, number, kind, name))
                };
                dispatcher.read_directory(node, handle, request.offset, asker, add)?;
            }
            opcode::STATFS => abi::push_statfs(out),
            opcode::RELEASE => dispatcher.close(handle),
            opcode::RELEASEDIR => dispatcher.close_directory(handle),
            opcode::FLUSH => {}
            opcode::FSYNC | opcode::FSYNCDIR | opcode::LSEEK => return Ok(Err(Errno::EINVAL)),
            opcode::IOCTL => return Ok(Err(Errno::ENOTTY)),
            opcode::GETXATTR | opcode::LISTXATTR | opcode::SETXATTR | opcode::REMOVEXATTR => {
                return Ok(Err(Errno::ENOSYS));
            }
            opcode::MKNOD
            | opcode::CREATE
            | opcode::UNLINK
            | opcode::RENAME
            | opcode::LINK
            | opcode::SYMLINK => {
                return Err(DispatchError::ReadOnly);
            }
            // One of an earlier version of vistafs tells no number.
            opcode::POLL if request.offset != 0 => {
                let number = request.offset;
                let wants = PollFlags::from_bits_retain(request.flags);
                let wake = if wants.contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY) {
                    let Ok(device) = self.device.try_clone() else {
                        return Ok(Err(Errno::EINTR));
                    };
                    Some(waking(device, number))
                } else {
                    None
                };
                let poll = Poll {
                    events: request.size,
                    number,
                    wake,
                };
                abi::push_poll(out, dispatcher.poll(node, handle, poll, asker)?);
            }
            opcode::WRITE => {
                // Who writes again is not to be told that it is there already.
                dispatcher.write_again(handle);
                return Ok(Err(Errno::EINTR));
            }
            // Whether it was done, nobody knows: MKDIR, RMDIR, SETATTR.
            _ => return Ok(Err(Errno::EINTR)),
        }
        Ok(Ok(()))
    }
}

pub(crate) fn send(
    device: BorrowedFd<'_>,
    unique: u64,
    errno: i32,
    payload: &[u8],
) -> Result<(), rustix::io::Errno> {
    let header = abi::reply(unique, errno, payload.len());
    let parts = [IoSlice::new(&header), IoSlice::new(payload)];
    // An empty part would be one too many for a socket, not for the device.
    let parts = if payload.is_empty() {
        &parts[..1]
    } else {
        &parts
    };
    rustix::io::writev(device, parts).map(|_| ())
}

#[cfg(test)]
mod tests;
