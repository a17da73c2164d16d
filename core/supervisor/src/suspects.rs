//! Views that were being served at every one of the last crashes, and for which container.
//!
//! A crash kills the worker and not the view that has caused it, and the next worker is sent the same
//! request. So what was in service at a crash is suspect. If it is the same view for the same container alone at
//! some crashes in a row, that container does not get that view any more: it may have made what the view
//! fails at. All other containers have it until several of them have lost it. A view that is served
//! for different containers at the crashes is suspect by itself. A worker that somebody kills is no crash.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use serde::{Deserialize, Serialize};

/// So many crashes in a row are no chance.
const ENOUGH: u32 = 3;
/// Crashes further apart than this, in seconds, are not in a row.
const ROW: u64 = 600;

/// What a worker was serving.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Suspect {
    /// The view; empty: none.
    pub(crate) view: String,
    /// Short for the container that it was served for; 0: for none, or for several.
    pub(crate) container: u32,
}

/// What is known of the last crashes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspects {
    /// The views that were served at each of them.
    views: BTreeSet<String>,
    /// The same with their containers, if they were the same at each of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pairs: BTreeSet<Suspect>,
    /// How many there were.
    times: u32,
    /// The last of them, in seconds since 1970.
    at: u64,
}

impl Suspects {
    /// A worker has crashed while it served these; the one that is to be kept from its container, or from all of
    /// them, and how often it was served at a crash.
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
            // For different ones.
            _ => 0,
        };
        Some((Suspect { view, container }, times))
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
        // Two of them still.
        assert_eq!(suspects.crashed(of(0, &["stat", "meminfo"]), 102), None);
        let last = suspects.crashed(of(0, &["uptime", "stat"]), 103);
        assert_eq!(last, found("stat", 0, 4));
        // It begins anew.
        assert_eq!(suspects.crashed(of(0, &["stat"]), 104), None);
    }

    #[test]
    fn a_container_that_crashes_workers_alone_loses_the_view_alone() {
        let mut suspects = Suspects::default();
        // Another container was served at the same time, but not at each crash.
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
        // Nor those that are far apart.
        for at in 1..100 {
            assert_eq!(suspects.crashed(of(7, &["stat"]), at * (ROW + 1)), None);
        }
    }
}
