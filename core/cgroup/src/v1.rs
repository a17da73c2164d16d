//! cgroup v1 as the kernel's `Documentation/admin-guide/cgroup-v1/` describes it.

pub(crate) mod cgroupstats;
pub(crate) mod cpu;
pub(crate) mod io;
pub(crate) mod memory;
pub(crate) mod role;
