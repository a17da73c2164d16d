//! What a file of a cgroup is for, as far as that decides how it is read and who may write it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::{Hierarchy, Version, v1, v2};

/// What a file of a cgroup is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Lists processes by their numbers, and takes in one that is written.
    Processes,
    /// The same for threads.
    Threads,
    /// Arranges what is below the cgroup, or asks for news: whoever the cgroup is given to may write
    /// it.
    Delegated,
    /// Limits, weighs or stops the cgroup itself: it belongs to whoever made the cgroup.
    Limit,
    /// Takes numbers of descriptors of the writer, which mean something else in vistafs.
    TakesDescriptors,
}

impl Role {
    /// Whether it holds numbers of processes or threads.
    #[must_use]
    pub fn is_of_tasks(self) -> bool {
        matches!(self, Self::Processes | Self::Threads)
    }
}

impl Hierarchy {
    /// What the file of that name is for in this hierarchy.
    #[must_use]
    pub fn role(&self, name: &OsStr) -> Role {
        match self.version() {
            Version::V1 => v1::role::of(name.as_bytes()),
            Version::V2 => v2::role::of(name.as_bytes()),
        }
    }
}
