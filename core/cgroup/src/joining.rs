//! Who may move a task into a cgroup, as far as vistafs has to see to it itself.
//!
//! The kernel judges by who writes the number of a task, but it knows nothing of containers: that the
//! task is in the container's part of the tree already, is looked at here. Version 2 also asks for
//! the right to write to the nearest cgroup above both ends of the way ("Delegation Containment"), and
//! a capability that a caller has over one of them must not count for the other.

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
    /// Where a task is below this cgroup, by its `/proc/PID/cgroup`; `None`: outside of it.
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

    /// The directory that a task at `place` below this cgroup must not be kept from leaving for
    /// `target`, which is also below it; `None`: version 1, which does not ask for that.
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
