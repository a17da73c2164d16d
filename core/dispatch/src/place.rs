//! The decoded form of an inode number.

use std::path::PathBuf;

use vistafs_view::NodeId;

use crate::number;
use crate::tree::Tree;

/// A node of the mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The cgroup path of a named container, starting with `/`. `None`: for the caller.
    pub(crate) cgroup: Option<PathBuf>,
    /// The node in the fixed tree.
    pub(crate) node: usize,
    /// The node within the tree view at `node`.
    pub(crate) within: NodeId,
}

impl Place {
    /// Returns a node of the fixed tree, for the caller.
    pub(crate) fn fixed(node: usize) -> Self {
        Self {
            cgroup: None,
            node,
            within: NodeId::TOP,
        }
    }

    /// Returns a node of the fixed tree, for a named container.
    pub(crate) fn at(cgroup: PathBuf, node: usize) -> Self {
        Self {
            cgroup: Some(cgroup),
            ..Self::fixed(node)
        }
    }

    /// Returns another node of the same tree view.
    pub(crate) fn sibling(&self, within: NodeId) -> Self {
        Self {
            within,
            ..self.clone()
        }
    }

    /// Returns the inode number.
    pub(crate) fn number(&self, tree: &Tree) -> u64 {
        let path = tree.path(self.node);
        match &self.cgroup {
            Some(cgroup) => number::at(path, cgroup, self.within),
            None if self.within == NodeId::TOP => number::of(path),
            None => number::within(tree.tag(self.node), self.within),
        }
    }
}
