//! The CPUs that a cgroup may run on, whatever the version.
//!
//! v1 (`cpusets.rst`): `cpuset.effective_cpus` is what the tasks run on, `cpuset.cpus` what was
//! asked for; both are empty in a cgroup that nobody has set up. v2 (`cgroup-v2.rst`, "Cpuset
//! Interface Files"): `cpuset.cpus.effective`, only where the controller is enabled. Either way a
//! cgroup that has none runs where its nearest ancestor that has one does.

use std::sync::Arc;

use vistafs_host::{HostError, KeptFile, Shape};
use vistafs_text::CpuSet;

use crate::{Cgroup, Version};

/// The cpuset files of a cgroup and its ancestors.
#[derive(Debug)]
pub struct Cpuset {
    cgroup: Arc<Cgroup>,
    // Own ones first.
    files: Vec<KeptFile>,
}

impl Cpuset {
    /// Names the files; none is opened yet.
    #[must_use]
    pub fn new(cgroup: &Arc<Cgroup>) -> Self {
        let names: &[&str] = match cgroup.version() {
            Version::V1 => &["cpuset.effective_cpus", "cpuset.cpus"],
            Version::V2 => &["cpuset.cpus.effective"],
        };
        let at = |dir| {
            names
                .iter()
                .map(move |name| KeptFile::new(Arc::clone(dir), *name, Shape::Whole))
        };
        Self {
            cgroup: Arc::clone(cgroup),
            files: cgroup.levels().iter().flat_map(at).collect(),
        }
    }

    /// The CPUs that it may really run on; `None`: nothing restricts it.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood, or the cgroup has been removed.
    pub fn effective(&self, text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        for (index, file) in self.files.iter().enumerate() {
            let cpus = file.parse(text, CpuSet::parse)?;
            if cpus.is_none() && index == 0 {
                self.cgroup.ensure_alive()?;
            }
            if cpus.as_ref().is_some_and(|cpus| !cpus.is_empty()) {
                return Ok(cpus);
            }
        }
        Ok(None)
    }
}
