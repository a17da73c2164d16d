//! Purpose of a cgroup file, which decides how it is read and who may write it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::{Hierarchy, Version, v1, v2};

/// Purpose of a cgroup file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Lists process IDs, and takes a process ID that is written.
    Processes,
    /// The same for threads.
    Threads,
    /// Configures the cgroup's children or its notifications: writable by the owner to whom the
    /// cgroup is delegated.
    Delegated,
    /// Limits, weighs or stops the cgroup itself: reserved to the creator of the cgroup.
    Limit,
    /// Takes descriptor numbers of the writer, which refer to other files in vistafs.
    TakesDescriptors,
}

impl Role {
    /// Whether it holds process or thread IDs.
    #[must_use]
    pub fn is_of_tasks(self) -> bool {
        matches!(self, Self::Processes | Self::Threads)
    }
}

impl Hierarchy {
    /// Returns the purpose of the file of that name in this hierarchy.
    #[must_use]
    pub fn role(&self, name: &OsStr) -> Role {
        match self.version() {
            Version::V1 => v1::role::of(name.as_bytes()),
            Version::V2 => v2::role::of(name.as_bytes()),
        }
    }
}
