//! What one container does, no other container may feel: one file for each rule, which attacks it.

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

/// Names that exist, but not for everybody.
#[path = "isolation/names.rs"]
mod names;

/// New namespaces of a container with many processes.
#[path = "isolation/namespaces.rs"]
mod namespaces;

/// Threads of queues.
#[path = "isolation/offload_threads.rs"]
mod offload_threads;

/// The queue of one container is no fault of the worker.
#[path = "isolation/own_queue.rs"]
mod own_queue;

/// Reads that go through the kernel's page cache.
#[path = "isolation/page_cache.rs"]
mod page_cache;

/// Many readers of files that take long.
#[path = "isolation/slow_files.rs"]
mod slow_files;

/// Containers with many cgroups.
#[path = "isolation/wide.rs"]
mod wide;

/// The entry of the processes that tests start in containers. As a test of its own: role names are unique.
#[test]
fn role() {
    role::play(ROLES);
    let mut names: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ROLES.len());
}

/// The words of an attack, as text.
macro_rules! words {
    ($($word:expr),* $(,)?) => { vec![$($word.to_string()),*] };
}
use words;
