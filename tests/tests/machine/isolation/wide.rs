//! Counting the threads of a container with very many cgroups is slow.

use vistafs_tests::arena::{Arena, scaled};
use vistafs_tests::container::Namespaces;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::words;

const CGROUPS: usize = 60_000;

#[test]
fn a_container_of_sixty_thousand_cgroups_delays_no_other() {
    require_privileged!();
    let arena = Arena::default();
    let cgroup = arena.attackers("wide");
    cgroup.widen(scaled(CGROUPS));
    let files = ["proc/loadavg", "proc/uptime", "proc/stat"];
    let root = arena.mounted().root();
    let paths = files.map(|file| root.join(file).display().to_string());
    let start = Start {
        args: [words![8], paths.to_vec()].concat(),
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "readers", start);
    arena.withstand(vec![attack]);
}
