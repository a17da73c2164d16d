//! The guests' root file system: one Debian 12 for all cgroup layouts, as an ext4 image.
//!
//! The real systemd runs as process 1 with its usual cgroup tree; only units that slow down each boot and
//! help no test are masked. Without udev, device nodes come from the kernel.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::mirror::Mirror;
use super::{cache, container, progress};
use crate::run;

const RELEASE: &str = "bookworm";

/// Programs that the tests use in a guest, besides the essential packages.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,procps,util-linux,mount,kmod,iproute2,\
    busybox-static,python3-minimal,runc,crun,lxc,fuse3,zstd,libpam-systemd,\
    sysstat,numactl,hwloc-nox,openjdk-17-jre-headless";

/// Size of the file system. The file is sparse.
const SIZE: &str = "4G";

pub(super) const JOB_SCRIPT: &str = include_str!("guest/job.py");
pub(super) const JOB_UNIT: &str = include_str!("guest/job.service");

/// Units that are useless in a guest that lives for one job.
pub(super) const MASKED: &[&str] = &[
    "console-getty.service",
    "container-getty@.service",
    "e2scrub_reap.service",
    "getty.target",
    "lxc.service",
    "lxc-monitord.service",
    "lxc-net.service",
    "proc-sys-fs-binfmt_misc.automount",
    "serial-getty@.service",
    "sys-kernel-config.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-journal-flush.service",
    "systemd-logind.service",
    "systemd-machine-id-commit.service",
    "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-repart.service",
    "systemd-sysusers.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-user-sessions.service",
    "timers.target",
];

/// Small files that let the system boot without questions.
pub(super) const FILES: &[(&str, &str)] = &[
    ("etc/hostname", "guest\n"),
    ("etc/hosts", "127.0.0.1 localhost guest\n"),
    ("etc/fstab", ""),
    // An empty file would make each boot a first boot, which presets all units.
    ("etc/machine-id", "76697374616673000000000000000001\n"),
    (
        "etc/modules-load.d/vistafs.conf",
        "fuse\noverlay\nvirtio_console\n",
    ),
    // A replacement for udev's rules.
    ("etc/tmpfiles.d/vistafs.conf", "z /dev/fuse 0666\n"),
    // In memory, and without rate limit: a daemon under test may log a lot.
    (
        "etc/systemd/journald.conf.d/vistafs.conf",
        "[Journal]\nStorage=volatile\nRateLimitBurst=0\n",
    ),
];

/// Returns the image, built if it does not exist.
pub(super) fn root() -> Result<PathBuf> {
    let files = format!("{FILES:?}{MASKED:?}{SIZE}");
    let container = format!(
        "{:?}{:?}{:?}",
        container::FILES,
        container::LINES,
        container::MASKED
    );
    let recipe = [RELEASE, PACKAGES, &files, &container, JOB_SCRIPT, JOB_UNIT];
    let dir = cache::built("root", &recipe, build)?;
    Ok(dir.join("root.ext4"))
}

fn build(work: &Path) -> Result<()> {
    let started = Instant::now();
    let tree = work.join("tree");
    let mirror = Mirror::of_this_machine()?;
    progress::follow(
        "root",
        started,
        mirror
            .mmdebstrap(RELEASE, "minbase", PACKAGES)
            // Java's packages link manual pages there.
            .arg("--essential-hook=mkdir -p \"$1/usr/share/man/man1\"")
            .arg(&tree)
            .args(mirror.sources(RELEASE)),
    )?;
    progress::step("root", started, "writing the image");
    container::furnish(&tree)?;
    furnish(&tree, FILES)?;
    ext4(&tree, &work.join("root.ext4"), SIZE)?;
    fs::remove_dir_all(&tree).context("removing the tree of the image")
}

/// Adds files, masks units, and makes systemd run the job at boot.
pub(super) fn furnish(tree: &Path, files: &[(&str, &str)]) -> Result<()> {
    let write = |path: &str, text: &str| -> Result<PathBuf> {
        let path = tree.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    };
    for (path, text) in files {
        write(path, text)?;
    }
    let script = write("usr/local/sbin/vistafs-job", JOB_SCRIPT)?;
    fs::set_permissions(script, fs::Permissions::from_mode(0o755))?;
    write("etc/systemd/system/vistafs-job.service", JOB_UNIT)?;
    let units = tree.join("etc/systemd/system");
    for unit in MASKED {
        let link = units.join(unit);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        symlink("/dev/null", &link).with_context(|| format!("masking {unit}"))?;
    }
    let wants = units.join("multi-user.target.wants");
    fs::create_dir_all(&wants)?;
    symlink("../vistafs-job.service", wants.join("vistafs-job.service"))?;
    // The kernel's modules are mounted here; see guest/init.sh.
    fs::create_dir_all(tree.join("usr/lib/modules"))?;
    Ok(())
}

/// Makes an ext4 image of a directory, including owners and modes.
///
/// Without a journal: the image is never written to, and the copies are discarded.
pub(super) fn ext4(tree: &Path, image: &Path, size: &str) -> Result<()> {
    run::quiet(
        Command::new("/sbin/mke2fs")
            .args(["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d"])
            .args([tree, image])
            .arg(size),
    )?;
    Ok(())
}
