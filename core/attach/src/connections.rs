//! Finds the user that mounted a FUSE file system.
//!
//! A container in a user namespace can mount a file system whose mountinfo shows any name, and its own
//! root as `user_id=0`. The kernel also lists all FUSE connections in fusectl, by
//! device number; the files there belong to the user that mounted, as an ID of the host.

use std::os::fd::OwnedFd;

use crate::error::{Context as _, Result};
use rustix::fs::AtFlags;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use vistafs_text::Device;

/// The list of connections, on a detached mount.
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

    /// Returns whether root of this host, not of a user namespace, has mounted `device`.
    pub(crate) fn is_of_root(&self, device: Device) -> bool {
        // The kernel names a connection by the whole device number; its major number is 0.
        let name = format!("{}/waiting", device.minor);
        let stat = rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| device.major == 0 && stat.st_uid == 0 && stat.st_gid == 0)
    }
}
