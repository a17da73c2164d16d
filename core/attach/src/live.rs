//! The live mount, and copies of its files.

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

/// A serving mount of vistafs.
#[derive(Debug)]
pub(crate) struct Live {
    root: OwnedFd,
    seen: Seen,
    is_page_cache: bool,
}

impl Live {
    /// Opens it, in its own mount namespace.
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
                bail!("{shown} is dead itself (mount it again first: vistafs mount {shown})")
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

    /// Returns whether it has this device number.
    pub(crate) fn is_on(&self, device: Device) -> bool {
        self.seen.device == device
    }

    /// Returns whether it is the page-cache tree, whose paths differ from those of the usual one.
    pub(crate) fn is_page_cache(&self) -> bool {
        self.is_page_cache
    }

    /// Returns a detached mount of the file at `path` below it. Only in the namespace in which it was
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

/// Opens the root directory of this process's mount namespace.
pub(crate) fn root() -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}
