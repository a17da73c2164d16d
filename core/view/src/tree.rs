//! A view that is a whole directory: what it must be able to do.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::path::Path;

use rustix::io::Errno;

use crate::{Channel, Request, ViewError};

/// Number of a node within its tree.
///
/// It means the same node in every worker process, so it is made of what the kernel itself keeps:
/// a path, or the kernel's own number of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u64);

impl NodeId {
    /// The directory at the tree's path.
    pub const TOP: Self = Self(0);

    /// How many bits it has.
    pub const BITS: u32 = 56;

    /// A number below 2^56 as it is. `None`: it is larger.
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

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
}

/// What stat(2) shows of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeAttributes {
    /// Which node it is.
    pub id: NodeId,
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u16,
    /// Owner, in vistafs's user namespace.
    pub uid: u32,
    /// Group, in vistafs's user namespace.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Whether its name leads here for every caller, for ever. The kernel remembers such names.
    pub lasting: bool,
    /// Whether mode or owner may be changed. The kernel asks anew each time before it judges by them.
    pub changeable: bool,
}

/// What an open file will be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// It will be read.
    pub read: bool,
    /// It will be written.
    pub write: bool,
}

/// What is changed of a node; `None` stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner, in vistafs's user namespace.
    pub uid: Option<u32>,
    /// Group, in vistafs's user namespace.
    pub gid: Option<u32>,
}

/// Serves a directory and all below it, for callers in containers and on the host alike.
///
/// Node numbers come from callers and may be invented or long gone; each method decides anew whether
/// this caller may see that node, and answers ENOENT or ESTALE if not. Errors that are an answer to
/// the caller are [`ViewError::Answer`]; the others are faults, told to the administrator.
pub trait TreeView: Debug + Send + Sync + 'static {
    /// Whether a directory is one that several containers see. The kernel locks a directory while it looks a name
    /// up or makes or removes one, so such requests run at once and never wait in a container's queue: every
    /// other container would wait with them. They must cost little then; what is not permitted there must
    /// be refused before anything else is done. The cost of the answer must not depend on what a container made.
    fn is_shared(&self, request: &mut Request<'_>, directory: NodeId) -> bool {
        let _ = (request, directory);
        true
    }

    /// What `name` is in the directory `parent`.
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

    /// Calls `found` with each entry of a directory, `.` and `..` left out.
    ///
    /// # Errors
    /// ENOTDIR; ESTALE.
    fn list(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        found: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError>;

    /// Whether the caller may open the file so; decided once, at open(2).
    ///
    /// # Errors
    /// EACCES; ESTALE.
    fn open(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
    ) -> Result<(), ViewError>;

    /// Appends the whole text of a file to `out`, which is empty.
    ///
    /// # Errors
    /// EISDIR; ESTALE; as the kernel's own file.
    fn read(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError>;

    /// Appends where a symbolic link leads.
    ///
    /// # Errors
    /// EINVAL for what is no link.
    fn read_link(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let _ = (request, node, out);
        Err(ViewError::Answer(Errno::INVAL))
    }

    /// Whether requests may wait for others than the kernel. They then wait where they delay nobody but
    /// their own container.
    fn takes_time(&self) -> bool {
        false
    }

    /// Opens what stands behind the file for callers that write to it or poll it: when it is opened for
    /// writing, after [`open`](Self::open) and by that caller; else at the first poll. It may take its
    /// time. `None`: not writable, always ready.
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

    /// The same for a file that an earlier process has opened, and whose channel has left this
    /// ([`Channel::lasting`]): it is to be as it was. Who asks need not be the one who has opened it.
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

    /// Makes a directory.
    ///
    /// # Errors
    /// EPERM for a tree that cannot be changed; as the kernel's own file system.
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

/// The node at a path below the top, its names looked up one by one.
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
