//! Creates namespaces and mounts, in `run` and in its init.
//!
//! `run` stays in the host's pid and cgroup namespaces, as the server of the views must. It leaves
//! the host's mount namespace, so that its mounts are private and end with it. The init enters all namespaces
//! of the container.
//!
//! Later mounts and unmounts of the host still reach the container, which would otherwise pin
//! file systems that the host wants to unmount; nothing propagates back.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use vistafs_attach::OWN;
use vistafs_cgroup::v1_options;
use vistafs_text::mountinfo;

use super::cgroups;

/// A directory that exists on every machine and that neither the server nor the creation of the
/// container needs: it is covered meanwhile, and nothing is left on disk.
const COVERED: &str = "/run";

/// The mount point of the views, for `run` and its init only.
pub(super) const VIEWS: &str = "/run/vistafs";

const KERNEL_FS: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

/// Enters a new mount namespace, and creates an empty directory at [`VIEWS`] in it.
pub(super) fn leave_host_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("making a mount namespace")?;
    hide_mounts_from_host()?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("vistafs"),
        COVERED,
        Some("tmpfs"),
        flags,
        Some("mode=0700,size=64k"),
    )
    .with_context(|| format!("mounting a tmpfs over {COVERED}"))?;
    fs::create_dir(VIEWS).with_context(|| VIEWS.to_owned())
}

/// Calls `spawn` with a new pid namespace for children; later children are in the old one.
pub(super) fn in_new_pid_namespace<T>(spawn: impl FnOnce() -> T) -> Result<T> {
    let path = "/proc/self/ns/pid";
    let own = fs::File::open(path).with_context(|| path.to_owned())?;
    unshare(CloneFlags::CLONE_NEWPID).context("making a pid namespace")?;
    let outcome = spawn();
    // The thread cannot start threads before that is undone.
    setns(&own, CloneFlags::CLONE_NEWPID).context("going back to the own pid namespace")?;
    Ok(outcome)
}

/// Creates the container around this process, the first one of its pid namespace. `views`: paths below
/// the mount and below `/`.
pub(super) fn enter(name: &str, views: &[PathBuf]) -> Result<()> {
    cgroups::join(&super::hierarchies()?, name)?;
    // After joining: the current cgroup becomes the root of the namespace.
    unshare(CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)
        .context("making cgroup, mount and uts namespaces")?;
    nix::unistd::sethostname(name).context("setting the host name")?;
    hide_mounts_from_host()?;
    replace_mount(Path::new("/proc"), "proc", None)?;
    // From here on the kernel and the server treat this process as a member of the container.
    bind_views(views)?;
    replace_cgroup_mounts()?;
    umount2(COVERED, MntFlags::MNT_DETACH).with_context(|| format!("uncovering {COVERED}"))
}

/// Prepares the end of the container: the last action of its init.
pub(super) fn leave() {
    match super::hierarchies() {
        Ok(hierarchies) => cgroups::thaw(&hierarchies),
        // The command may have unmounted them: then it must thaw what it froze.
        Err(error) => log::debug!("{error:#}"),
    }
}

fn hide_mounts_from_host() -> Result<()> {
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>)
        .context("keeping mounts from reaching the host")
}

/// Replaces the mount at a place by a new instance of a kernel file system.
fn replace_mount(point: &Path, fs_type: &str, options: Option<&str>) -> Result<()> {
    uncover(point);
    mount(Some(fs_type), point, Some(fs_type), KERNEL_FS, options)
        .with_context(|| format!("mounting {fs_type} on {}", point.display()))
}

/// Unmounts everything at a place, so that nothing is left below the new mount.
fn uncover(point: &Path) {
    while umount2(point, MntFlags::MNT_DETACH).is_ok() {}
}

/// Binds each view over the host's file or directory of the same path.
fn bind_views(views: &[PathBuf]) -> Result<()> {
    for path in views {
        let target = Path::new("/").join(path);
        // The container's own file, or the one that containers share.
        let places = [Path::new(VIEWS).join(OWN), PathBuf::from(VIEWS)];
        let mut sources = places.iter().map(|place| place.join(path));
        let Some(source) = sources.find(|source| source.exists()) else {
            // It has no file for this container.
            continue;
        };
        uncover(&target);
        let no = None::<&str>;
        match mount(Some(&source), &target, no, MsFlags::MS_BIND, no) {
            Ok(()) => {}
            // This kernel has no such file, so no program needs the view.
            Err(Errno::ENOENT) if !target.exists() => {
                log::debug!("{} does not exist here: no view of it", target.display());
            }
            Err(errno) => {
                return Err(errno)
                    .with_context(|| format!("mounting the view over {}", target.display()));
            }
        }
    }
    Ok(())
}

/// Replaces every cgroup mount by one that shows the container's part only.
fn replace_cgroup_mounts() -> Result<()> {
    let path = "/proc/self/mountinfo";
    let text = fs::read(path).with_context(|| path.to_owned())?;
    // Keyed by mount point: of several mounts at one place the last one is visible.
    let mut options_at: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
    for mount in mountinfo::mounts(&text) {
        let mount = mount.with_context(|| path.to_owned())?;
        let options = match mount.fs_type {
            b"cgroup" => Some(v1_options(mount.super_options).join(",")),
            b"cgroup2" => None,
            _ => continue,
        };
        let point = PathBuf::from(OsStr::from_bytes(&mount.mount_point));
        options_at.insert(point, options);
    }
    for (point, options) in &options_at {
        // Another mount may cover a directory above it.
        if !point.exists() {
            continue;
        }
        let fs_type = if options.is_some() {
            "cgroup"
        } else {
            "cgroup2"
        };
        replace_mount(point, fs_type, options.as_deref())?;
    }
    Ok(())
}
