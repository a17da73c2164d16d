//! The memory for the open files and directories of one container is bounded.

use vistafs_tests::arena::{Arena, scaled};
use vistafs_tests::container::Namespaces;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::words;

const FILES: usize = 19_000;
const DIRECTORIES: usize = 500;
const ENTRIES: usize = 3000;

/// A partially read file keeps its contents, because the rest must be of the same snapshot.
#[test]
fn files_that_are_half_read_have_a_budget() {
    require_privileged!();
    let arena = Arena::default();
    let cgroup = arena.attackers("holder");
    let files = ["proc/meminfo", "proc/vmstat", "proc/stat", "proc/cpuinfo"];
    let root = arena.mounted().root();
    let paths = files.map(|file| root.join(file).display().to_string());
    let start = Start {
        args: [words![scaled(FILES)], paths.to_vec()].concat(),
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "holders", start);
    arena.withstand(vec![attack]);
}

#[test]
fn listings_have_a_budget() {
    require_privileged!();
    let arena = Arena::default();
    let cgroup = arena.attackers("lister");
    cgroup.widen(scaled(ENTRIES));
    let directory = arena.mounted().root().join(cgroup.below_mount());
    let start = Start {
        args: words![DIRECTORIES, directory.display()],
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "listings", start);
    arena.withstand(vec![attack]);
}
