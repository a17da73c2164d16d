//! Each new namespace of a container is resolved again. The cost grows with the container's processes, so a
//! container that creates namespaces must delay only itself.

use vistafs_tests::arena::{Arena, scaled};
use vistafs_tests::container::Namespaces;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::words;

const PROCESSES: usize = 1500;

fn attack_from(namespaces: Namespaces, arena: Arena) {
    let cgroup = arena.attackers("leaver");
    let path = arena.mounted().path("proc/uptime");
    let start = Start {
        args: words![4, 0, scaled(PROCESSES), path.display()],
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, namespaces, "namespaces", start);
    arena.withstand(vec![attack]);
}

#[test]
fn new_namespaces_of_a_crowded_container_delay_no_other() {
    require_privileged!();
    attack_from(Namespaces::Both, Arena::default());
}

/// Without a PID namespace, the container has no init.
#[test]
fn new_namespaces_of_a_crowded_container_in_the_hosts_pid_namespace_delay_no_other() {
    require_privileged!();
    attack_from(Namespaces::Cgroup, Arena::default());
}

/// The victim has no init either: both share the host's PID namespace, and yet are two containers.
#[test]
fn new_namespaces_of_a_crowded_container_delay_no_neighbour_in_the_hosts_pid_namespace() {
    require_privileged!();
    let arena = Arena::with("", Namespaces::Cgroup, |_| Vec::new());
    attack_from(Namespaces::Cgroup, arena);
}
