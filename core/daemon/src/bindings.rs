//! What of a container's own /proc and /sys the views go over.

use std::path::{Path, PathBuf};

use vistafs_host::Host;
use vistafs_view::Registered;

use crate::config::Config;
use crate::outside;

/// Where vistafs is mounted on container hosts.
pub(crate) const DEFAULT_MOUNT: &str = "/var/lib/vistafs";

/// The link in a mount to the directory of the caller's own files.
pub(crate) const OWN: &str = "self";

/// What runc and crun let a mount of a container's configuration cover below /proc; of the rest they
/// refuse the container.
const LET_BY_RUNTIMES: [&str; 8] = [
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
pub(crate) struct Binding {
    /// Of the view.
    pub(crate) name: &'static str,
    /// Below the mount, and below `/` in the container.
    pub(crate) path: &'static str,
    /// Whether somebody may write to it.
    pub(crate) is_writable: bool,
}

impl Binding {
    /// Whether runtimes take it as a mount of a container's configuration. A hook can bind all.
    pub(crate) fn is_let_by_runtimes(self) -> bool {
        !self.path.starts_with("proc/") || LET_BY_RUNTIMES.contains(&self.path)
    }

    /// On the host.
    pub(crate) fn source(self, mount: &Path) -> PathBuf {
        mount.join(self.path)
    }

    /// In the container.
    pub(crate) fn target(self) -> PathBuf {
        Path::new("/").join(self.path)
    }
}

/// All views that serve by this configuration and have a place in /proc or /sys.
pub(crate) fn all(config: &Config) -> anyhow::Result<Vec<Binding>> {
    let registry = outside::registry(config)?;
    let host = Host::running(config.epoch())?;
    let registry = registry.on(&host);
    let binding = |view: &Registered| Binding {
        name: view.spec.name,
        path: view.spec.path,
        is_writable: view.spec.mode & 0o222 != 0,
    };
    // Nothing can be bound where the kernel has nothing, as with a file of the configuration.
    let is_placed = |one: &Binding| {
        (one.path.starts_with("proc/") || one.path.starts_with("sys/")) && host.has(one.path)
    };
    Ok(registry.serving().map(binding).filter(is_placed).collect())
}
