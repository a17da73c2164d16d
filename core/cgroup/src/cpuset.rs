//! The CPUs that a cgroup may run on and the nodes that it gets memory from, whatever the version.
//!
//! v1 (`cpusets.rst`): `cpuset.effective_cpus` is what the tasks run on, `cpuset.cpus` what was
//! asked for; both are empty in a cgroup that nobody has set up. v2 (`cgroup-v2.rst`, "Cpuset
//! Interface Files"): `cpuset.cpus.effective`, only where the controller is enabled. Either way a
//! cgroup that has none runs where its nearest ancestor that has one does. Nodes alike, with `mems`.

use std::sync::Arc;

use vistafs_host::{HostError, KeptFile, Shape};
use vistafs_text::CpuSet;

use crate::{Cgroup, Version};

/// The cpuset files of a cgroup and its ancestors.
#[derive(Debug)]
pub struct Cpuset {
    cgroup: Arc<Cgroup>,
    cpus: Vec<KeptFile>,
    mems: Vec<KeptFile>,
}

impl Cpuset {
    /// Names the files; none is opened yet.
    #[must_use]
    pub fn new(cgroup: &Arc<Cgroup>) -> Self {
        let (cpus, mems): (&[&str], &[&str]) = match cgroup.version() {
            Version::V1 => (
                &["cpuset.effective_cpus", "cpuset.cpus"],
                &["cpuset.effective_mems", "cpuset.mems"],
            ),
            Version::V2 => (&["cpuset.cpus.effective"], &["cpuset.mems.effective"]),
        };
        // Own ones first.
        let files = |names: &[&'static str]| {
            let at = |dir| {
                names
                    .iter()
                    .map(move |name| KeptFile::new(Arc::clone(dir), *name, Shape::Whole))
            };
            cgroup.levels().iter().flat_map(at).collect()
        };
        Self {
            cgroup: Arc::clone(cgroup),
            cpus: files(cpus),
            mems: files(mems),
        }
    }

    /// The CPUs that it may really run on; `None`: nothing restricts it.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood, or the cgroup has been removed.
    pub fn effective_cpus(&self, text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        self.nearest(&self.cpus, text)
    }

    /// The nodes that it really gets memory from; `None`: nothing restricts it.
    ///
    /// # Errors
    /// As [`effective_cpus`](Self::effective_cpus).
    pub fn effective_mems(&self, text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        self.nearest(&self.mems, text)
    }

    fn nearest(&self, files: &[KeptFile], text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        for (index, file) in files.iter().enumerate() {
            let members = file.parse(text, CpuSet::parse)?;
            if members.is_none() && index == 0 {
                self.cgroup.ensure_alive()?;
            }
            if members.as_ref().is_some_and(|members| !members.is_empty()) {
                return Ok(members);
            }
        }
        Ok(None)
    }
}
