//! `vistafs repair` of a container of LXC, in which nothing is started anew.

use std::process::Command;

use vistafs_tests::require_guest;
use vistafs_tests::vistafs::{MountOptions, Mounted, printed, vistafs, wait_until};

use crate::readers::{container, sees_itself};

#[test]
fn a_container_of_lxc_sees_itself_again() {
    require_guest!();
    let mut mounted = Mounted::new();
    let root = mounted.root();
    let root = root.to_str().unwrap();
    let container = container(&mounted.root());
    // The mount is dead, and then is none, and another one is made.
    mounted.die();
    assert!(!sees_itself(&container));
    let umount = Command::new("umount").args(["-l", root]).status().unwrap();
    assert!(umount.success());
    mounted.start(&MountOptions::default());
    assert!(!sees_itself(&container));
    let report = printed(&vistafs(&["repair", "--mount", root]));
    assert!(
        report.lines().any(|line| line.contains("/proc/meminfo")
            && line.contains("guests/box")
            && line.ends_with("repaired")),
        "{report}"
    );
    assert!(sees_itself(&container), "{report}");
    // It has nothing left to do, and nothing piles up.
    let again = printed(&vistafs(&["repair", "--mount", root]));
    assert!(!again.contains("/proc/meminfo"), "{again}");
    // `vistafs mount` does so by itself.
    mounted.die();
    assert!(!sees_itself(&container));
    mounted.start(&MountOptions {
        repairs: true,
        ..MountOptions::default()
    });
    wait_until("the container sees itself", || sees_itself(&container));
}
