//! Opening /dev/fuse, mounting, unmounting.
//!
//! Done here and not by fuser: what opens the descriptor and mounts is what a supervisor will hold
//! while workers come and go.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nix::mount::{MntFlags, MsFlags};

use crate::repair;

/// A mount; unmounted at drop, if it is still there.
#[derive(Debug)]
pub(crate) struct FuseMount {
    mount_point: PathBuf,
    // Which one it is among those that may come to stand there; known once it is served.
    device: Option<u64>,
}

impl FuseMount {
    /// Mounts at an existing directory. The descriptor is for the server.
    pub(crate) fn new(mount_point: &Path) -> anyhow::Result<(Self, OwnedFd)> {
        if !nix::unistd::geteuid().is_root() {
            bail!("mounting takes root (run it with sudo, or as a systemd service)");
        }
        repair::clear_dead_mount(mount_point)?;
        check_mount_point(mount_point)?;
        let device = open_device()
            .map_err(|failure| anyhow::anyhow!("{} ({})", failure.found, failure.remedy))?;
        let mode = std::fs::metadata(mount_point)?.mode() & 0o170_000;
        // Everybody may read; the kernel itself checks permission bits.
        let options = format!(
            "fd={},rootmode={mode:o},user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        );
        nix::mount::mount(
            Some("vistafs"),
            mount_point,
            Some("fuse.vistafs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
            Some(options.as_str()),
        )
        .with_context(|| {
            format!(
                "cannot mount on {} (mounting needs CAP_SYS_ADMIN, and a kernel with FUSE)",
                mount_point.display()
            )
        })?;
        let mount = Self {
            mount_point: mount_point.to_owned(),
            device: None,
        };
        Ok((mount, device.into()))
    }

    /// Remembers which mount it is; the server has to answer by now.
    pub(crate) fn recognise(&mut self) -> anyhow::Result<()> {
        let metadata = std::fs::metadata(&self.mount_point);
        let metadata =
            metadata.with_context(|| format!("{} does not answer", self.mount_point.display()))?;
        self.device = Some(metadata.dev());
        Ok(())
    }

    /// What is seen at the mount point is this mount, and not one that was made over it or after it.
    fn is_there(&self) -> bool {
        let Some(device) = self.device else {
            return true;
        };
        match std::fs::metadata(&self.mount_point) {
            Ok(metadata) => metadata.dev() == device,
            // A connection that was aborted is ours to clear away.
            Err(error) => error.raw_os_error() == Some(libc::ENOTCONN),
        }
    }
}

impl Drop for FuseMount {
    fn drop(&mut self) {
        if !self.is_there() {
            log::warn!(
                "{} is not ours any more: not unmounted",
                self.mount_point.display()
            );
            return;
        }
        // Detached: whoever still has a file open keeps it until the server is gone.
        if let Err(errno) = nix::mount::umount2(&self.mount_point, MntFlags::MNT_DETACH) {
            log::warn!("cannot unmount {}: {errno}", self.mount_point.display());
        }
    }
}

/// Why the device cannot be opened, and what to do about it.
#[derive(Debug)]
pub(crate) struct NoDevice {
    pub(crate) found: String,
    pub(crate) remedy: &'static str,
}

pub(crate) fn open_device() -> Result<File, NoDevice> {
    const DEVICE: &str = "/dev/fuse";
    File::options()
        .read(true)
        .write(true)
        .open(DEVICE)
        .map_err(|error| NoDevice {
            found: format!("cannot open {DEVICE}: {error}"),
            remedy: match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
                    "load the fuse module: modprobe fuse; in a container, add --device /dev/fuse"
                }
                Some(libc::EPERM | libc::EACCES) => {
                    "run it as root; in a container, add --device /dev/fuse"
                }
                _ => "is it the FUSE device, character device 10:229?",
            },
        })
}

fn check_mount_point(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{shown} does not exist (make it first: mkdir -p {shown})")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot use {shown}")),
    };
    if !metadata.is_dir() {
        bail!("{shown} is not a directory");
    }
    let parent = path
        .canonicalize()?
        .parent()
        .map(std::fs::metadata)
        .transpose()?;
    // A directory on another device than its parent is the root of a mount. The root itself is one.
    if parent.is_none_or(|parent| parent.dev() != metadata.dev()) && is_vistafs(path)? {
        bail!(
            "{shown} is busy: vistafs is already mounted there (unmount it first: umount {shown})"
        );
    }
    Ok(())
}

fn is_vistafs(path: &Path) -> anyhow::Result<bool> {
    let text = std::fs::read("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    let path = path.canonicalize()?;
    let here = |mount: &vistafs_text::mountinfo::Mount<'_>| {
        mount.fs_type == b"fuse.vistafs"
            && *mount.mount_point == *path.as_os_str().as_encoded_bytes()
    };
    Ok(vistafs_text::mountinfo::mounts(&text)
        .flatten()
        .any(|mount| here(&mount)))
}
