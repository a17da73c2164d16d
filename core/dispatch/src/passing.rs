//! Passing the host's files to containers, as if there were no vistafs: all views of files below
//! `proc` and `sys` at once, which the administrator turns on and off, or some for good.
//!
//! Reading alone: what is written to a file, and who may write, stays as it was. The cgroup tree is
//! never passed, for it is what keeps containers from each other's cgroups.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is passed.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    all: AtomicBool,
    some: OnceLock<HashSet<&'static str>>,
}

impl Passing {
    /// Everything, or no more than some.
    pub(crate) fn set(&self, all: bool) {
        self.all.store(all, Ordering::Relaxed);
    }

    /// Whether everything is passed that can be.
    pub(crate) fn is_set(&self) -> bool {
        self.all.load(Ordering::Relaxed)
    }

    /// The names of views that are passed for good; to be said once.
    pub(crate) fn set_views(&self, names: &[&'static str]) {
        // A second time would be a mistake of ours, which changes nothing.
        let _ = self.some.set(names.iter().copied().collect());
    }

    /// Whether a view passes the host's file.
    pub(crate) fn has(&self, path: &str, name: &str) -> bool {
        let is_one = || self.some.get().is_some_and(|some| some.contains(name));
        let can_be = || path.starts_with("proc/") || path.starts_with("sys/");
        (self.is_set() || is_one()) && can_be()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_tree_is_never_passed() {
        let passing = Passing::default();
        assert!(!passing.has("proc/loadavg", "loadavg"));
        passing.set_views(&["loadavg"]);
        assert!(passing.has("proc/loadavg", "loadavg") && !passing.has("proc/stat", "stat"));
        passing.set(true);
        assert!(
            passing.has("proc/stat", "stat") && passing.has("sys/devices/system/cpu", "sys-cpu")
        );
        assert!(!passing.has("cgroup", "cgroup") && !passing.has("metrics", "metrics"));
        passing.set(false);
        assert!(!passing.has("proc/stat", "stat") && passing.has("proc/loadavg", "loadavg"));
    }
}
