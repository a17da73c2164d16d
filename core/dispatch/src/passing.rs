//! Passthrough: shows the host's files to containers, as if vistafs were not mounted. The admin
//! switches it for all file views below `proc` and `sys`, or configures single views.
//!
//! It affects reads only: writes and permissions do not change. The cgroup tree never uses
//! passthrough, because it isolates the cgroups of containers.

use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The views that use passthrough.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    all: AtomicBool,
    some: OnceLock<HashSet<&'static str>>,
}

impl Passing {
    /// Enables passthrough for all views, or only for the configured ones.
    pub(crate) fn set(&self, all: bool) {
        self.all.store(all, Ordering::Relaxed);
    }

    /// Returns whether passthrough is enabled for all views.
    pub(crate) fn is_set(&self) -> bool {
        self.all.load(Ordering::Relaxed)
    }

    /// Sets the names of views that always use passthrough. Call once.
    pub(crate) fn set_views(&self, names: &[&'static str]) {
        // A second call is a bug; it has no effect.
        let _ = self.some.set(names.iter().copied().collect());
    }

    /// Returns whether a view uses passthrough.
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
