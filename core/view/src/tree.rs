//! The contract of a view that is a directory.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::path::Path;

use rustix::io::Errno;

use crate::{Channel, Request, ViewError};

/// Number of a node within its tree.
///
/// It means the same node in every worker process, so it is derived from data that the kernel
/// keeps: a path, or the kernel's own inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u64);

impl NodeId {
    /// The directory at the tree's path.
    pub const TOP: Self = Self(0);

    /// Number of significant bits.
    pub const BITS: u32 = 56;

    /// Converts a number below 2^56. `None`: it is larger.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number >> Self::BITS == 0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The low bits of a hash; never the top.
    #[must_use]
    pub const fn from_hash(hash: u64) -> Self {
        let low = hash & ((1 << Self::BITS) - 1);
        Self(if low == 0 { 1 } else { low })
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Type of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
}

/// Attributes of a node for stat(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeAttributes {
    /// The node.
    pub id: NodeId,
    /// Its type.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u16,
    /// Owner, in vistafs's user namespace.
    pub uid: u32,
    /// Group, in vistafs's user namespace.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Whether every caller finds this node under its name, for ever. The kernel caches such names.
    pub lasting: bool,
    /// Whether mode or owner may change. The kernel then asks for them before each permission
    /// check.
    pub changeable: bool,
}

/// How an open file will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// It will be read.
    pub read: bool,
    /// It will be written.
    pub write: bool,
}

/// Changes of a node; `None` leaves the value unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner, in vistafs's user namespace.
    pub uid: Option<u32>,
    /// Group, in vistafs's user namespace.
    pub gid: Option<u32>,
}

/// Serves a directory and its contents, for callers in containers and on the host.
///
/// Node numbers come from callers and may be invented or obsolete; each method checks whether this
/// caller may see the node, and answers ENOENT or ESTALE otherwise. [`ViewError::Answer`] is an
/// answer to the caller; other errors are faults and are logged.
pub trait TreeView: Debug + Send + Sync + 'static {
    /// Whether several containers see this directory. The kernel locks a directory during look-up,
    /// creation and removal, so such requests run at once and never wait in a container's queue:
    /// every other container would wait with them. They must be cheap; forbidden operations must be
    /// refused first. The cost must not depend on anything that a container created.
    fn is_shared(&self, request: &mut Request<'_>, directory: NodeId) -> bool {
        let _ = (request, directory);
        true
    }

    /// Looks up `name` in the directory `parent`.
    ///
    /// # Errors
    /// ENOENT; ENOTDIR.
    fn lookup(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<NodeAttributes, ViewError>;

    /// Attributes of a node.
    ///
    /// # Errors
    /// ESTALE.
    fn attributes(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
    ) -> Result<NodeAttributes, ViewError>;

    /// Calls `found` with each entry of a directory except `.` and `..`.
    ///
    /// # Errors
    /// ENOTDIR; ESTALE.
    fn list(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        found: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError>;

    /// Checks whether the caller may open the file with this access; once, at open(2).
    ///
    /// # Errors
    /// EACCES; ESTALE.
    fn open(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
    ) -> Result<(), ViewError>;

    /// Appends the whole contents of a file to `out`, which is empty.
    ///
    /// # Errors
    /// EISDIR; ESTALE; as the kernel's own file.
    fn read(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError>;

    /// Appends the target of a symbolic link.
    ///
    /// # Errors
    /// EINVAL for a node that is not a link.
    fn read_link(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let _ = (request, node, out);
        Err(ViewError::Answer(Errno::INVAL))
    }

    /// Whether requests may wait for anything but the kernel. They then wait on the container's
    /// offload thread.
    fn takes_time(&self) -> bool {
        false
    }

    /// Opens the channel of a file for callers that write to it or poll it: when it is opened for
    /// writing, after [`open`](Self::open) and for the same caller; else at the first poll. It may
    /// block. `None`: not writable, always ready.
    ///
    /// # Errors
    /// As the kernel's own file, to open(2).
    fn channel(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let _ = (request, node, access);
        Ok(None)
    }

    /// Recreates the channel of a file that an earlier process opened, from its persistent state
    /// ([`Channel::lasting`]). The caller may differ from the opener.
    ///
    /// # Errors
    /// As [`channel`](Self::channel).
    fn channel_again(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let _ = lasting;
        self.channel(request, node, access)
    }

    /// Creates a directory.
    ///
    /// # Errors
    /// EPERM for a read-only tree; as the kernel's own file system.
    fn make_directory(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
        mode: u32,
    ) -> Result<NodeAttributes, ViewError> {
        let _ = (request, parent, name, mode);
        Err(ViewError::Answer(Errno::PERM))
    }

    /// Removes a directory.
    ///
    /// # Errors
    /// As [`make_directory`](Self::make_directory).
    fn remove_directory(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<(), ViewError> {
        let _ = (request, parent, name);
        Err(ViewError::Answer(Errno::PERM))
    }

    /// Changes mode or owner.
    ///
    /// # Errors
    /// As [`make_directory`](Self::make_directory).
    fn change(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        change: Change,
    ) -> Result<(), ViewError> {
        let _ = (request, node, change);
        Err(ViewError::Answer(Errno::PERM))
    }
}

/// Looks up a path below the top, name by name.
///
/// # Errors
/// As [`TreeView::lookup`].
pub fn look_up(
    tree: &dyn TreeView,
    request: &mut Request<'_>,
    path: &Path,
) -> Result<NodeAttributes, ViewError> {
    let mut found = tree.attributes(request, NodeId::TOP)?;
    for name in path {
        found = tree.lookup(request, found.id, name)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_numbers_leave_the_high_bits_free() {
        assert_eq!(NodeId::new(0), Some(NodeId::TOP));
        assert_eq!(NodeId::new(1 << 56), None);
        assert_eq!(NodeId::from_hash(u64::MAX).get(), (1 << 56) - 1);
        assert_ne!(NodeId::from_hash(0), NodeId::TOP);
        assert_ne!(NodeId::from_hash(1 << 56), NodeId::TOP);
    }
}
