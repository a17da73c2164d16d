//! Replies to the unfinished requests of dead workers, on kernels without FUSE_NOTIFY_RESEND.
//!
//! Any process that has the descriptor may reply to a request, whichever process has read it. So
//! recorded requests are replayed; a request that must not run twice, or cannot, fails with EINTR.
//! If it was answered just before the crash, the kernel refuses the reply with ENOENT, which is
//! harmless.
//!
//! A worker may be killed between reading a request and recording it. Such a request is unknown,
//! but its ID is near the highest recorded one: kernels without resending count by twos. All IDs
//! around it get EINTR; the kernel refuses the reply for every ID that no worker has read.

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

/// Minimum size of the kernel's buffer for a READDIR reply.
const LISTING: usize = 4096;
/// Maximum number of replays: the request may be the cause of the crashes.
const TIMES: u32 = 2;
/// Difference between the IDs of two requests.
const STEP: u64 = 2;
/// Requests that other threads may have read while a thread has not recorded its own.
const BEFORE: u64 = 4096;
/// Threads that may have read a request since the highest recorded one.
const AFTER: u64 = 512;

/// Replies to all unfinished requests: after the earlier workers are dead, and before this one
/// reads its first request. `device`: the descriptor of the mount. All requests are taken over on
/// return; offload threads replay them.
///
/// # Errors
/// If no descriptor or thread is available: the requests stay unanswered.
pub fn redo_unfinished(
    dispatcher: &Arc<Dispatcher>,
    handover: &Arc<Handover>,
    device: BorrowedFd<'_>,
) -> std::io::Result<()> {
    let taken = handover.take_over_unfinished();
    let interrupted = interrupt_unknown(handover, &taken, device);
    if !taken.is_empty() || interrupted > 0 {
        log::info!(
            "replaying {} requests of the dead worker; {interrupted} unrecorded ones fail with EINTR",
            taken.len()
        );
    }
    let redo = Arc::new(Redo {
        dispatcher: Arc::clone(dispatcher),
        handover: Arc::clone(handover),
        device: device.try_clone_to_owned()?,
    });
    for request in taken {
        // Slow requests of a container delay only its own ones.
        let account = dispatcher.account_of_thread(request.tid);
        let (redo, queue) = (Arc::clone(&redo), Arc::clone(&account.work));
        let answer = move |admitted: Result<(), _>| {
            redo.answer(&request, admitted.is_ok());
            // Until then, further requests of an unresolved container wait behind this one.
            drop(account);
        };
        queue.give(0, Box::new(answer));
    }
    Ok(())
}

/// Wakes the poll(2) callers of a dead worker, so that they poll again. On every kernel, when a
/// worker begins.
pub fn wake_pollers(handover: &Handover, device: BorrowedFd<'_>) {
    handover.wake_pollers(|number| tell_to_ask(device, number));
}

fn tell_to_ask(device: BorrowedFd<'_>, number: u64) {
    // A file closed meanwhile has no pollers.
    if let Err(error) = rustix::io::write(device, &abi::wake_up(number)) {
        log::debug!("waking who polls: {error}");
    }
}

fn waking(device: OwnedFd, number: u64) -> Wake {
    Box::new(move || tell_to_ask(device.as_fd(), number))
}

/// Returns the number of requests that were waiting.
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
        let asked = (request.node, request.handle, request.tid);
        if let Some(tag) = self.dispatcher.tag_of_node(asked) {
            self.handover.begin_again(request, tag);
        }
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

    /// Serves the request and appends the reply to `out`. The inner error needs no view and no
    /// table.
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
            // A request of an earlier version of vistafs has no poll ID.
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
                // A repeated write must not fail because it is recorded already.
                dispatcher.write_again(handle);
                return Ok(Err(Errno::EINTR));
            }
            // MKDIR, RMDIR, SETATTR: it is unknown whether they took effect.
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
    // The device accepts an empty part, a socket does not.
    let parts = if payload.is_empty() {
        &parts[..1]
    } else {
        &parts
    };
    rustix::io::writev(device, parts).map(|_| ())
}

#[cfg(test)]
mod tests;
