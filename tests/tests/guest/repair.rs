//! `vistafs repair` of an LXC container, in which nothing is restarted.

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
    // The mount is dead, then unmounted, then replaced by a new one.
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
    // A second repair finds nothing to do, and mounts do not pile up.
    let again = printed(&vistafs(&["repair", "--mount", root]));
    assert!(!again.contains("/proc/meminfo"), "{again}");
    // `vistafs mount` repairs at start.
    mounted.die();
    assert!(!sees_itself(&container));
    mounted.start(&MountOptions {
        repairs: true,
        ..MountOptions::default()
    });
    wait_until("the container sees itself", || sees_itself(&container));
}
