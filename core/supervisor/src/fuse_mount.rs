//! Opens /dev/fuse, mounts and unmounts.
//!
//! fuser is not used for this, because the supervisor holds the descriptor and the mount while workers come
//! and go. Nothing here accesses the mounted file system, which may have no server at the
//! moment.

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

/// A mount; unmounted on drop, if it still exists.
#[derive(Debug)]
pub struct FuseMount {
    mount_point: PathBuf,
    // Distinguishes it from later mounts at the same place.
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

    /// Checks whether this process can mount there.
    pub fn check(mount_point: &Path) -> anyhow::Result<()> {
        if !nix::unistd::geteuid().is_root() {
            bail!("mounting needs root (run it with sudo, or as a systemd service)");
        }
        check_mount_point(mount_point)
    }

    /// Opens a descriptor to mount with.
    pub fn open() -> anyhow::Result<OwnedFd> {
        let device = open_device();
        let device =
            device.map_err(|failure| anyhow::anyhow!("{} ({})", failure.found, failure.remedy))?;
        Ok(device.into())
    }

    /// Mounts at a directory that was checked. The page-cache tree is mounted read-only, because the kernel opens its files
    /// for writing without a request.
    pub fn on(mount_point: &Path, device: &OwnedFd, name: MountName) -> anyhow::Result<Self> {
        let mount_point = mount_point
            .canonicalize()
            .with_context(|| format!("cannot use {}", mount_point.display()))?;
        let mode = std::fs::metadata(&mount_point)?.mode() & 0o170_000;
        // All users may read; the kernel checks the permission bits.
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

    /// Returns the mount that is visible at a path without symbolic links, if there is one.
    pub fn seen_at(mount_point: &Path) -> anyhow::Result<Option<Self>> {
        let device = vistafs_at(mount_point)?;
        Ok(device.map(|device| Self::again(mount_point.to_owned(), device)))
    }

    /// Returns a mount that an earlier process made.
    pub fn again(mount_point: PathBuf, device: (u32, u32)) -> Self {
        Self {
            mount_point,
            device,
            left: false,
        }
    }

    /// Returns the mount point, without symbolic links.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Returns the device number, unique while the mount exists.
    pub fn device(&self) -> (u32, u32) {
        self.device
    }

    /// Leaves the mount to the next process.
    pub fn leave(mut self) {
        self.left = true;
    }

    /// Returns whether this mount is visible at the mount point, not a later one.
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

/// Unmounts the mount that is visible at a path without symbolic links, whether or not it has a server.
pub fn unmount(path: &Path) -> anyhow::Result<()> {
    // Lazily: open files stay open until the server exits.
    nix::mount::umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).with_context(|| {
        format!(
            "cannot unmount {} (is it mounted? findmnt -t fuse.vistafs)",
            path.display()
        )
    })
}

/// Resolves the symbolic links of a mount point without accessing the mount on it, which may have
/// no server.
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

/// Unmounts the vistafs mount at a path, and no other mount.
pub fn unmount_vistafs(mount_point: &Path) -> anyhow::Result<()> {
    let path = without_asking(mount_point)?;
    if vistafs_at(&path)?.is_none() {
        bail!("{} is not a mount of vistafs", path.display());
    }
    unmount(&path)
}

/// An error of opening the device, and a hint.
#[derive(Debug)]
pub struct NoDevice {
    /// The failed operation and its cause.
    pub found: String,
    /// The hint.
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
    // A mount of another file system there may be covered.
    let path = path.canonicalize()?;
    if vistafs_at(&path)?.is_some() {
        bail!(
            "{shown} is busy: vistafs is already mounted there (unmount it first: umount {shown})"
        );
    }
    Ok(())
}

/// Returns the device number of the vistafs mount that is visible at a path without symbolic links.
fn vistafs_at(path: &Path) -> anyhow::Result<Option<(u32, u32)>> {
    let text = std::fs::read("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    let mut seen = None;
    for mount in mountinfo::mounts(&text).flatten() {
        // Of several mounts at one place, the last one covers the others.
        if *mount.mount_point == *path.as_os_str().as_bytes() {
            seen = looks_like_ours(&mount).then_some((mount.device.major, mount.device.minor));
        }
    }
    Ok(seen)
}
