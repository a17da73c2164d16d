//! The CPUs that a cgroup may run on, whatever the version.

use std::sync::Arc;

use vistafs_host::{HostError, KeptFile};
use vistafs_text::CpuSet;

use crate::{Cgroup, Version, v1, v2};

/// The cpuset files of a cgroup and its ancestors.
#[derive(Debug)]
pub enum Cpuset {
    /// cpuset.effective_cpus, cpuset.cpus
    V1(v1::cpuset::Cpuset),
    /// cpuset.cpus.effective
    V2(v2::cpuset::Cpuset),
}

impl Cpuset {
    /// Names the files; none is opened yet.
    #[must_use]
    pub fn new(cgroup: &Arc<Cgroup>) -> Self {
        match cgroup.version() {
            Version::V1 => Self::V1(v1::cpuset::Cpuset::new(cgroup)),
            Version::V2 => Self::V2(v2::cpuset::Cpuset::new(cgroup)),
        }
    }

    /// The CPUs that it may really run on; `None`: nothing restricts it.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn effective(&self, text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        match self {
            Self::V1(cpuset) => cpuset.effective(text),
            Self::V2(cpuset) => cpuset.effective(text),
        }
    }
}

/// The first set of `files`, own one first, that is there and not empty.
pub(crate) fn first_set(
    cgroup: &Cgroup,
    files: &[KeptFile],
    text: &mut Vec<u8>,
) -> Result<Option<CpuSet>, HostError> {
    for (index, file) in files.iter().enumerate() {
        let cpus = file.parse(text, CpuSet::parse)?;
        if cpus.is_none() && index == 0 {
            cgroup.ensure_alive()?;
        }
        if cpus.as_ref().is_some_and(|cpus| !cpus.is_empty()) {
            return Ok(cpus);
        }
    }
    Ok(None)
}
