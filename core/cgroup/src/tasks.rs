//! The tasks of a cgroup and of all below it.

use std::path::Path;
use std::sync::Arc;

use vistafs_host::{Dir, HostError, KeptFile, Shape};
use vistafs_text::number;

use crate::{Cgroup, Version};

/// Lists task numbers, as the pid namespace of vistafs knows them.
#[derive(Debug)]
pub struct Tasks {
    top: Arc<Dir>,
    threads: &'static str,
}

impl Tasks {
    /// The tasks of `cgroup`.
    #[must_use]
    pub fn new(cgroup: &Cgroup) -> Self {
        Self {
            top: Arc::clone(cgroup.own()),
            threads: match cgroup.version() {
                Version::V1 => "tasks",
                Version::V2 => "cgroup.threads",
            },
        }
    }

    /// Calls `found` with each process. Cgroups that go meanwhile are passed over.
    ///
    /// # Errors
    /// When the top one cannot be read.
    pub fn processes(&self, found: &mut dyn FnMut(u32)) -> Result<(), HostError> {
        walk(&self.top, "cgroup.procs", found)
    }

    /// Calls `found` with each thread. Cgroups that go meanwhile are passed over.
    ///
    /// # Errors
    /// When the top one cannot be read.
    pub fn threads(&self, found: &mut dyn FnMut(u32)) -> Result<(), HostError> {
        walk(&self.top, self.threads, found)
    }
}

/// Reads `name` in `dir` and in all directories below it, without recursion: a tenant decides how
/// deep its tree is.
fn walk(dir: &Arc<Dir>, name: &'static str, found: &mut dyn FnMut(u32)) -> Result<(), HostError> {
    let mut text = Vec::new();
    let mut numbers = |dir: &Arc<Dir>| -> Result<(), HostError> {
        // EOPNOTSUPP: a threaded cgroup has no cgroup.procs of its own.
        let file = KeptFile::new(Arc::clone(dir), name, Shape::Records);
        match file.read(&mut text) {
            Ok(_) => {}
            Err(HostError::Io { source, .. })
                if source.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
        for line in text.split(|&b| b == b'\n') {
            if let Some(number) = number::parse_u32(line).filter(|&n| n > 0) {
                found(number);
            }
        }
        Ok(())
    };
    numbers(dir)?;
    let mut rest = children(dir);
    while let Some(child) = rest.pop() {
        if numbers(&child).is_ok() {
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
