//! The views that go over a container's own files in /proc and /sys.

use vistafs_attach::Binding;
use vistafs_host::Host;
use vistafs_view::Registered;

use crate::outside;
use vistafs_config::Config;

/// The options of a configured bind mount of a view.
pub(crate) fn options(binding: Binding) -> [&'static str; 5] {
    let access = if binding.is_writable { "rw" } else { "ro" };
    [access, "bind", "nosuid", "nodev", "noexec"]
}

/// All views that serve by this configuration and have a place in /proc or /sys.
pub(crate) fn all(config: &Config) -> anyhow::Result<Vec<Binding>> {
    let registry = outside::registry(config)?;
    let host = Host::running(config.host_ttl())?;
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
