//! A container that repeatedly creates namespaces does not exhaust the descriptors of the worker.

use vistafs_tests::arena::{Arena, scaled};
use vistafs_tests::container::Namespaces;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::words;

/// For each thread; the first release kept three descriptors for each namespace.
const NAMESPACES: usize = 1000;

fn attack_from(namespaces: Namespaces) {
    let arena = Arena::default();
    let cgroup = arena.attackers("leaver");
    let path = arena.mounted().path("proc/uptime");
    let start = Start {
        args: words![2, scaled(NAMESPACES), 0, path.display()],
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, namespaces, "namespaces", start);
    arena.withstand(vec![attack]);
}

#[test]
fn namespaces_that_were_left_hold_few_descriptors() {
    require_privileged!();
    attack_from(Namespaces::Both);
}

#[test]
fn namespaces_that_were_left_in_the_hosts_pid_namespace_hold_few_descriptors() {
    require_privileged!();
    attack_from(Namespaces::Cgroup);
}
