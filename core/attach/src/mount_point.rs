//! Removes a dead mount at the mount point of a new one.

use std::os::fd::AsRawFd as _;
use std::path::Path;

use crate::error::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::mount::UnmountFlags;

use crate::table::{self, Table};
use crate::walk;

/// Unmounts dead mounts of vistafs from a mount point: lazily, because containers may have files of them
/// bound, which stay as they are. No other mount is unmounted: neither a serving mount nor another
/// file system.
///
/// # Errors
/// When a dead mount there is not one of vistafs.
pub fn clear_dead_mount(mount_point: &Path) -> Result<()> {
    let shown = mount_point.display();
    loop {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(root) = rustix::fs::open(mount_point, flags, Mode::empty()) else {
            // The caller, which mounts, reports it.
            return Ok(());
        };
        if !walk::does_not_answer(&root) {
            return Ok(());
        }
        let text = std::fs::read("/proc/self/mountinfo")
            .context("cannot read /proc/self/mountinfo (is /proc mounted?)")?;
        let table = Table::parse(&text).context("/proc/self/mountinfo")?;
        let seen = walk::look(&root).with_context(|| format!("cannot look at {shown}"))?;
        let mount = table.get(seen.mount).filter(|_| seen.is_mount_root);
        if !mount.is_some_and(|mount| table::looks_like_ours(mount) && &*mount.root == b"/") {
            bail!("{shown} is a dead FUSE mount (unmount it first: umount -l {shown})");
        }
        // By descriptor: it is the mount that was examined, and the working directory does not change.
        let path = format!("/proc/self/fd/{}", root.as_raw_fd());
        rustix::mount::unmount(path, UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount the dead mount at {shown}"))?;
        log::info!("unmounted the dead mount of vistafs at {shown}");
    }
}
