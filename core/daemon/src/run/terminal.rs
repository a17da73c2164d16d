//! The foreground process group of the terminal.
//!
//! A shell in the container makes its own process group the foreground one. It cannot restore the previous group
//! when it exits, as that group has no ID in its pid namespace. So `run` restores it; otherwise the
//! calling script would be stopped at its next read.

use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// The foreground process group at the start; restored on drop.
pub(super) struct Terminal {
    foreground: Option<Pid>,
}

impl Terminal {
    /// Saves the foreground group of standard input's terminal, if it is a terminal and this process is in the
    /// foreground.
    pub(super) fn remember() -> Self {
        // 0 is a group without an ID in this pid namespace.
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
        // A background group is stopped by this call unless the signal is blocked.
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
