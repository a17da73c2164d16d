//! The CPUs that a cgroup may run on and the nodes that it allocates memory from, on either
//! version.
//!
//! v1 (`cpusets.rst`): `cpuset.effective_cpus` is the set in use, `cpuset.cpus` the configured one;
//! both are empty in a cgroup that was never configured. v2 (`cgroup-v2.rst`, "Cpuset Interface
//! Files"): `cpuset.cpus.effective`, only where the controller is enabled. In both versions a
//! cgroup with an empty or missing set uses its nearest ancestor's. Nodes: the same, with `mems`.

use std::sync::Arc;

use vistafs_host::{FileSpec, HostError, Kept, KeptFiles};
use vistafs_text::CpuSet;

use crate::{Cgroup, Version};

/// CPUs first, then nodes; the preferred file of each first.
static FILES_V1: [FileSpec; 4] = [
    FileSpec::whole("cpuset.effective_cpus"),
    FileSpec::whole("cpuset.cpus"),
    FileSpec::whole("cpuset.effective_mems"),
    FileSpec::whole("cpuset.mems"),
];

static FILES_V2: [FileSpec; 2] = [
    FileSpec::whole("cpuset.cpus.effective"),
    FileSpec::whole("cpuset.mems.effective"),
];

/// The cpuset files of a cgroup and its ancestors.
#[derive(Debug)]
pub struct Cpuset {
    cgroup: Arc<Cgroup>,
    levels: Levels,
}

/// Own files first.
#[derive(Debug)]
enum Levels {
    V1(Box<[KeptFiles<4>]>),
    V2(Box<[KeptFiles<2>]>),
}

impl Cpuset {
    /// Names the files and opens none.
    #[must_use]
    pub fn new(cgroup: &Arc<Cgroup>) -> Self {
        let dirs = cgroup.levels();
        Self {
            levels: match cgroup.version() {
                Version::V1 => Levels::V1(dirs.map(|dir| KeptFiles::new(dir, &FILES_V1)).collect()),
                Version::V2 => Levels::V2(dirs.map(|dir| KeptFiles::new(dir, &FILES_V2)).collect()),
            },
            cgroup: Arc::clone(cgroup),
        }
    }

    /// Returns the CPUs that the cgroup may run on; `None`: unrestricted.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed, or the cgroup has been removed.
    pub fn effective_cpus(&self, text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        self.nearest(0, text)
    }

    /// Returns the nodes that the cgroup allocates memory from; `None`: unrestricted.
    ///
    /// # Errors
    /// As [`effective_cpus`](Self::effective_cpus).
    pub fn effective_mems(&self, text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        self.nearest(1, text)
    }

    /// `kind`: 0 for CPUs, 1 for nodes.
    fn nearest(&self, kind: usize, text: &mut Vec<u8>) -> Result<Option<CpuSet>, HostError> {
        match &self.levels {
            Levels::V1(levels) => {
                let of_level =
                    |level| [2 * kind, 2 * kind + 1].map(|file| KeptFiles::at(level, file));
                self.first_that_has_some(levels.iter().flat_map(of_level), text)
            }
            Levels::V2(levels) => {
                self.first_that_has_some(levels.iter().map(|level| level.at(kind)), text)
            }
        }
    }

    fn first_that_has_some<'f>(
        &self,
        files: impl Iterator<Item = Kept<'f>>,
        text: &mut Vec<u8>,
    ) -> Result<Option<CpuSet>, HostError> {
        for (index, file) in files.enumerate() {
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
