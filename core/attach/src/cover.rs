//! Mounts over a file, and unmounts.

use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount};
use vistafs_text::mountinfo::Mount;

use crate::table::Table;
use crate::walk;

/// A dead mount, held by descriptor.
#[derive(Debug)]
pub(crate) struct Target<'t> {
    pub(crate) mount: &'t Mount<'t>,
    pub(crate) root: OwnedFd,
    pub(crate) is_directory: bool,
}

/// The worker's current mount namespace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside<'t> {
    pub(crate) root: &'t OwnedFd,
    pub(crate) table: &'t Table<'t>,
    /// The host's /proc.
    pub(crate) proc: &'t OwnedFd,
}

/// Covers `target` with `copy`.
///
/// # Errors
/// The reason, for the report.
pub(crate) fn cover(copy: &OwnedFd, target: &Target<'_>, inside: Inside<'_>) -> Result<(), String> {
    let seen = walk::look(copy).map_err(|errno| errno.to_string())?;
    if seen.is_directory != target.is_directory {
        return Err("a file there is a directory now, or the other way round".to_owned());
    }
    match attach(copy, &target.root, MoveMountFlags::empty()) {
        Ok(()) => Ok(()),
        // Its name is gone from the dead file system, because a look-up failed.
        Err(Errno::NOENT) => replace(copy, target, inside),
        Err(errno) => Err(format!("cannot mount there: {errno}")),
    }
}

/// Unmounts the dead mount, as nothing can be mounted over it.
fn replace(copy: &OwnedFd, target: &Target<'_>, inside: Inside<'_>) -> Result<(), String> {
    // Since Linux 6.5 the place is never uncovered in between.
    let is_below = attach(copy, &target.root, MoveMountFlags::MOVE_MOUNT_BENEATH).is_ok();
    detach(inside.proc, &target.root).map_err(|errno| match errno {
        Errno::INVAL => {
            "nothing can be mounted on it, and it cannot be unmounted (restart the container)"
                .to_owned()
        }
        errno => format!("cannot unmount it: {errno}"),
    })?;
    if is_below {
        return Ok(());
    }
    let place = walk::open_place(inside.root, inside.table, &target.mount.mount_point)
        .map_err(|lost| lost.to_string())?;
    let seen = walk::look(&place).map_err(|errno| errno.to_string())?;
    if seen.mount != u64::from(target.mount.parent) || seen.is_directory != target.is_directory {
        return Err("something else is mounted there now".to_owned());
    }
    attach(copy, &place, MoveMountFlags::empty())
        .map_err(|errno| format!("cannot mount there: {errno}"))
}

/// Mounts a detached mount over the file of a descriptor.
pub(crate) fn attach(copy: &OwnedFd, at: &OwnedFd, how: MoveMountFlags) -> Result<(), Errno> {
    let by_descriptor =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(copy, c"", at, c"", by_descriptor | how)
}

/// Unmounts the mount whose root a descriptor holds. The kernel takes a path only; the path of the descriptor is
/// in `proc`, the /proc of this process's pid namespace, which becomes the working directory.
pub(crate) fn detach(proc: &OwnedFd, root: &OwnedFd) -> Result<(), Errno> {
    rustix::process::fchdir(proc)?;
    let path = format!("self/fd/{}", root.as_raw_fd());
    rustix::mount::unmount(path, UnmountFlags::DETACH)
}
