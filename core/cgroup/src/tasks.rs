//! The tasks of a cgroup and of all below it.

use std::path::Path;
use std::sync::Arc;

use vistafs_host::{Dir, HostError, KeptFile, Shape};
use vistafs_text::number;

use crate::v1::cgroupstats::CgroupStats;
use crate::{Cgroup, Version};

/// Lists task numbers, as the pid namespace of vistafs knows them.
#[derive(Debug)]
pub struct Tasks {
    top: Arc<Dir>,
    version: Version,
}

/// How many threads are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadStates {
    /// Running or waiting for a CPU.
    pub running: u64,
    /// In uninterruptible sleep.
    pub blocked: u64,
    /// In other states.
    pub others: u64,
}

impl ThreadStates {
    /// Of how many threads it tells.
    #[must_use]
    pub fn threads(self) -> u64 {
        let asleep = self.blocked.saturating_add(self.others);
        self.running.saturating_add(asleep)
    }
}

impl Tasks {
    /// The tasks of `cgroup`.
    #[must_use]
    pub fn new(cgroup: &Cgroup) -> Self {
        Self {
            top: Arc::clone(cgroup.own()),
            version: cgroup.version(),
        }
    }

    /// Calls `found` with each process. Cgroups that go meanwhile are passed over.
    ///
    /// # Errors
    /// When the top one cannot be read.
    pub fn processes(&self, found: &mut dyn FnMut(u32)) -> Result<(), HostError> {
        walk(&self.top, "cgroup.procs", &mut |_, pids| {
            pids.iter().for_each(|pid| found(*pid));
        })
    }

    /// How many threads there are.
    ///
    /// # Errors
    /// When the top one cannot be read.
    pub(crate) fn count(&self) -> Result<usize, HostError> {
        let mut threads = 0;
        walk(&self.top, self.list(), &mut |_, tids| threads += tids.len())?;
        Ok(threads)
    }

    /// Calls `found` with the threads of each cgroup, and with their states where the kernel has
    /// counted *all* of them (v1). Cgroups that go meanwhile are passed over.
    ///
    /// # Errors
    /// When the top one cannot be read.
    pub fn threads(
        &self,
        found: &mut dyn FnMut(&[u32], Option<ThreadStates>),
    ) -> Result<(), HostError> {
        let stats = match self.version {
            Version::V1 => CgroupStats::open(),
            Version::V2 => None,
        };
        walk(&self.top, self.list(), &mut |dir, tids| {
            if tids.is_empty() {
                return;
            }
            let told = stats.as_ref().and_then(|stats| stats.of(dir));
            found(
                tids,
                told.filter(|told| told.threads() >= tids.len() as u64),
            );
        })
    }

    fn list(&self) -> &'static str {
        match self.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.threads",
        }
    }
}

/// Reads `name` in `dir` and in all directories below it, without recursion: a tenant decides how
/// deep its tree is.
fn walk(
    dir: &Arc<Dir>,
    name: &'static str,
    found: &mut dyn FnMut(&Dir, &[u32]),
) -> Result<(), HostError> {
    let (mut text, mut numbers) = (Vec::new(), Vec::new());
    let mut read = |dir: &Arc<Dir>| -> Result<(), HostError> {
        // EOPNOTSUPP: a threaded cgroup has no cgroup.procs of its own.
        let file = KeptFile::new(Arc::clone(dir), name, Shape::Records);
        match file.file().read(&mut text) {
            Ok(_) => {}
            Err(HostError::Io { source, .. })
                if source.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
        let lines = text.split(|&b| b == b'\n');
        numbers.clear();
        numbers.extend(lines.filter_map(number::parse_u32).filter(|&n| n > 0));
        found(dir, &numbers);
        Ok(())
    };
    read(dir)?;
    let mut rest = children(dir);
    while let Some(child) = rest.pop() {
        if read(&child).is_ok() {
            rest.append(&mut children(&child));
        }
    }
    Ok(())
}

fn children(dir: &Dir) -> Vec<Arc<Dir>> {
    let names = dir.subdirectories().unwrap_or_default();
    let open = |name| dir.subdir(Path::new(&name)).ok().map(Arc::new);
    names.into_iter().filter_map(open).collect()
}
