//! A view, and its place in a container.

use std::path::{Path, PathBuf};

/// Where vistafs is mounted on container hosts.
pub const DEFAULT_MOUNT: &str = "/var/lib/vistafs";

/// The link in a mount to the directory of the caller's own files.
pub const OWN: &str = "self";

/// The mount's source in mountinfo, which tells the usual tree from the page-cache tree.
pub const SOURCE: &str = "vistafs";

/// The source of a mount of the page-cache tree.
pub const PAGE_CACHE_SOURCE: &str = "vistafs-page-cache";

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
