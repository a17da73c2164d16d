//! The tasks of a cgroup and its descendants.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use vistafs_host::{Dir, HostError, KeptFile, Shape};
use vistafs_text::number;

use crate::cgroup::DEEPEST;
use crate::v1::cgroupstats::CgroupStats;
use crate::{Cgroup, Version};

/// Lists task IDs in the pid namespace of vistafs.
#[derive(Debug)]
pub struct Tasks {
    top: Arc<Dir>,
    version: Version,
}

/// Number of threads in each state.
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
    /// Total number of threads.
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

    /// Calls `found` with each process until it breaks. Cgroups removed meanwhile are skipped.
    ///
    /// # Errors
    /// When the top cgroup cannot be read; `Io` with EOVERFLOW for more than [`MOST_CGROUPS`].
    pub fn processes(
        &self,
        found: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<(), HostError> {
        walk(&self.top, "cgroup.procs", &mut |_, pids| {
            pids.iter().try_for_each(|pid| found(*pid))
        })
    }

    /// Returns the number of threads.
    ///
    /// # Errors
    /// When the top cgroup cannot be read.
    pub(crate) fn count(&self) -> Result<usize, HostError> {
        let mut threads = 0;
        walk(&self.top, self.list(), &mut |_, tids| {
            threads += tids.len();
            ControlFlow::Continue(())
        })?;
        Ok(threads)
    }

    /// Calls `found` with the threads of each cgroup, and with their states where the kernel
    /// counted *all* of them (v1). Cgroups removed meanwhile are skipped.
    ///
    /// # Errors
    /// When the top cgroup cannot be read.
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
                return ControlFlow::Continue(());
            }
            let told = stats.as_ref().and_then(|stats| stats.of(dir));
            found(
                tids,
                told.filter(|told| told.threads() >= tids.len() as u64),
            );
            ControlFlow::Continue(())
        })
    }

    fn list(&self) -> &'static str {
        match self.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.threads",
        }
    }
}

/// Maximum number of cgroups walked for one container. The kernel takes about 30 µs for each, so a
/// walk ends within seconds; after a longer one the supervisor would restart the worker as stuck.
pub const MOST_CGROUPS: usize = 1 << 15;

/// Reads `name` in `dir` and all its descendants, without recursion: a tenant decides how deep its
/// tree is. Stops when `found` breaks.
fn walk(
    dir: &Arc<Dir>,
    name: &'static str,
    found: &mut dyn FnMut(&Dir, &[u32]) -> ControlFlow<()>,
) -> Result<(), HostError> {
    let (mut text, mut numbers) = (Vec::new(), Vec::new());
    let mut read = |dir: &Arc<Dir>| -> Result<ControlFlow<()>, HostError> {
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
        Ok(found(dir, &numbers))
    };
    if read(dir)?.is_break() {
        return Ok(());
    }
    let mut left = MOST_CGROUPS;
    // Names instead of directories: otherwise a tenant decides how many descriptors are open.
    let mut rest = vec![(Arc::clone(dir), dir.subdirectories().unwrap_or_default())];
    while let Some((parent, names)) = rest.last_mut() {
        let Some(name) = names.pop() else {
            rest.pop();
            continue;
        };
        let Ok(child) = parent.subdir(Path::new(&name)).map(Arc::new) else {
            continue;
        };
        left -= 1;
        if left == 0 || rest.len() > DEEPEST {
            return Err(HostError::from_errno(Errno::OVERFLOW, dir.path()));
        }
        match read(&child) {
            Ok(ControlFlow::Continue(())) => {
                let names = child.subdirectories().unwrap_or_default();
                rest.push((child, names));
            }
            Ok(ControlFlow::Break(())) => return Ok(()),
            Err(_) => {}
        }
    }
    Ok(())
}
