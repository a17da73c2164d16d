//! One cgroup in one hierarchy: its directory and its ancestors' directories, all held open.
//!
//! An open directory protects a reading against renames and against a new cgroup of the same name:
//! every look-up below a removed directory fails.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};
use vistafs_host::{Dir, HostError};

use crate::{Hierarchy, Version};

/// Maximum depth, deeper than any runtime creates. A tenant chooses the depth of its tree and each
/// level holds a descriptor, so a deeper tree is an error for that tenant.
pub(crate) const DEEPEST: usize = 128;

/// A cgroup, from itself up to the child of the hierarchy's root.
#[derive(Debug)]
pub struct Cgroup {
    hierarchy: Arc<Hierarchy>,
    // Own directory first. The hierarchy's root is included only when it is the cgroup itself.
    levels: Box<[Level]>,
    // Offset, in the directory's path, of the path within the hierarchy.
    path_at: usize,
}

#[derive(Debug)]
struct Level {
    directory: Arc<Dir>,
    // The kernfs id, unique while the hierarchy is mounted.
    inode: u64,
}

impl Cgroup {
    /// Opens the cgroup of a directory anywhere in the host's mount of `hierarchy`.
    ///
    /// # Errors
    /// `NotFound` when it has been removed, `Io`.
    pub(crate) fn from_directory(
        hierarchy: &Arc<Hierarchy>,
        directory: OwnedFd,
    ) -> Result<Self, HostError> {
        let top = hierarchy.root().path();
        let failed = |errno| HostError::from_errno(errno, top);
        let mut fds = vec![directory];
        let mut inodes = Vec::new();
        loop {
            let here = &fds[fds.len() - 1];
            let inode = rustix::fs::fstat(here).map_err(failed)?.st_ino;
            inodes.push(inode);
            if inode == hierarchy.root_inode() {
                break;
            }
            if fds.len() > DEEPEST {
                return Err(failed(rustix::io::Errno::LOOP));
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let parent = rustix::fs::openat(here, "..", flags, Mode::empty()).map_err(failed)?;
            fds.push(parent);
        }
        let is_root = fds.len() == 1;
        if !is_root {
            fds.pop();
        }
        let hold = |fd| {
            let path = path_of(&fd).unwrap_or_else(|| top.to_owned());
            Arc::new(Dir::from_fd(fd, path))
        };
        // Many containers are at the root in most hierarchies: they share one descriptor.
        let root = || Arc::clone(hierarchy.root());
        let directories = fds
            .into_iter()
            .map(|fd| if is_root { root() } else { hold(fd) });
        let levels = directories.zip(inodes);
        let levels: Box<[Level]> = levels
            .map(|(directory, inode)| Level { directory, inode })
            .collect();
        let own = levels[0].directory.path();
        let path_at = path_of(hierarchy.root()).map_or(0, |root| begin_in(&root, own));
        Ok(Self {
            hierarchy: Arc::clone(hierarchy),
            levels,
            path_at,
        })
    }

    /// Opens the cgroup at an absolute path of the hierarchy (`/`, `/a/b`).
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub(crate) fn at_path(hierarchy: &Arc<Hierarchy>, path: &Path) -> Result<Self, HostError> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() {
            Path::new(".")
        } else {
            relative
        };
        let dir = hierarchy.root().subdir(relative)?;
        let fd = rustix::io::fcntl_dupfd_cloexec(&dir, 0)
            .map_err(|errno| HostError::from_errno(errno, dir.path()))?;
        Self::from_directory(hierarchy, fd)
    }

    /// Its hierarchy.
    #[must_use]
    pub fn hierarchy(&self) -> &Arc<Hierarchy> {
        &self.hierarchy
    }

    /// Path in the hierarchy when the cgroup was found: `/` or `/a/b`.
    #[must_use]
    pub fn path(&self) -> &Path {
        if self.is_root() {
            return Path::new("/");
        }
        let directory = self.own().path().as_os_str().as_bytes();
        Path::new(OsStr::from_bytes(&directory[self.path_at..]))
    }

    /// Current path in the hierarchy: v1 cgroups can be renamed.
    pub(crate) fn path_now(&self) -> PathBuf {
        let now = path_of(self.own()).map(|own| path_in(&self.hierarchy, &own));
        now.unwrap_or_else(|| self.path().to_owned())
    }

    /// Inode number of its directory: the kernfs id, unique while the hierarchy is mounted.
    pub(crate) fn inode(&self) -> u64 {
        self.levels[0].inode
    }

    /// Inode numbers of the levels, own first.
    pub(crate) fn inodes(&self) -> impl Iterator<Item = u64> {
        self.levels.iter().map(|level| level.inode)
    }

    /// Its own directory.
    #[must_use]
    pub fn own(&self) -> &Arc<Dir> {
        &self.levels[0].directory
    }

    /// Its directory, then its ancestors' below the root.
    pub(crate) fn levels(&self) -> impl ExactSizeIterator<Item = &Arc<Dir>> {
        self.levels.iter().map(|level| &level.directory)
    }

    /// Whether it is the root of its hierarchy.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.inode() == self.hierarchy.root_inode()
    }

    /// Whether the cgroup still exists. Costs one system call.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        // Every cgroup of either version has this file; a removed one has no files.
        rustix::fs::accessat(
            self.own(),
            "cgroup.procs",
            rustix::fs::Access::EXISTS,
            AtFlags::empty(),
        )
        .is_ok()
    }

    /// Distinguishes a cgroup without a file, because a controller is not enabled, from a removed
    /// cgroup. Called after a file of the cgroup was not found.
    pub(crate) fn ensure_alive(&self) -> Result<(), HostError> {
        if self.is_alive() {
            return Ok(());
        }
        Err(HostError::NotFound {
            path: self.own().path().to_owned(),
        })
    }

    /// Version of its hierarchy.
    #[must_use]
    pub fn version(&self) -> Version {
        self.hierarchy.version()
    }
}

/// Number of bytes of `directory` that are its root's path; `None` if it is not below `root`.
fn begin_in(root: &Path, directory: &Path) -> usize {
    if root == Path::new("/") || directory.strip_prefix(root).is_err() {
        return 0;
    }
    root.as_os_str().len()
}

/// Path within the hierarchy of a directory of the host's mount.
fn path_in(hierarchy: &Hierarchy, directory: &Path) -> PathBuf {
    match path_of(hierarchy.root()) {
        Some(root) => Path::new("/").join(directory.strip_prefix(root).unwrap_or(directory)),
        None => directory.to_owned(),
    }
}

/// Path that the kernel reports for a descriptor, for messages and names.
fn path_of(fd: &impl std::os::fd::AsFd) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    std::fs::read_link(link).ok()
}
