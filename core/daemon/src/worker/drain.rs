//! Leaves without losing a request.
//!
//! fuser's threads wait in read(2) on the device, which only a request or a signal ends. So a pair of sockets
//! replaces the device behind fuser's descriptor: the next read of a thread finds the end of the input, and the thread
//! exits. Replies to the requests in service are written to the pair, and copied from its other end to the
//! device. A signal without effect interrupts the threads in read(2); they have no request at
//! that time, or read(2) would have succeeded. After the last reply fuser closes its end of the pair, which
//! the other end reports.

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

/// A signal that interrupts read(2) and has no other effect: ignored by default, and not used elsewhere in this program.
const INTERRUPT: Signal = Signal::SIGURG;
/// Timeout for the requests in service.
const MOST: Duration = Duration::from_secs(4);
/// Longer than any reply.
const LONGEST: usize = 2 << 20;

/// The resources for draining a session.
pub(crate) struct Drain {
    device: OwnedFd,
    handover: Option<Arc<Handover>>,
    number: RawFd,
    // Keeps fuser's descriptor open.
    held: Notifier,
}

impl Drain {
    /// Prepares a session that has not begun.
    pub(crate) fn new(
        session: &Session<VistaFs>,
        device: OwnedFd,
        handover: Option<Arc<Handover>>,
    ) -> anyhow::Result<Self> {
        let nothing = SigAction::new(
            SigHandler::Handler(nothing),
            // A thread may have left read(2) when the signal arrives, and be in a system call of a view: the kernel
            // restarts that call. It also restarts a read of the device, which is the pair of sockets by then.
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        // SAFETY: the handler does nothing, which is allowed at any time.
        unsafe { sigaction(INTERRUPT, &nothing) }.context("cannot handle signals")?;
        Ok(Self {
            device,
            handover,
            number: session.as_fd().as_raw_fd(),
            held: session.notifier(),
        })
    }

    /// Stops reading and waits, with a timeout, for the replies to all requests; returns whether all were sent.
    /// `ended` is readable when fuser's threads have exited.
    pub(crate) fn drain(self, ended: &OwnedFd) -> bool {
        // fuser logs the end of its input as an error of the kernel.
        let level = log::max_level();
        log::set_max_level(log::LevelFilter::Off);
        let (handover, device) = (self.handover.clone(), self.device.try_clone());
        let deadline = Instant::now() + MOST;
        let outcome = self
            .pass_on(ended, deadline)
            .and_then(|()| await_redone(handover.as_deref(), deadline));
        if let (Some(handover), Ok(device)) = (handover, device) {
            // Pollers that only this worker could wake poll again, at the next worker.
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
                // Threads that still reply have a reference of their own.
                held = None;
            }
            match recv(&ours, &mut reply[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(()),
                Ok((length, _)) => {
                    // ENOENT: the caller was killed.
                    let _ = rustix::io::write(&self.device, &reply[..length]);
                }
                Err(rustix::io::Errno::AGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(rustix::io::Errno::TIMEDOUT)
    }
}

/// Waits for the requests that this worker took over from a dead one, which are not answered through fuser
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

/// Interrupts fuser's threads in a read of the descriptor. Other threads are left alone: their system calls
/// would fail.
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
            // SAFETY: it passes numbers only; for a thread that has exited the error does not matter.
            unsafe { libc::syscall(libc::SYS_tgkill, group, tid, INTERRUPT as libc::c_int) };
        }
    }
}
