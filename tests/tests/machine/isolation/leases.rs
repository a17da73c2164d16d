//! A lease on a file of the mount makes every conflicting open wait for 45 s. Root in a container can take
//! one without any capability, since the files belong to root.

use std::path::PathBuf;

use vistafs_tests::arena::Arena;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer};
use vistafs_tests::require_privileged;
use vistafs_tests::role::{Running, Start};
use vistafs_tests::vistafs::Mounted;

/// Drops all capabilities.
const SCRIPT: &str =
    "exec setpriv --bounding-set=-all --inh-caps=-all \"$ROLE_PROGRAM\" $ROLE_ARGS";

fn attack_with(kind: &str, arena: Arena, files: &[&str]) {
    let cgroup = arena.attackers("lessee");
    let root = arena.mounted().root();
    let paths = files
        .iter()
        .map(|file| root.join(file).display().to_string());
    let start = Start {
        args: std::iter::once(kind.to_owned()).chain(paths).collect(),
        script: SCRIPT,
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "leases", start);
    arena.withstand(vec![attack]);
}

#[test]
fn write_leases_delay_no_reader() {
    require_privileged!();
    let files = [
        "proc/uptime",
        "proc/meminfo",
        "sys/devices/system/cpu/online",
    ];
    attack_with("write", Arena::default(), &files);
}

/// Each file that several containers open, including those in trees. With CAP_LEASE on the host the kernel
/// grants leases on files of trees: see contrib/doc/SECURITY.md.
#[test]
fn no_file_of_the_mount_grants_a_write_lease() {
    require_privileged!();
    let (mounted, cgroup) = (Mounted::new(), TestCgroup::new());
    let start = Start {
        args: ["proc", "sys"]
            .map(|top| mounted.path(top).display().to_string())
            .to_vec(),
        script: SCRIPT,
        ..Start::default()
    };
    let container = TestContainer::new(&mounted, &cgroup);
    let mut lines = Running::start(&container, "lease-all", start).rest();
    let last = lines.pop().unwrap_or_default();
    let tried = last
        .strip_prefix("tried ")
        .and_then(|n| n.parse::<u32>().ok());
    assert!(tried.is_some_and(|tried| tried > 20), "{last:?}");
    assert!(lines.is_empty(), "of {tried:?} files: {lines:#?}");
}

/// Writable files: a read lease conflicts with an open for writing.
#[test]
fn read_leases_delay_no_writer() {
    require_privileged!();
    let trigger = PathBuf::from("proc/pressure/memory!");
    let arena = Arena::with("", Namespaces::Both, |_| vec![trigger]);
    attack_with("read", arena, &["proc/pressure/memory", "proc/uptime"]);
}
