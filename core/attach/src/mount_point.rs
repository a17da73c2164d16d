//! The dead mount that is in the way of a new one.

use std::os::fd::AsRawFd as _;
use std::path::Path;

use crate::error::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::mount::UnmountFlags;

use crate::table::{self, Table};
use crate::walk;

/// Takes dead mounts of vistafs away from a mount point: lazily, as containers may have files of them
/// bound, which stay as they are. Nothing else is unmounted: not a mount that answers, nor another
/// file system's.
///
/// # Errors
/// When what is seen there is dead and is not a mount of vistafs.
pub fn clear_dead_mount(mount_point: &Path) -> Result<()> {
    let shown = mount_point.display();
    loop {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(root) = rustix::fs::open(mount_point, flags, Mode::empty()) else {
            // For who mounts to tell.
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
        // By the descriptor: it is what was looked at, and the working directory stays what it is.
        let path = format!("/proc/self/fd/{}", root.as_raw_fd());
        rustix::mount::unmount(path, UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount the dead mount at {shown}"))?;
        log::info!("unmounted the dead mount of vistafs at {shown}");
    }
}
