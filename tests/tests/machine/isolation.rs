//! No container can affect another one: one file for each rule, with an attack on it.

use vistafs_tests::attackers::ROLES;
use vistafs_tests::role;

/// Requests for deep cgroups.
#[path = "isolation/deep.rs"]
mod deep;

/// Memory for open files and listings.
#[path = "isolation/budgets.rs"]
mod budgets;

/// Changes of directories that containers share.
#[path = "isolation/cgroup_mkdir.rs"]
mod cgroup_mkdir;

/// Descriptors that are held for namespaces.
#[path = "isolation/descriptors.rs"]
mod descriptors;

/// Leases on shared files.
#[path = "isolation/leases.rs"]
mod leases;

/// Names that exist, but are hidden from some callers.
#[path = "isolation/names.rs"]
mod names;

/// New namespaces in a container with many processes.
#[path = "isolation/namespaces.rs"]
mod namespaces;

/// Offload threads.
#[path = "isolation/offload_threads.rs"]
mod offload_threads;

/// A long queue of one container does not make the worker count as stuck.
#[path = "isolation/own_queue.rs"]
mod own_queue;

/// Reads that go through the kernel's page cache.
#[path = "isolation/page_cache.rs"]
mod page_cache;

/// Many readers of slow files.
#[path = "isolation/slow_files.rs"]
mod slow_files;

/// Containers with many cgroups.
#[path = "isolation/wide.rs"]
mod wide;

/// The entry point of the processes that tests start in containers. A separate test, since role names are
/// unique.
#[test]
fn role() {
    role::play(ROLES);
    let mut names: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ROLES.len());
}

/// Formats the arguments of an attack.
macro_rules! words {
    ($($word:expr),* $(,)?) => { vec![$($word.to_string()),*] };
}
use words;
