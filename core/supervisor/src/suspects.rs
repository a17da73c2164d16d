//! Views that were in service at each of the last crashes, and their containers.
//!
//! A crash kills the worker, not the view that caused it, and the next worker receives the same request. So the views in
//! service at a crash are suspects. If only one pair of view and container was in service at several crashes in a row,
//! the view is disabled for that container, which may have caused the failure. The other containers keep the view until
//! it is disabled for several of them. A view that was in service for different containers is a suspect on its own. A
//! worker that another process killed is not a crash.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use serde::{Deserialize, Serialize};

/// Number of crashes in a row that is not a coincidence.
const ENOUGH: u32 = 3;
/// Maximum time between two crashes in a row, in seconds.
const ROW: u64 = 600;

/// A view in service, and its container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Suspect {
    /// The name of the view; empty: none.
    pub(crate) view: String,
    /// The tag of the container; 0: none, or several.
    pub(crate) container: u32,
}

/// The record of the last crashes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspects {
    /// The views in service at each of them.
    views: BTreeSet<String>,
    /// The same with their containers, if they were the same at each crash.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pairs: BTreeSet<Suspect>,
    /// Number of crashes.
    times: u32,
    /// Time of the last crash, in seconds since 1970.
    at: u64,
}

impl Suspects {
    /// Records a crash with the requests in service. Returns the suspect to disable, if there is one, and
    /// the number of crashes at which it was in service.
    pub(crate) fn crashed(
        &mut self,
        mut served: BTreeSet<Suspect>,
        at: u64,
    ) -> Option<(Suspect, u32)> {
        served.retain(|one| !one.view.is_empty());
        let views: BTreeSet<String> = served.iter().map(|one| one.view.clone()).collect();
        let in_a_row = self.times > 0 && at.saturating_sub(self.at) <= ROW;
        let common: BTreeSet<String> = self.views.intersection(&views).cloned().collect();
        self.at = at;
        if in_a_row && !common.is_empty() {
            self.times += 1;
            self.views = common;
            self.pairs = self.pairs.intersection(&served).cloned().collect();
        } else {
            self.times = u32::from(!views.is_empty());
            self.views = views;
            self.pairs = served;
        }
        if self.times < ENOUGH || self.views.len() != 1 {
            return None;
        }
        let times = std::mem::take(&mut self.times);
        let view = std::mem::take(&mut self.views).pop_first()?;
        let mut pairs = std::mem::take(&mut self.pairs).into_iter();
        let container = match (pairs.find(|one| one.view == view), pairs.next()) {
            (Some(one), None) => one.container,
            // For different containers.
            _ => 0,
        };
        Some((Suspect { view, container }, times))
    }
}

/// Returns whether a process ended by its own fault.
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

    fn of(container: u32, names: &[&str]) -> BTreeSet<Suspect> {
        let suspect = |name: &&str| Suspect {
            view: (*name).to_owned(),
            container,
        };
        names.iter().map(suspect).collect()
    }

    fn found(view: &str, container: u32, times: u32) -> Option<(Suspect, u32)> {
        let view = view.to_owned();
        Some((Suspect { view, container }, times))
    }

    #[test]
    fn the_one_that_was_served_at_each_crash_is_put_aside() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.crashed(of(0, &["stat", "meminfo"]), 100), None);
        assert_eq!(suspects.crashed(of(0, &["stat", "meminfo"]), 101), None);
        // Two suspects are left.
        assert_eq!(suspects.crashed(of(0, &["stat", "meminfo"]), 102), None);
        let last = suspects.crashed(of(0, &["uptime", "stat"]), 103);
        assert_eq!(last, found("stat", 0, 4));
        // The count starts again.
        assert_eq!(suspects.crashed(of(0, &["stat"]), 104), None);
    }

    #[test]
    fn a_container_that_crashes_workers_alone_loses_the_view_alone() {
        let mut suspects = Suspects::default();
        // Another container was in service too, but not at each crash.
        let both = &of(7, &["stat"]) | &of(8, &["stat", "uptime"]);
        assert_eq!(suspects.crashed(both.clone(), 100), None);
        assert_eq!(suspects.crashed(of(7, &["stat"]), 101), None);
        assert_eq!(suspects.crashed(both, 102), found("stat", 7, 3));
    }

    #[test]
    fn a_view_that_crashes_for_different_containers_is_suspect_itself() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.crashed(of(7, &["stat"]), 100), None);
        assert_eq!(suspects.crashed(of(8, &["stat"]), 101), None);
        assert_eq!(suspects.crashed(of(7, &["stat"]), 102), found("stat", 0, 3));
    }

    #[test]
    fn crashes_without_a_common_view_accuse_none() {
        let mut suspects = Suspects::default();
        for at in 0..100 {
            let view = ["stat", "uptime", "meminfo"][usize::try_from(at % 3).unwrap()];
            assert_eq!(suspects.crashed(of(7, &[view]), at), None);
            assert_eq!(suspects.crashed(of(0, &[""]), at), None);
        }
        // Nor are crashes that are far apart.
        for at in 1..100 {
            assert_eq!(suspects.crashed(of(7, &["stat"]), at * (ROW + 1)), None);
        }
    }
}
