//! The view `cgroup` in its intended place: systemd in a container that has the host's cgroup namespace.
//! Privileged and unprivileged, on each layout, set up as CGROUP_TREE.md describes.

#[path = "cgroup_tree/host.rs"]
pub(crate) mod host;
#[path = "cgroup_tree/life.rs"]
mod life;
#[path = "cgroup_tree/lxc.rs"]
pub(crate) mod lxc;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use vistafs_tests::require_guest;
use vistafs_tests::vistafs::{Mounted, printed, wait_for};

use host::Host;
use life::{a_service_has_its_limit, lives_in_its_tree, sessions_come_and_go};
use lxc::Container;

const SYSTEMD_ENDS: Duration = Duration::from_secs(120);

/// Units that fail because the kernel does not let root of a user namespace mount these file systems.
const NOT_MOUNTED: &[&str] = &["sys-kernel-debug.mount", "sys-kernel-tracing.mount"];

/// Starts a container with the page's settings for this layout.
#[track_caller]
fn start(host: &Host, mounted: &Mounted, kind: &str) -> Container {
    if host.is_v2() {
        set_logind(lxc::block("conf", "logind"));
        return Container::start(&["every", kind, "v2"], "", &mounted.root());
    }
    start_v1(mounted, kind, "")
}

#[track_caller]
fn start_v1(mounted: &Mounted, kind: &str, more: &str) -> Container {
    let lines = lxc::block("sh", "hierarchies");
    let lines = lines.replace(lxc::PLACE, mounted.root().to_str().unwrap());
    let lines = printed(&Command::new("sh").args(["-c", &lines]).output().unwrap());
    Container::start(&["every", kind, "v1"], &(lines + more), &mounted.root())
}

/// Writes logind's settings for containers that are started later.
fn set_logind(settings: &str) {
    let dir = Path::new("/srv/container/etc/systemd/logind.conf.d");
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("box.conf"), settings).unwrap();
}

#[test]
fn systemd_as_root() {
    require_guest!();
    let (host, mounted) = (Host::new(), Mounted::new());
    let container = start(&host, &mounted, "privileged");
    runs_systemd(&host, container, 0, &[]);
}

#[test]
fn systemd_with_a_user_namespace() {
    require_guest!();
    let (host, mounted) = (Host::new(), Mounted::new());
    let container = start(&host, &mounted, "unprivileged");
    runs_systemd(&host, container, 100_000, NOT_MOUNTED);
    if host.is_v2() {
        // The page's other setup, without vistafs, works as the page describes.
        set_logind("");
        let blocks = ["every", "unprivileged", "v2-kernel"];
        let container = Container::start(&blocks, "", &mounted.root());
        container.wait_for_systemd(NOT_MOUNTED);
        sessions_come_and_go(&host, &container, 100_000);
        a_service_has_its_limit(&host, &container);
    }
}

/// `base`: the uid of the container's root on the host.
fn runs_systemd(host: &Host, container: Container, base: u32, may_fail: &[&str]) {
    container.wait_for_systemd(may_fail);
    sessions_come_and_go(host, &container, base);
    a_service_has_its_limit(host, &container);
    lives_in_its_tree(host, &container);
}

/// A container without systemd needs no scaffold.
#[test]
fn a_shell() {
    require_guest!();
    let (host, mounted) = (Host::new(), Mounted::new());
    let container = if host.is_v2() {
        Container::start(&["every", "unprivileged", "shell"], "", &mounted.root())
    } else {
        let shell = "lxc.init.cmd = /usr/bin/sleep infinity\n";
        start_v1(&mounted, "unprivileged", shell)
    };
    lives_in_its_tree(&host, &container);
}

/// Shows why CGROUP_TREE.md has a scaffold on v2, and a tmpfs otherwise: systemd's messages without them.
#[test]
fn systemd_starts_on_no_fuse_file_system() {
    require_guest!();
    let (host, mounted) = (Host::new(), Mounted::new());
    let bind = |hierarchy: &str, target: &str| {
        let source = mounted.path("cgroup").join(hierarchy);
        let source = source.display();
        format!("lxc.mount.entry = {source} {target} none bind,create=dir 0 0\n")
    };
    let no_mount = "Failed to mount cgroup at /sys/fs/cgroup/systemd";
    let tmpfs = "lxc.mount.entry = tmpfs sys/fs/cgroup tmpfs mode=755 0 0\n";
    let cases = if host.is_v2() {
        vec![
            (bind("unified", "sys/fs/cgroup"), no_mount),
            (
                tmpfs.to_owned() + &bind("unified", "sys/fs/cgroup/systemd"),
                "Cannot determine cgroup we are running in",
            ),
        ]
    } else {
        vec![(bind("systemd", "sys/fs/cgroup"), no_mount)]
    };
    for (entries, says) in cases {
        let container = Container::start(&["every", "privileged"], &entries, &mounted.root());
        wait_for(SYSTEMD_ENDS, says, || {
            let console = container.console();
            console.contains(says) && console.contains("Exiting PID 1")
        });
    }
}
