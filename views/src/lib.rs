//! The built-in views, one file and one cargo feature each.
//!
//! A view registers itself, but only when its crate is linked: the daemon says
//! `use vistafs_views as _;`, and [`ENABLED`] is the list that its tests compare the registry with.

#[cfg(feature = "cpu-online")]
mod cpu_online;
#[cfg(any(feature = "stat", feature = "uptime"))]
mod cpu_time;
#[cfg(feature = "cpuinfo")]
mod cpuinfo;
#[cfg(feature = "meminfo")]
mod meminfo;
#[cfg(feature = "pressure")]
mod pressure;
#[cfg(feature = "stat")]
mod stat;
#[cfg(feature = "uptime")]
mod uptime;

/// The names of the views that are compiled in, sorted.
pub const ENABLED: &[&str] = &[
    #[cfg(feature = "cpu-online")]
    "cpu-online",
    #[cfg(feature = "cpuinfo")]
    "cpuinfo",
    #[cfg(feature = "meminfo")]
    "meminfo",
    #[cfg(feature = "pressure")]
    "pressure-cpu",
    #[cfg(feature = "pressure")]
    "pressure-io",
    #[cfg(feature = "pressure")]
    "pressure-irq",
    #[cfg(feature = "pressure")]
    "pressure-memory",
    #[cfg(feature = "stat")]
    "stat",
    #[cfg(feature = "uptime")]
    "uptime",
];
