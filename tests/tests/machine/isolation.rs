//! What one container does, no other container may feel: one file for each rule, which attacks it.

use std::path::PathBuf;

use vistafs_cgroup::Version;
use vistafs_tests::attackers::ROLES;
use vistafs_tests::cgroup::{TestCgroup, hierarchies};
use vistafs_tests::role;

/// Queries and changes of deep cgroups.
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

/// The path of a cgroup below a mount, in the hierarchy of the cpu controller.
fn below_mount(cgroup: &TestCgroup) -> PathBuf {
    let all = hierarchies();
    let index = all.index_of("cpu").unwrap();
    let name = all.all()[index].name();
    let own = cgroup.path().strip_prefix("/").unwrap();
    PathBuf::from("cgroup").join(name).join(own)
}

/// The directory of a cgroup in the hierarchy whose tasks vistafs counts: the first one of v1, if there is any.
fn counted(cgroup: &TestCgroup) -> PathBuf {
    let all = hierarchies();
    let v1 = all.all().iter().find(|one| one.version() == Version::V1);
    let root = v1.map_or_else(
        || cgroup.directory("cpu"),
        |one| {
            one.root()
                .path()
                .join(cgroup.path().strip_prefix("/").unwrap())
        },
    );
    assert!(root.is_dir(), "{} is missing", root.display());
    root
}

/// Makes directories in a cgroup, from the host.
fn make(directory: &std::path::Path, count: usize) {
    for number in 0..count {
        let path = directory.join(format!("g{number}"));
        std::fs::create_dir(&path).unwrap_or_else(|e| panic!("mkdir {}: {e}", path.display()));
    }
}

/// The words of an attack, as text.
macro_rules! words {
    ($($word:expr),* $(,)?) => { vec![$($word.to_string()),*] };
}
use words;
