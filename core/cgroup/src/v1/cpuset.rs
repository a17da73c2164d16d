//! v1 cpuset controller, `cpusets.rst`.
//!
//! `cpuset.effective_cpus` is what the tasks run on; `cpuset.cpus` what was asked for. Both are
//! empty in a cgroup that nobody has set up; then the first ancestor that has one counts.

use std::sync::Arc;

use vistafs_host::{HostError, KeptFile, Shape};
use vistafs_text::CpuSet;

use crate::Cgroup;
use crate::cpuset::first_set;

/// The files of a cgroup and its ancestors.
#[derive(Debug)]
pub struct Cpuset {
    cgroup: Arc<Cgroup>,
    files: Vec<KeptFile>,
}

impl Cpuset {
    pub(crate) fn new(cgroup: &Arc<Cgroup>) -> Self {
        let names = ["cpuset.effective_cpus", "cpuset.cpus"];
        let at = |dir| names.map(|name| KeptFile::new(Arc::clone(dir), name, Shape::Whole));
        Self {
            cgroup: Arc::clone(cgroup),
            files: cgroup.levels().iter().flat_map(at).collect(),
        }
    }

    pub(crate) fn effective(&self, text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        first_set(&self.cgroup, &self.files, text)
    }
}
