//! The built-in views, one file and one cargo feature each.
//!
//! A view registers itself, but only when its crate is linked: the daemon has `use vistafs_views as
//! _;`, and its tests compare the registry with the list [`ENABLED`].

#[cfg(feature = "arcstats")]
mod arcstats;
#[cfg(feature = "cgroup")]
mod cgroup;
#[cfg(any(feature = "stat", feature = "uptime"))]
mod cpu_time;
#[cfg(feature = "cpuinfo")]
mod cpuinfo;
#[cfg(any(feature = "diskstats", feature = "partitions"))]
mod device_io;
#[cfg(feature = "diskstats")]
mod diskstats;
#[cfg(any(feature = "swaps", feature = "vmstat"))]
mod host_memory;
#[cfg(feature = "interrupts")]
mod interrupts;
#[cfg(feature = "loadavg")]
mod loadavg;
#[cfg(feature = "meminfo")]
mod meminfo;
#[cfg(any(feature = "meminfo", feature = "sys-node"))]
mod memory_fields;
#[cfg(feature = "partitions")]
mod partitions;
#[cfg(feature = "pressure")]
mod pressure;
#[cfg(feature = "schedstat")]
mod schedstat;
#[cfg(any(feature = "cgroup", feature = "pressure"))]
mod share;
#[cfg(feature = "slabinfo")]
mod slabinfo;
#[cfg(feature = "softirqs")]
mod softirqs;
#[cfg(feature = "stat")]
mod stat;
#[cfg(any(feature = "meminfo", feature = "swaps"))]
mod swap;
#[cfg(feature = "swaps")]
mod swaps;
#[cfg(feature = "sys-cpu")]
mod sys_cpu;
#[cfg(feature = "sys-node")]
mod sys_node;
#[cfg(any(feature = "sys-cpu", feature = "sys-node"))]
mod sys_tree;
#[cfg(any(feature = "meminfo", feature = "stat", feature = "sys-node"))]
mod unknown_fields;
#[cfg(feature = "uptime")]
mod uptime;
#[cfg(feature = "vmstat")]
mod vmstat;
#[cfg(feature = "zoneinfo")]
mod zoneinfo;

/// The names of the views that are compiled in, sorted.
pub const ENABLED: &[&str] = &[
    #[cfg(feature = "arcstats")]
    "arcstats",
    #[cfg(feature = "cgroup")]
    "cgroup",
    #[cfg(feature = "cpuinfo")]
    "cpuinfo",
    #[cfg(feature = "diskstats")]
    "diskstats",
    #[cfg(feature = "interrupts")]
    "interrupts",
    #[cfg(feature = "loadavg")]
    "loadavg",
    #[cfg(feature = "meminfo")]
    "meminfo",
    #[cfg(feature = "partitions")]
    "partitions",
    #[cfg(feature = "pressure")]
    "pressure-cpu",
    #[cfg(feature = "pressure")]
    "pressure-io",
    #[cfg(feature = "pressure")]
    "pressure-irq",
    #[cfg(feature = "pressure")]
    "pressure-memory",
    #[cfg(feature = "schedstat")]
    "schedstat",
    #[cfg(feature = "slabinfo")]
    "slabinfo",
    #[cfg(feature = "softirqs")]
    "softirqs",
    #[cfg(feature = "stat")]
    "stat",
    #[cfg(feature = "swaps")]
    "swaps",
    #[cfg(feature = "sys-cpu")]
    "sys-cpu",
    #[cfg(feature = "sys-node")]
    "sys-node",
    #[cfg(feature = "uptime")]
    "uptime",
    #[cfg(feature = "vmstat")]
    "vmstat",
    #[cfg(feature = "zoneinfo")]
    "zoneinfo",
];
