//! Views that were being served at every one of the last crashes.
//!
//! A crash kills the worker and not the view that has caused it, and the next worker is sent the same
//! request. So what was in flight at a crash is suspect; and if it is the same view alone at some
//! crashes in a row, that view is put aside, and all others live on. A worker that somebody kills is
//! no crash.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use serde::{Deserialize, Serialize};

/// So many crashes in a row are no chance.
const ENOUGH: u32 = 3;
/// Crashes further apart than this, in seconds, are not in a row.
const ROW: u64 = 600;

/// What is known of the last crashes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspects {
    /// The views that were served at each of them.
    views: BTreeSet<String>,
    /// How many there were.
    times: u32,
    /// The last of them, in seconds since 1970.
    at: u64,
}

impl Suspects {
    /// A worker has crashed while it served these views; the one to be put aside, and how often it
    /// was served at a crash.
    pub(crate) fn crashed(&mut self, served: BTreeSet<String>, at: u64) -> Option<(String, u32)> {
        let in_a_row = self.times > 0 && at.saturating_sub(self.at) <= ROW;
        let common: BTreeSet<String> = self.views.intersection(&served).cloned().collect();
        self.at = at;
        if in_a_row && !common.is_empty() {
            self.times += 1;
            self.views = common;
        } else {
            self.times = u32::from(!served.is_empty());
            self.views = served;
        }
        if self.times < ENOUGH || self.views.len() != 1 {
            return None;
        }
        let times = std::mem::take(&mut self.times);
        std::mem::take(&mut self.views)
            .pop_first()
            .map(|view| (view, times))
    }
}

/// Whether a process ended by its own fault.
pub(crate) fn is_crash(status: WaitStatus) -> bool {
    match status {
        WaitStatus::Exited(_, code) => code != 0,
        WaitStatus::Signaled(_, signal, _) => matches!(
            signal,
            Signal::SIGSEGV
                | Signal::SIGABRT
                | Signal::SIGBUS
                | Signal::SIGILL
                | Signal::SIGFPE
                | Signal::SIGTRAP
                | Signal::SIGSYS
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_one_that_was_served_at_each_crash_is_put_aside() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.crashed(views(&["stat", "meminfo"]), 100), None);
        assert_eq!(suspects.crashed(views(&["stat", "meminfo"]), 101), None);
        // Two of them still.
        assert_eq!(suspects.crashed(views(&["stat", "meminfo"]), 102), None);
        let found = suspects.crashed(views(&["uptime", "stat"]), 103);
        assert_eq!(found, Some(("stat".to_owned(), 4)));
        // It begins anew.
        assert_eq!(suspects.crashed(views(&["stat"]), 104), None);
    }

    #[test]
    fn crashes_without_a_common_view_accuse_none() {
        let mut suspects = Suspects::default();
        for at in 0..100 {
            let view = ["stat", "uptime", "meminfo"][usize::try_from(at % 3).unwrap()];
            assert_eq!(suspects.crashed(views(&[view]), at), None);
            assert_eq!(suspects.crashed(views(&[]), at), None);
        }
        // Nor those that are far apart.
        for at in 1..100 {
            assert_eq!(suspects.crashed(views(&["stat"]), at * (ROW + 1)), None);
        }
    }
}
