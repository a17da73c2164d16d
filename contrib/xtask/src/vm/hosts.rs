//! The root file system of the guest with container hosts: Debian 13 with Docker, containerd, Podman,
//! crun, runc, Incus and LXC, and images for them that need no network.
//!
//! No daemon is enabled: a test starts the one that it needs, so that a run of one test pays for one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::image::{FILES, JOB_SCRIPT, JOB_UNIT, MASKED, ext4, furnish};
use super::mirror::Mirror;
use super::{cache, progress};
use crate::run;

const RELEASE: &str = "trixie";

/// The container hosts, and the tools that the tests use.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,procps,util-linux,mount,kmod,iproute2,\
    busybox-static,python3-minimal,python3-grpcio,fuse3,libpam-systemd,sysstat,jq,\
    docker.io,docker-cli,containerd,podman,crun,runc,incus-base,incus-client,lxc,uidmap,netavark,iptables";

/// Large files that no test needs; unpacking and copying them would take seconds.
const LEFT_OUT: &[&str] = &[
    "/usr/bin/containerd-shim",
    "/usr/bin/containerd-shim-runc-v1",
    "/usr/bin/containerd-stress",
    "/usr/lib/podman/netavark-dhcp-proxy-client",
    "/usr/lib/x86_64-linux-gnu/gconv/*",
    "/usr/libexec/incus/incus-user",
    "/usr/libexec/podman/podman-testing",
    "/usr/share/i18n/*",
    "/usr/share/zoneinfo/*",
];

/// Size of the file system. The file is sparse.
const SIZE: &str = "8G";

/// Creates the images for the hosts in the tree.
const IMAGES: &str = include_str!("guest/images.sh");

/// The configuration of the hosts, besides [`FILES`].
const MORE_FILES: &[(&str, &str)] = &[
    // No network: setting one up is most of Docker's start time on an emulated processor.
    (
        "etc/docker/daemon.json",
        r#"{"bridge": "none", "iptables": false, "ip6tables": false, "features": {"cdi": true}}"#,
    ),
    ("etc/containerd/config.toml", CONTAINERD),
    // Garbage collection costs more here than the memory that it frees.
    (
        "etc/systemd/system/docker.service.d/go.conf",
        "[Service]\nEnvironment=GOGC=400\n",
    ),
    (
        "etc/systemd/system/containerd.service.d/go.conf",
        "[Service]\nEnvironment=GOGC=400\n",
    ),
    (
        "etc/systemd/system/incus.service.d/go.conf",
        "[Service]\nEnvironment=GOGC=400\n",
    ),
];

/// As configured by kubeadm, with CDI, which containerd disables before 2.0.
const CONTAINERD: &str = r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:latest"
enable_cdi = true
cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = true
"#;

/// Returns the image, built if it does not exist.
pub(super) fn root() -> Result<PathBuf> {
    let files = format!("{FILES:?}{MORE_FILES:?}{MASKED:?}{LEFT_OUT:?}{SIZE}");
    let recipe = [RELEASE, PACKAGES, &files, IMAGES, JOB_SCRIPT, JOB_UNIT];
    let dir = cache::built("hosts", &recipe, build)?;
    Ok(dir.join("root.ext4"))
}

fn build(work: &Path) -> Result<()> {
    let started = Instant::now();
    let step = |text: &str| progress::step("hosts", started, text);
    let tree = work.join("tree");
    let mirror = Mirror::of_this_machine()?;
    let mut mmdebstrap = mirror.mmdebstrap(RELEASE, "minbase", PACKAGES);
    for path in LEFT_OUT {
        mmdebstrap.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    mmdebstrap.arg(&tree).args(mirror.sources(RELEASE));
    progress::follow("hosts", started, &mut mmdebstrap)?;
    disable_units(&tree)?;
    let files = [FILES, MORE_FILES].concat();
    furnish(&tree, &files)?;
    step("making images for the hosts");
    run::quiet(Command::new("chroot").arg(&tree).args(["sh", "-c", IMAGES]))?;
    step("writing the file system");
    ext4(&tree, &work.join("root.ext4"), SIZE)?;
    fs::remove_dir_all(&tree).context("removing the tree of the image")
}

/// Disables the units that Debian's packages have enabled.
fn disable_units(tree: &Path) -> Result<()> {
    let units = tree.join("etc/systemd/system");
    for entry in fs::read_dir(&units)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wants")
        {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}
