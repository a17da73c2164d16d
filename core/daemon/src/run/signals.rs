//! Signals as events, for `run` and its init.
//!
//! The signals stay blocked in all threads of the process, and are read from a signalfd one by one: none
//! interrupts an operation, and none is lost. `vistafs_host::spawn` gives children an empty
//! mask.

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::Signal;

/// The signals that are forwarded to the command.
const PASSED_ON: [(NixSignal, Signal); 6] = [
    (NixSignal::SIGHUP, Signal::HUP),
    (NixSignal::SIGINT, Signal::INT),
    (NixSignal::SIGQUIT, Signal::QUIT),
    (NixSignal::SIGTERM, Signal::TERM),
    (NixSignal::SIGUSR1, Signal::USR1),
    (NixSignal::SIGUSR2, Signal::USR2),
];

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// One or more children have ended or stopped.
    ChildChanged,
    /// A signal for the command.
    PassOn(Signal),
}

/// The blocked signals and their signalfd.
pub(super) struct Signals {
    queue: SignalFd,
}

impl Signals {
    /// Blocks the signals in this thread and in later ones.
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

/// Returns `None` for a signal that is ignored.
fn event(number: u32, code: i32) -> Option<Event> {
    let number = i32::try_from(number).ok()?;
    if number == libc::SIGCHLD {
        return Some(Event::ChildChanged);
    }
    let (_, signal) = PASSED_ON.into_iter().find(|(n, _)| *n as i32 == number)?;
    // Codes above zero are from the kernel: Ctrl-C and Ctrl-\ at the terminal, which the command has received
    // itself, as it is in the same process group, or is not meant to receive. A hangup of the terminal
    // is forwarded all the same: a second SIGHUP does no harm, and without one the command might
    // run for ever.
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
