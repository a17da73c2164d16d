//! Whose a FUSE file system is.
//!
//! In mountinfo a container in a user namespace can call its own file system what it likes, and its
//! own root `user_id=0`. The kernel also lists all FUSE connections in a file system of its own, by
//! the device number of each; the files there belong to the user that mounted, as the host knows him.

use std::os::fd::OwnedFd;

use crate::error::{Context as _, Result};
use rustix::fs::AtFlags;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use vistafs_text::Device;

/// The list of connections, mounted nowhere.
#[derive(Debug)]
pub(crate) struct Connections {
    root: OwnedFd,
}

impl Connections {
    pub(crate) fn open() -> Result<Self> {
        let open = || -> rustix::io::Result<OwnedFd> {
            let context = rustix::mount::fsopen("fusectl", FsOpenFlags::FSOPEN_CLOEXEC)?;
            rustix::mount::fsconfig_create(&context)?;
            rustix::mount::fsmount(
                &context,
                FsMountFlags::FSMOUNT_CLOEXEC,
                MountAttrFlags::empty(),
            )
        };
        let root = open().context(
            "cannot mount the kernel's list of FUSE connections, fusectl (is the fuse module loaded?)",
        )?;
        Ok(Self { root })
    }

    /// Whether root of this host, and not of some user namespace, has mounted what is on `device`.
    pub(crate) fn is_of_root(&self, device: Device) -> bool {
        // The kernel names a connection by the whole device number; the major one is 0.
        let name = format!("{}/waiting", device.minor);
        let stat = rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| device.major == 0 && stat.st_uid == 0 && stat.st_gid == 0)
    }
}
