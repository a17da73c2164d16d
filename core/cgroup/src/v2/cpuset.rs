//! v2 cpuset controller, `cgroup-v2.rst`, "Cpuset Interface Files".
//!
//! `cpuset.cpus.effective` is only where the controller is enabled; a cgroup without it runs where
//! its nearest ancestor with it does.

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
        let file = |dir| KeptFile::new(Arc::clone(dir), "cpuset.cpus.effective", Shape::Whole);
        Self {
            cgroup: Arc::clone(cgroup),
            files: cgroup.levels().iter().map(file).collect(),
        }
    }

    pub(crate) fn effective(&self, text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        first_set(&self.cgroup, &self.files, text)
    }
}
