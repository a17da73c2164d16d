//! Namespaces and mounts, of `run` and of its init.
//!
//! `run` keeps the host's pid and cgroup namespaces, as the server of the views must; it leaves
//! the host's mounts so that its own are nobody else's and end with it. The init takes everything
//! that is the container's.
//!
//! Mounts of the host that come or go later still reach the container, or it would hold on to
//! file systems that the host wants to be rid of; nothing comes back.

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

/// A directory that every machine has, and that neither the server nor the setting up of a
/// container needs: it can be covered while that lasts, and nothing is left on disk.
const COVERED: &str = "/run";

/// Where the views are served, for `run` and its init only.
pub(super) const VIEWS: &str = "/run/vistafs";

const KERNEL_FS: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

/// Gives this process mounts of its own, with an empty directory at [`VIEWS`] among them.
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

/// Calls `spawn` with a new pid namespace for the children; later children are in the old one.
pub(super) fn in_new_pid_namespace<T>(spawn: impl FnOnce() -> T) -> Result<T> {
    let path = "/proc/self/ns/pid";
    let own = fs::File::open(path).with_context(|| path.to_owned())?;
    unshare(CloneFlags::CLONE_NEWPID).context("making a pid namespace")?;
    let outcome = spawn();
    // Until it is undone, the thread cannot start threads.
    setns(&own, CloneFlags::CLONE_NEWPID).context("going back to the own pid namespace")?;
    Ok(outcome)
}

/// Makes the container around this process, which is the first of its pid namespace. `views`: paths below
/// the mount and below `/`.
pub(super) fn enter(name: &str, views: &[PathBuf]) -> Result<()> {
    cgroups::join(&super::hierarchies()?, name)?;
    // After the joining: what is now its cgroup becomes the root of the namespace.
    unshare(CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)
        .context("making cgroup, mount and uts namespaces")?;
    nix::unistd::sethostname(name).context("setting the host name")?;
    hide_mounts_from_host()?;
    replace_mount(Path::new("/proc"), "proc", None)?;
    // From here on the kernel, and the server, see us as a member of the container.
    bind_views(views)?;
    replace_cgroup_mounts()?;
    umount2(COVERED, MntFlags::MNT_DETACH).with_context(|| format!("uncovering {COVERED}"))
}

/// Makes way for the end of the container: the last that its init has to do.
pub(super) fn leave() {
    match super::hierarchies() {
        Ok(hierarchies) => cgroups::thaw(&hierarchies),
        // The command may have unmounted them: what it froze then, it has to thaw.
        Err(error) => log::debug!("{error:#}"),
    }
}

fn hide_mounts_from_host() -> Result<()> {
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>)
        .context("keeping mounts from reaching the host")
}

/// Mounts a new instance of a kernel file system in the place of what is mounted there.
fn replace_mount(point: &Path, fs_type: &str, options: Option<&str>) -> Result<()> {
    uncover(point);
    mount(Some(fs_type), point, Some(fs_type), KERNEL_FS, options)
        .with_context(|| format!("mounting {fs_type} on {}", point.display()))
}

/// Takes away all that is mounted there, so that nobody finds it below what comes in its place.
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
            // This kernel has no such file, so nobody will miss the view of it.
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

/// Puts in the place of every cgroup mount one that shows the container's part only.
fn replace_cgroup_mounts() -> Result<()> {
    let path = "/proc/self/mountinfo";
    let text = fs::read(path).with_context(|| path.to_owned())?;
    // By mount point, as there may be several on one; the last is the one that is seen.
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
        // Something else may be mounted over a directory above it.
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
