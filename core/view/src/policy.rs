//! The configuration that applies to all views.

use vistafs_container::CpuPolicy;

/// Decisions that several views follow, so that they agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which CPUs are visible, and their numbering.
    pub cpus: CpuPolicy,
    /// Whether containers see their swap; otherwise they have none.
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
