//! What the administrator has decided for all views alike.

use vistafs_container::CpuPolicy;

/// Decisions that more than one view follows, so that they agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which CPUs are visible, and by which numbers.
    pub cpus: CpuPolicy,
    /// Whether containers are shown their swap; if not, they have none.
    pub swap: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            cpus: CpuPolicy::default(),
            swap: true,
        }
    }
}
