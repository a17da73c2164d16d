//! The built-in views, one file and one cargo feature each.
//!
//! A view registers itself, but only when its crate is linked: the daemon says
//! `use vistafs_views as _;`, and [`ENABLED`] is the list that its tests compare the registry with.

#[cfg(any(feature = "stat", feature = "uptime"))]
mod cpu_time;
#[cfg(feature = "cpuinfo")]
mod cpuinfo;
#[cfg(feature = "meminfo")]
mod meminfo;
#[cfg(any(feature = "meminfo", feature = "sys-node"))]
mod memory_fields;
#[cfg(feature = "stat")]
mod stat;
#[cfg(feature = "sys-cpu")]
mod sys_cpu;
#[cfg(feature = "sys-node")]
mod sys_node;
#[cfg(any(feature = "sys-cpu", feature = "sys-node"))]
mod sys_tree;
#[cfg(feature = "uptime")]
mod uptime;

/// The names of the views that are compiled in, sorted.
pub const ENABLED: &[&str] = &[
    #[cfg(feature = "cpuinfo")]
    "cpuinfo",
    #[cfg(feature = "meminfo")]
    "meminfo",
    #[cfg(feature = "stat")]
    "stat",
    #[cfg(feature = "sys-cpu")]
    "sys-cpu",
    #[cfg(feature = "sys-node")]
    "sys-node",
    #[cfg(feature = "uptime")]
    "uptime",
];
