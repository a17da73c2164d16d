//! Whose turn it is at the terminal.
//!
//! A shell in the container takes the terminal for its own process group. It cannot give it back
//! when it ends, as our group has no number in its pid namespace; so we take it back, or the
//! script that called us would be stopped at its next read.

use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// The foreground process group as it was; set again when dropped.
pub(super) struct Terminal {
    foreground: Option<Pid>,
}

impl Terminal {
    /// Remembers the foreground group of the terminal that is standard input, if one is and the
    /// turn is ours.
    pub(super) fn remember() -> Self {
        // 0 is a group that our pid namespace has no number for: not ours to set.
        let group = getpgrp();
        let foreground = (group.as_raw() > 0 && foreground() == Some(group)).then_some(group);
        Self { foreground }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let Some(group) = self.foreground else {
            return;
        };
        if foreground() == Some(group) {
            return;
        }
        // A group in the background is stopped when it does this, unless the signal is blocked.
        let mut mask = nix::sys::signal::SigSet::empty();
        mask.add(nix::sys::signal::SIGTTOU);
        if mask.thread_block().is_ok() {
            let _ = tcsetpgrp(std::io::stdin(), group);
        }
    }
}

fn foreground() -> Option<Pid> {
    tcgetpgrp(std::io::stdin()).ok()
}
