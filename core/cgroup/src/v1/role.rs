//! Purpose of the files of a v1 cgroup.
//!
//! `Documentation/admin-guide/cgroup-v1/cgroups.rst`.

use crate::Role;

pub(crate) fn of(name: &[u8]) -> Role {
    match name {
        b"cgroup.procs" => Role::Processes,
        b"tasks" => Role::Threads,
        // Initial settings of children, and notification when they end.
        b"cgroup.clone_children" | b"notify_on_release" => Role::Delegated,
        b"cgroup.event_control" => Role::TakesDescriptors,
        _ => Role::Limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_rule() {
        for name in [
            "memory.limit_in_bytes",
            "freezer.state",
            "devices.allow",
            "release_agent",
            "",
        ] {
            assert_eq!(of(name.as_bytes()), Role::Limit);
        }
        assert_eq!(of(b"tasks"), Role::Threads);
        assert_eq!(of(b"cgroup.threads"), Role::Limit);
        assert_eq!(of(b"cgroup.event_control"), Role::TakesDescriptors);
    }
}
