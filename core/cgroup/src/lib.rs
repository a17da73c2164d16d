//! Control groups as quantities: limits, usage, quota, CPU sets, block I/O.
//!
//! The layout (v1, hybrid, v2) is decided *per controller*: each quantity comes from the hierarchy
//! that has its controller, v1 before v2. The sibling modules `v1` and `v2` hold the files that
//! differ and never import each other; the enums here choose between them.
//!
//! | file | owns |
//! |---|---|
//! | `hierarchy.rs` | the hierarchies that the host has mounted |
//! | `cgroup.rs` | one cgroup in one hierarchy: its directory and its ancestors' |
//! | `locate.rs` | finding the cgroups of a container: by namespace, by path |
//! | `handle.rs` | directories by the kernel's file handles |
//! | `standing.rs` | where a directory of a hierarchy is relative to a container's cgroup |
//! | `role.rs` | purpose of a cgroup file, which decides who may write it |
//! | `joining.rs` | who may move a task into a cgroup |
//! | `memory.rs`, `cpu.rs`, `cpuset.rs`, `hugetlb.rs`, `io.rs`, `tasks.rs`, `freezer.rs` | the quantities, on either version |
//! | `pressure.rs` | pressure stall information, and opening its files for triggers |
//! | `v1/`, `v2/` | the files of each version |
//!
//! An absent file means that the controller is missing or not enabled: no limit. An existing file
//! that cannot be read or parsed is an error.

mod cgroup;
mod cpu;
mod cpuset;
mod freezer;
mod handle;
mod hierarchy;
mod hugetlb;
mod io;
mod joining;
mod locate;
mod memory;
pub mod pressure;
mod role;
mod standing;
mod tasks;
mod v1;
mod v2;

pub use cgroup::Cgroup;
pub use cpu::{CpuAccounting, CpuQuota, CpuUsage, PerCpu};
pub use cpuset::Cpuset;
pub use freezer::Freezer;
pub use hierarchy::{Hierarchies, Hierarchy, Version, v1_options};
pub use hugetlb::{Hugetlb, HugetlbFigures};
pub use io::{DeviceIo, Io};
pub use locate::Located;
pub use memory::{
    Memory, MemoryCounters, MemoryFigures, MemoryStat, MemoryWanted, NodeMemory, SwapFigures,
};
pub use role::Role;
pub use standing::Standing;
pub use tasks::{MOST_CGROUPS, Tasks, ThreadStates};
