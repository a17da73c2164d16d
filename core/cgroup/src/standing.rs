//! Position of a directory of a hierarchy relative to a container's cgroup.
//!
//! Decided by inode numbers, which are unique while the hierarchy is mounted, and by walking up: a
//! cgroup never changes its parent. No name is involved.

use rustix::io::Errno;
use vistafs_host::Dir;

use crate::Cgroup;
use crate::cgroup::DEEPEST;

/// Position of a directory relative to a container's cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An ancestor of the container's own cgroup; `next` is the inode number of its child on the
    /// way there.
    Above {
        /// The child's inode number.
        next: u64,
    },
    /// The container's own cgroup.
    Own,
    /// Below it.
    Below,
    /// Any other place: not visible to this container.
    Elsewhere,
}

impl Cgroup {
    /// Returns the position of a directory of the same hierarchy.
    ///
    /// # Errors
    /// ELOOP for a very deep directory; the kernel's errors.
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
