//! cgroup v2 as the kernel's `Documentation/admin-guide/cgroup-v2.rst` describes it.

pub(crate) mod cpu;
pub(crate) mod io;
pub(crate) mod memory;
pub(crate) mod role;
