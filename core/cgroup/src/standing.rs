//! Where a directory of a hierarchy stands to a container's cgroup.
//!
//! Decided by the kernel's numbers of directories, of which each is one directory's alone while the
//! hierarchy is mounted, and by walking up: a cgroup never gets another parent. No name takes part.

use rustix::io::Errno;
use vistafs_host::Dir;

use crate::Cgroup;
use crate::cgroup::DEEPEST;

/// Where a directory is, seen from a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Above the container's own cgroup; `next` is the number of the directory that leads to it.
    Above {
        /// Its number.
        next: u64,
    },
    /// The container's own cgroup.
    Own,
    /// Below it.
    Below,
    /// Anywhere else: not for this container.
    Elsewhere,
}

impl Cgroup {
    /// Where a directory of the same hierarchy stands.
    ///
    /// # Errors
    /// ELOOP for one that is very deep; the kernel's.
    pub fn standing(&self, directory: &Dir) -> Result<Standing, Errno> {
        let own = self.inode();
        let root = self.hierarchy().root_inode();
        let number = directory.inode()?;
        if number == own {
            return Ok(Standing::Own);
        }
        let way_down = || self.inodes();
        let above = way_down().skip(1).chain([root]).zip(way_down());
        if let Some((_, next)) = above.into_iter().find(|(above, _)| *above == number) {
            return Ok(Standing::Above { next });
        }
        let mut here = directory.parent()?;
        for _ in 0..DEEPEST {
            let number = here.inode()?;
            if number == own {
                return Ok(Standing::Below);
            }
            if number == root {
                return Ok(Standing::Elsewhere);
            }
            here = here.parent()?;
        }
        Err(Errno::LOOP)
    }
}
