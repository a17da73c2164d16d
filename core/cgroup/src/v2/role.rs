//! Purpose of the files of a v2 cgroup.
//!
//! `Documentation/admin-guide/cgroup-v2.rst`, "Delegation"; the kernel lists delegated files in
//! /sys/kernel/cgroup/delegate. A pressure file takes triggers, which limit nothing.

use crate::Role;

pub(crate) fn of(name: &[u8]) -> Role {
    match name {
        b"cgroup.procs" => Role::Processes,
        b"cgroup.threads" => Role::Threads,
        b"cgroup.subtree_control" | b"memory.oom.group" | b"memory.reclaim" => Role::Delegated,
        b"cpu.pressure" | b"io.pressure" | b"irq.pressure" | b"memory.pressure" => Role::Delegated,
        _ => Role::Limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_rule() {
        for name in [
            "memory.max",
            "cgroup.freeze",
            "cgroup.kill",
            "cgroup.pressure",
            "tasks",
        ] {
            assert_eq!(of(name.as_bytes()), Role::Limit);
        }
        assert_eq!(of(b"cgroup.procs"), Role::Processes);
        assert_eq!(of(b"cgroup.subtree_control"), Role::Delegated);
    }
}
