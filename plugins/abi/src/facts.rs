//! The tables that the functions of [`Host`](crate::Host) fill in.
//!
//! The plugin sets `size` to the size of the table; vistafs fills in as much of it as both know, and sets
//! `size` to that.

use crate::Str;

/// No limit.
pub const NO_LIMIT: u64 = u64::MAX;

/// The configuration shows CPUs as 0, 1, 2, ... to containers.
pub const FLAG_RENUMBER_CPUS: u32 = 1;
/// The configuration shows containers their swap.
pub const FLAG_SWAP: u32 = 2;
/// The configuration lets a CPU quota cut the list of visible CPUs.
pub const FLAG_CPU_QUOTA: u32 = 8;
/// The host is a captured one, of a test: only `root` leads to it.
pub const FLAG_CAPTURED: u32 = 4;

/// The caller.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Bytes of this table.
    pub size: usize,
    /// Number of the thread in vistafs's pid namespace; 0: it is not visible there.
    pub thread: u32,
    /// User, in vistafs's user namespace.
    pub uid: u32,
    /// Group, in vistafs's user namespace.
    pub gid: u32,
}

/// Whose numbers are shown.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Container {
    /// Bytes of this table.
    pub size: usize,
    /// Unique ID; the same in every process of this boot, and never reused.
    pub id: u64,
    /// The cgroup path that identifies the container best: `/system.slice/x`.
    pub name: Str,
    /// ns since the container began.
    pub age: u64,
    /// When it began: ns since the host's boot.
    pub start: u64,
    /// Offset of its time namespace to the time since boot: seconds.
    pub boottime_offset_seconds: i64,
    /// The same: nanoseconds, added to the seconds.
    pub boottime_offset_nanoseconds: i64,
    /// How often it was found in other cgroups than before.
    pub moves: u64,
}

/// The container's cgroup in one hierarchy.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Cgroup {
    /// Bytes of this table.
    pub size: usize,
    /// 1 or 2.
    pub version: u32,
    /// Its directory (O_PATH), for openat(2) while the function that was given the context runs.
    pub directory: i32,
    /// The hierarchy: `memory`, `cpu,cpuacct`, `name=systemd`; `unified` for version 2.
    pub hierarchy: Str,
    /// Its path in the hierarchy, as on the host: `/a/b`.
    pub path: Str,
}

/// Memory and swap, whatever the version: bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Bytes of this table.
    pub size: usize,
    /// The effective limit: least of its own, its ancestors' and the host's total.
    pub limit: u64,
    /// In use, page cache included.
    pub usage: u64,
    /// Of that, what the kernel can take back.
    pub reclaimable: u64,
    /// The effective limit of swap, or of memory and swap together where `swap_in_pool`; `NO_LIMIT`.
    pub swap_limit: u64,
    /// Swap in use; memory and swap where `swap_in_pool`.
    pub swap_usage: u64,
    /// 1: the kernel counts memory and swap together (version 1).
    pub swap_in_pool: u32,
    /// 0: the kernel does not account swap here.
    pub swap_accounted: u32,
}

/// CPU time, whatever the version: ns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// Bytes of this table.
    pub size: usize,
    /// Used in user mode.
    pub user: u64,
    /// Used in the kernel.
    pub system: u64,
    /// Held back by a quota.
    pub throttled: u64,
    /// The tightest quota of it and its ancestors: CPU time in each `period`; `NO_LIMIT`.
    pub quota: u64,
    /// Wall time.
    pub period: u64,
    /// How many CPUs it is shown.
    pub visible: u32,
}

/// Threads of the container.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Tasks {
    /// Bytes of this table.
    pub size: usize,
    /// All of them.
    pub total: u64,
    /// Running, or waiting for a CPU; not the thread that asks, which waits for the answer.
    pub running: u64,
    /// In uninterruptible sleep.
    pub blocked: u64,
}

/// The host, and what the configuration says for all views alike.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct HostFacts {
    /// Bytes of this table.
    pub size: usize,
    /// `FLAG_*`.
    pub flags: u32,
    /// Its root directory (O_PATH), for openat(2) while the function that was given the context runs.
    pub root: i32,
    /// Bytes in a page.
    pub page_size: u64,
    /// USER_HZ ticks in a second.
    pub clock_ticks: u64,
    /// ns since boot, suspend included.
    pub boottime: u64,
    /// TTL of host files that containers share, in ns.
    pub ttl: u64,
    /// Bytes of memory; 0: unknown.
    pub memory_total: u64,
    /// CPUs that are online.
    pub online_cpus: u32,
}
