//! Signals as events, for `run` and for its init alike.
//!
//! All of them stay blocked for the life of the process, in every thread that is started later,
//! and are taken from a signalfd one by one: none can end us in the middle of something, and none
//! is lost. A program that is started is given an empty mask by `vistafs_host::spawn`.

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::Signal;

/// What is passed on to the command.
const PASSED_ON: [(NixSignal, Signal); 6] = [
    (NixSignal::SIGHUP, Signal::HUP),
    (NixSignal::SIGINT, Signal::INT),
    (NixSignal::SIGQUIT, Signal::QUIT),
    (NixSignal::SIGTERM, Signal::TERM),
    (NixSignal::SIGUSR1, Signal::USR1),
    (NixSignal::SIGUSR2, Signal::USR2),
];

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// One or more children have ended or stopped.
    ChildChanged,
    /// A signal that the command should have.
    PassOn(Signal),
}

/// The blocked signals and their queue.
pub(super) struct Signals {
    queue: SignalFd,
}

impl Signals {
    /// Blocks them in this thread and those that it starts.
    pub(super) fn block() -> Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(NixSignal::SIGCHLD);
        for (signal, _) in PASSED_ON {
            mask.add(signal);
        }
        mask.thread_block().context("blocking signals")?;
        let queue = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)
            .context("opening a descriptor for signals")?;
        Ok(Self { queue })
    }

    /// Waits for the next event.
    pub(super) fn next(&self) -> Result<Event> {
        loop {
            let info = match self.queue.read_signal() {
                Ok(Some(info)) => info,
                Ok(None) | Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return Err(errno).context("waiting for a signal"),
            };
            if let Some(event) = event(info.ssi_signo, info.ssi_code) {
                return Ok(event);
            }
        }
    }
}

/// `None` for what is no business of ours.
fn event(number: u32, code: i32) -> Option<Event> {
    let number = i32::try_from(number).ok()?;
    if number == libc::SIGCHLD {
        return Some(Event::ChildChanged);
    }
    let (_, signal) = PASSED_ON.into_iter().find(|(n, _)| *n as i32 == number)?;
    // Codes above zero are the kernel's own: Ctrl-C and Ctrl-\ at the terminal, which the command
    // has had as well, being in the same process group, or was not meant to have. A terminal that
    // hangs up is told on all the same: a second SIGHUP hurts nobody, a missing one leaves the
    // command running for ever.
    let from_terminal = code > 0;
    let keyboard = matches!(number, libc::SIGINT | libc::SIGQUIT);
    (!(keyboard && from_terminal)).then_some(Event::PassOn(signal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_reaches_the_command_once() {
        const SI_USER: i32 = 0;
        const SI_KERNEL: i32 = 0x80;
        for (signal, code, expected) in [
            (libc::SIGCHLD, 1, Some(Event::ChildChanged)),
            (libc::SIGINT, SI_KERNEL, None),
            (libc::SIGINT, SI_USER, Some(Event::PassOn(Signal::INT))),
            (libc::SIGQUIT, SI_KERNEL, None),
            (libc::SIGHUP, SI_KERNEL, Some(Event::PassOn(Signal::HUP))),
            (libc::SIGTERM, SI_USER, Some(Event::PassOn(Signal::TERM))),
            (libc::SIGALRM, SI_USER, None),
        ] {
            let number = u32::try_from(signal).unwrap();
            assert_eq!(event(number, code), expected, "{signal} {code}");
        }
    }
}
