//! Leaving without losing a request.
//!
//! fuser's threads wait in read(2) on the device, and nothing ends that but a request or a signal.
//! So a pair of sockets takes the place of the device behind fuser's descriptor: whoever comes to
//! read next finds the end of it, and ends; what is still being answered is written to the pair, and
//! passed on from its other end to the device. A signal that does nothing gets the threads out of the
//! read that they are in; none of them had a request then, or the read would have succeeded. When
//! the last answer is given, fuser's end of the pair is closed, and that is seen at the other.

#![allow(
    unsafe_code,
    reason = "a handler for a signal, a signal to one thread, and a descriptor that fuser owns"
)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use fuser::{Notifier, Session};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use vistafs_dispatch::{VistaFs, wake_pollers};
use vistafs_handover::Handover;

use crate::adopt;

/// Interrupts a read, and nothing else: ignored by default, and nobody else here uses it.
const INTERRUPT: Signal = Signal::SIGURG;
/// How long what is being answered may take.
const MOST: Duration = Duration::from_secs(4);
/// Longer than any reply.
const LONGEST: usize = 2 << 20;

/// What is needed for it.
pub(crate) struct Drain {
    device: OwnedFd,
    handover: Option<Arc<Handover>>,
    number: RawFd,
    // As long as it is there, so is fuser's descriptor.
    held: Notifier,
}

impl Drain {
    /// For a session that has not begun.
    pub(crate) fn new(
        session: &Session<VistaFs>,
        device: OwnedFd,
        handover: Option<Arc<Handover>>,
    ) -> anyhow::Result<Self> {
        let nothing = SigAction::new(
            SigHandler::Handler(nothing),
            // A thread may have left read(2) when the signal comes, and be in a call of a view's: the kernel
            // restarts that one. It restarts a read of the device, too, with what is in its place by then.
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        // SAFETY: the handler does nothing, which it may do anywhere.
        unsafe { sigaction(INTERRUPT, &nothing) }.context("cannot handle signals")?;
        Ok(Self {
            device,
            handover,
            number: session.as_fd().as_raw_fd(),
            held: session.notifier(),
        })
    }

    /// Stops reading and waits until all that was read is answered, but not for ever; whether it is.
    /// `ended` can be read when fuser's threads have ended.
    pub(crate) fn drain(self, ended: &OwnedFd) -> bool {
        // fuser takes the end of its input for a fault of the kernel's, and says so.
        let level = log::max_level();
        log::set_max_level(log::LevelFilter::Off);
        let (handover, device) = (self.handover.clone(), self.device.try_clone());
        let deadline = Instant::now() + MOST;
        let outcome = self
            .pass_on(ended, deadline)
            .and_then(|()| await_redone(handover.as_deref(), deadline));
        if let (Some(handover), Ok(device)) = (handover, device) {
            // Whom only we could wake: they ask again, and another worker.
            wake_pollers(&handover, device.as_fd());
        }
        log::set_max_level(level);
        if let Err(errno) = outcome {
            log::warn!("leaving with requests unanswered: {errno} (the next worker answers them)");
        }
        outcome.is_ok()
    }

    fn pass_on(self, ended: &OwnedFd, deadline: Instant) -> rustix::io::Result<()> {
        let (ours, theirs) = adopt::pair()?;
        shutdown(&ours, Shutdown::Write)?;
        // SAFETY: `held` keeps it open.
        let session = unsafe { BorrowedFd::borrow_raw(self.number) };
        adopt::replace(session, &theirs)?;
        drop(theirs);
        let mut held = Some(self.held);
        let mut reply = vec![0; LONGEST];
        while Instant::now() < deadline {
            if held.is_some() {
                interrupt_readers(self.number);
            }
            let mut fds = vec![PollFd::new(&ours, PollFlags::IN)];
            if held.is_some() {
                fds.push(PollFd::new(ended, PollFlags::IN));
            }
            let soon = Timespec {
                tv_sec: 0,
                tv_nsec: 2_000_000,
            };
            poll(&mut fds, Some(&soon))?;
            if fds.get(1).is_some_and(|ended| !ended.revents().is_empty()) {
                // Who still answers has a hold of its own.
                held = None;
            }
            match recv(&ours, &mut reply[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(()),
                Ok((length, _)) => {
                    // ENOENT: the reader has given up. There is nobody else to tell.
                    let _ = rustix::io::write(&self.device, &reply[..length]);
                }
                Err(rustix::io::Errno::AGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(rustix::io::Errno::TIMEDOUT)
    }
}

/// Waits for what an earlier worker has left and this one has taken over: it is answered past fuser
/// (`vistafs_dispatch::redo_unfinished`).
fn await_redone(handover: Option<&Handover>, deadline: Instant) -> rustix::io::Result<()> {
    while handover.is_some_and(|handover| handover.has_request(handover.generation())) {
        if Instant::now() >= deadline {
            return Err(rustix::io::Errno::TIMEDOUT);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

extern "C" fn nothing(_: libc::c_int) {}

/// Gets fuser's threads out of a read of the descriptor. Whoever does something else is left alone:
/// it would see its own call fail.
fn interrupt_readers(number: RawFd) {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return;
    };
    let reads = format!("{} {number:#x} ", libc::SYS_read);
    for task in tasks.flatten() {
        let doing = std::fs::read_to_string(task.path().join("syscall"));
        let tid = task.file_name().to_str().and_then(|name| name.parse().ok());
        if let (Ok(doing), Some(tid)) = (doing, tid)
            && doing.starts_with(&reads)
        {
            let (group, tid): (libc::pid_t, libc::pid_t) = (nix::unistd::getpid().as_raw(), tid);
            // SAFETY: numbers alone; a thread that is gone is no error that matters.
            unsafe { libc::syscall(libc::SYS_tgkill, group, tid, INTERRUPT as libc::c_int) };
        }
    }
}
