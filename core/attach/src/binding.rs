//! A view, and its place in a container.

use std::path::{Path, PathBuf};

use vistafs_text::mountinfo::Mount;

/// Where vistafs is mounted on container hosts.
pub const DEFAULT_MOUNT: &str = "/var/lib/vistafs";

/// The link in a mount to the directory of the caller's own files.
pub const OWN: &str = "self";

/// The source and the type of a mount in /proc/mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountName {
    /// The source: the first column.
    pub source: &'static str,
    /// The type: the third column.
    pub fs_type: &'static str,
}

impl MountName {
    /// A mount of the usual tree.
    pub const USUAL: Self = Self {
        source: "vistafs",
        fs_type: "fuse.vistafs",
    };
    /// A mount of the page-cache tree.
    pub const PAGE_CACHE: Self = Self {
        source: "vistafs-page-cache",
        fs_type: "fuse.vistafs",
    };
    /// A mount of `vistafs lxcfs`. Other programs look for this name: htop to find out that it runs in
    /// a container, node_exporter to leave the mount out.
    pub const LXCFS: Self = Self {
        source: "lxcfs",
        fs_type: "fuse.lxcfs",
    };

    const ALL: [Self; 3] = [Self::USUAL, Self::PAGE_CACHE, Self::LXCFS];

    /// Returns the name of a mount, if it is one of these.
    pub(crate) fn of(mount: &Mount<'_>) -> Option<Self> {
        Self::ALL.into_iter().find(|name| {
            mount.source == name.source.as_bytes() && mount.fs_type == name.fs_type.as_bytes()
        })
    }
}

/// The files below /proc that runc and crun accept as the destination of a configured mount. They
/// refuse to start a container that mounts on any other.
const ACCEPTED_BY_RUNTIMES: [&str; 8] = [
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/loadavg",
    "proc/meminfo",
    "proc/slabinfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
];

/// A view, and where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The name of the view.
    pub name: &'static str,
    /// The path below the mount, and below `/` in the container.
    pub path: &'static str,
    /// Whether some callers may write to the file.
    pub is_writable: bool,
}

impl Binding {
    /// Whether runtimes accept it as a mount of a container's configuration. A hook can bind all.
    #[must_use]
    pub fn is_accepted_by_runtimes(self) -> bool {
        !self.path.starts_with("proc/") || ACCEPTED_BY_RUNTIMES.contains(&self.path)
    }

    /// The path on the host.
    #[must_use]
    pub fn source(self, mount: &Path) -> PathBuf {
        mount.join(self.path)
    }

    /// The path in the container.
    #[must_use]
    pub fn target(self) -> PathBuf {
        Path::new("/").join(self.path)
    }
}
