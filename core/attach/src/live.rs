//! The new mount, and copies of what is in it.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::error::{Context as _, Result, bail};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use vistafs_text::Device;

use crate::kernel::{self, Refusals};
use crate::table::{self, Table};
use crate::walk::{self, Seen};

/// A mount of vistafs that answers.
#[derive(Debug)]
pub(crate) struct Live {
    root: OwnedFd,
    seen: Seen,
    is_page_cache: bool,
}

impl Live {
    /// Opens it, in the mount namespace in which it is.
    pub(crate) fn open(mount: &Path) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("repairing needs root (run it with sudo)");
        }
        let shown = mount.display();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(mount, flags, Mode::empty())
            .with_context(|| format!("cannot open {shown}"))?;
        let seen = walk::look(&root).with_context(|| format!("cannot look at {shown}"))?;
        let text = std::fs::read("/proc/self/mountinfo")
            .context("cannot read /proc/self/mountinfo (is /proc mounted?)")?;
        let table = Table::parse(&text).context("/proc/self/mountinfo")?;
        let line = table.get(seen.mount).filter(|_| seen.is_mount_root);
        if !line.is_some_and(|line| table::looks_like_ours(line) && &*line.root == b"/") {
            bail!(
                "{shown} is not a mount of vistafs (mount it first: vistafs mount {shown}; or say where: --mount DIR)"
            );
        }
        match rustix::fs::fstatfs(&root) {
            Err(Errno::NOTCONN) => {
                bail!("{shown} is dead itself (mount it anew first: vistafs mount {shown})")
            }
            answered => answered.with_context(|| format!("{shown} does not answer"))?,
        };
        let is_page_cache = line.is_some_and(table::is_page_cache);
        Ok(Self {
            root,
            seen,
            is_page_cache,
        })
    }

    /// Whether it is the one of that device.
    pub(crate) fn is_on(&self, device: Device) -> bool {
        self.seen.device == device
    }

    /// Whether it is the page-cache tree, whose paths are not those of the usual one.
    pub(crate) fn is_page_cache(&self) -> bool {
        self.is_page_cache
    }

    /// A mount of what is at `path` below it, attached nowhere. Only in the namespace in which it was
    /// opened.
    pub(crate) fn copy(&self, path: &Path, refusals: Refusals) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let how = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        let found = rustix::fs::openat2(&self.root, path, flags, Mode::empty(), how)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let copy = rustix::mount::open_tree(&found, c"", flags)?;
        kernel::restrict(&copy, refusals)?;
        Ok(copy)
    }
}

/// The root directory of the mount namespace that this process is in.
pub(crate) fn root() -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}
