//! Checks, beyond the kernel's, before a task is moved into a cgroup.
//!
//! The kernel checks the writer of a task ID but does not know containers: this module checks that
//! the task is already in the container's subtree. Version 2 also requires write permission on the
//! nearest common ancestor of source and target ("Delegation Containment"), and a capability that
//! a caller has over one of them must not count for the other.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use vistafs_host::{Dir, HostError};
use vistafs_text::pid_cgroup;

use crate::cgroup::DEEPEST;
use crate::locate::is_in;
use crate::{Cgroup, Version};

impl Cgroup {
    /// Path of a task below this cgroup, from its `/proc/PID/cgroup`; `None`: outside of it.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn place_of_task(&self, text: &[u8]) -> Result<Option<PathBuf>, HostError> {
        let own = self.path_now();
        for membership in pid_cgroup::memberships(text) {
            let membership =
                membership.map_err(|e| HostError::malformed(Path::new("/proc/PID/cgroup"), e))?;
            if is_in(self.hierarchy(), &membership) {
                let path = Path::new(OsStr::from_bytes(membership.path));
                return Ok(path.strip_prefix(own).ok().map(Path::to_owned));
            }
        }
        Ok(None)
    }

    /// The nearest common ancestor of `place` and `target`, both below this cgroup, which the caller
    /// must be able to write to; `None`: version 1, which does not require that.
    ///
    /// # Errors
    /// The kernel's.
    pub fn gate(&self, place: &Path, target: &Dir) -> Result<Option<Dir>, Errno> {
        if self.version() == Version::V1 {
            return Ok(None);
        }
        let mut numbers = vec![target.inode()?];
        let mut here = target.parent()?;
        while numbers.last() != Some(&self.inode()) && numbers.len() < DEEPEST {
            numbers.push(here.inode()?);
            here = here.parent()?;
        }
        let place = if place.as_os_str().is_empty() {
            Path::new(".")
        } else {
            place
        };
        let mut here = self.own().subdir(place).map_err(|_| Errno::SRCH)?;
        for _ in 0..DEEPEST {
            if numbers.contains(&here.inode()?) {
                return Ok(Some(here));
            }
            here = here.parent()?;
        }
        Err(Errno::LOOP)
    }
}
