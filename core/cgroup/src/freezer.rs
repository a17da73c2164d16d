//! Whether the v1 freezer has stopped a cgroup, `cgroup-v1/freezer-subsystem.rst`.
//!
//! v2 is not read: threads stopped by its freezer sleep like all other sleeping threads.

use vistafs_host::{FileSpec, HostError, KeptFiles, Shape};

use crate::{Cgroup, Version};

/// The state file of a v1 cgroup.
#[derive(Debug)]
pub struct Freezer {
    state: KeptFiles<1>,
}

static FILES: [FileSpec; 1] = [FileSpec::new("freezer.state", Shape::Records)];

impl Freezer {
    /// Names the file; `None` for a v2 cgroup.
    #[must_use]
    pub fn new(cgroup: &Cgroup) -> Option<Self> {
        (cgroup.version() == Version::V1).then(|| Self {
            state: KeptFiles::new(cgroup.own(), &FILES),
        })
    }

    /// Whether the cgroup is frozen or freezing, by its own freezer or an ancestor's.
    ///
    /// # Errors
    /// When an existing file cannot be read.
    pub fn is_frozen(&self) -> Result<bool, HostError> {
        let mut text = Vec::new();
        self.state.at(0).read(&mut text)?;
        Ok(text.starts_with(b"FR"))
    }
}
