//! Opening /dev/fuse, mounting, unmounting.
//!
//! Done here and not by fuser: the supervisor opens the descriptor and mounts, and holds both while
//! workers come and go. Nothing here asks the mounted file system anything: there may be nobody to
//! answer.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error_text::in_one_line;
use anyhow::{Context as _, bail};
use nix::mount::{MntFlags, MsFlags};
use vistafs_attach::{MountName, looks_like_ours};
use vistafs_text::mountinfo;

/// A mount; unmounted at drop, if it is still there.
#[derive(Debug)]
pub struct FuseMount {
    mount_point: PathBuf,
    // Which one it is among those that may come to stand there.
    device: (u32, u32),
    left: bool,
}

impl FuseMount {
    /// Mounts at an existing directory. The descriptor is for the server.
    pub fn new(mount_point: &Path) -> anyhow::Result<(Self, OwnedFd)> {
        Self::check(mount_point)?;
        let device = Self::open()?;
        Ok((Self::on(mount_point, &device, MountName::USUAL)?, device))
    }

    /// Whether somebody like us could mount there.
    pub fn check(mount_point: &Path) -> anyhow::Result<()> {
        if !nix::unistd::geteuid().is_root() {
            bail!("mounting needs root (run it with sudo, or as a systemd service)");
        }
        check_mount_point(mount_point)
    }

    /// A descriptor to mount with.
    pub fn open() -> anyhow::Result<OwnedFd> {
        let device = open_device();
        let device =
            device.map_err(|failure| anyhow::anyhow!("{} ({})", failure.found, failure.remedy))?;
        Ok(device.into())
    }

    /// Mounts at a directory that was checked. The page-cache tree, where the kernel opens files for writing
    /// without asking, is mounted read-only.
    pub fn on(mount_point: &Path, device: &OwnedFd, name: MountName) -> anyhow::Result<Self> {
        let mount_point = mount_point
            .canonicalize()
            .with_context(|| format!("cannot use {}", mount_point.display()))?;
        let mode = std::fs::metadata(&mount_point)?.mode() & 0o170_000;
        // Everybody may read; the kernel itself checks permission bits.
        let options = format!(
            "fd={},rootmode={mode:o},user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        );
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        flags.set(MsFlags::MS_RDONLY, name == MountName::PAGE_CACHE);
        nix::mount::mount(
            Some(name.source),
            &mount_point,
            Some(name.fs_type),
            flags,
            Some(options.as_str()),
        )
        .with_context(|| {
            format!(
                "cannot mount on {} (mounting needs CAP_SYS_ADMIN, and a kernel with FUSE)",
                mount_point.display()
            )
        })?;
        let Some(device) = vistafs_at(&mount_point)? else {
            bail!(
                "{} was unmounted at once (does something unmount what it does not know? mount again)",
                mount_point.display()
            );
        };
        Ok(Self::again(mount_point, device))
    }

    /// The one that is seen at a path without links, if one is.
    pub fn seen_at(mount_point: &Path) -> anyhow::Result<Option<Self>> {
        let device = vistafs_at(mount_point)?;
        Ok(device.map(|device| Self::again(mount_point.to_owned(), device)))
    }

    /// One that was made by an earlier process of ours.
    pub fn again(mount_point: PathBuf, device: (u32, u32)) -> Self {
        Self {
            mount_point,
            device,
            left: false,
        }
    }

    /// Where it is: a path without links.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Its device number, which no other mount has while it is there.
    pub fn device(&self) -> (u32, u32) {
        self.device
    }

    /// Leaves it to who comes after us.
    pub fn leave(mut self) {
        self.left = true;
    }

    /// What is seen at the mount point is this mount, and not one that was made over it or after it.
    pub fn is_there(&self) -> bool {
        vistafs_at(&self.mount_point).is_ok_and(|device| device == Some(self.device))
    }
}

impl Drop for FuseMount {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        if !self.is_there() {
            log::warn!(
                "{}: another file system is mounted there now; leaving it (umount it if it is not needed)",
                self.mount_point.display()
            );
            return;
        }
        if let Err(error) = unmount(&self.mount_point) {
            log::warn!("{}", in_one_line(&error));
        }
    }
}

/// Unmounts what is seen at a path without links, whether or not anybody serves it.
pub fn unmount(path: &Path) -> anyhow::Result<()> {
    // Detached: whoever still has a file open keeps it until the server is gone.
    nix::mount::umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).with_context(|| {
        format!(
            "cannot unmount {} (is it mounted? findmnt -t fuse.vistafs)",
            path.display()
        )
    })
}

/// The path of a mount point without links, found without a question to what is mounted there, which
/// may have nobody to answer.
pub fn without_asking(mount_point: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(mount_point)
        .with_context(|| format!("cannot use {}", mount_point.display()))?;
    match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => Ok(parent
            .canonicalize()
            .with_context(|| format!("cannot use {}", mount_point.display()))?
            .join(name)),
        _ => Ok(absolute),
    }
}

/// Unmounts the vistafs at a path, and nothing else that may be there.
pub fn unmount_vistafs(mount_point: &Path) -> anyhow::Result<()> {
    let path = without_asking(mount_point)?;
    if vistafs_at(&path)?.is_none() {
        bail!("{} is no mount of vistafs", path.display());
    }
    unmount(&path)
}

/// Why the device cannot be opened, and what to do about it.
#[derive(Debug)]
pub struct NoDevice {
    /// The failed operation and its cause.
    pub found: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Opens /dev/fuse.
///
/// # Errors
/// With a hint for the cause.
pub fn open_device() -> Result<File, NoDevice> {
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
    // Where nothing of ours is mounted now, something else may be, and is ours to mount over.
    let path = path.canonicalize()?;
    if vistafs_at(&path)?.is_some() {
        bail!(
            "{shown} is busy: vistafs is already mounted there (unmount it first: umount {shown})"
        );
    }
    Ok(())
}

/// The device number of the vistafs that is seen at a path without links, if one is.
fn vistafs_at(path: &Path) -> anyhow::Result<Option<(u32, u32)>> {
    let text = std::fs::read("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    let mut seen = None;
    for mount in mountinfo::mounts(&text).flatten() {
        // Of several at one place, the one that is mounted upon the others.
        if *mount.mount_point == *path.as_os_str().as_bytes() {
            seen = looks_like_ours(&mount).then_some((mount.device.major, mount.device.minor));
        }
    }
    Ok(seen)
}
