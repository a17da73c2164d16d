//! The attributes of nodes.

use std::time::SystemTime;

use vistafs_view::{Asker, NodeAttributes, NodeKind, Provider};

use super::Dispatcher;
use crate::errno::DispatchError;
use crate::number;
use crate::page_cache::Freshness;
use crate::place::Place;
use crate::tree::{Node, TOP};

/// The attributes that stat(2) shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Inode number.
    pub number: u64,
    /// File, directory or link.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes: the length of the host's file when vistafs started.
    pub size: u64,
    /// Whether mode or owner may be changed.
    pub changeable: bool,
    /// Of a page-cached node: how long the kernel may cache its contents.
    pub freshness: Option<Freshness>,
}

impl Attributes {
    /// Returns the modification time: now, except for cached contents.
    pub(crate) fn modified(&self) -> SystemTime {
        self.freshness
            .map_or_else(SystemTime::now, |fresh| fresh.modified)
    }
}

/// An ID that no user can have: `(uid_t) -1`.
const NO_OWNER: u32 = u32::MAX;

impl Attributes {
    /// Removes the owner of a file that every user may read and no user may write: no container can
    /// then lease it.
    ///
    /// The owner of a file may delay every other open by 45 seconds (fcntl(2), F_SETLEASE), and
    /// root in a container has the ID of the host's root. This is for trees, which may have any
    /// number of files; other files look like the kernel's own and are held open
    /// (`core/supervisor/src/hold.rs`).
    pub(super) fn without_owner(self) -> Self {
        let is_for_all = self.mode & 0o444 == 0o444 && self.mode & 0o222 == 0;
        if self.kind == NodeKind::File && is_for_all {
            Self {
                uid: NO_OWNER,
                ..self
            }
        } else {
            self
        }
    }
}

impl Dispatcher {
    /// Returns the attributes of a node. `reader`: the handle of a read through the page cache that
    /// needs them.
    ///
    /// # Errors
    /// `Stale`; for a tree view also `Caller` and the view's errors.
    pub fn attributes(
        &self,
        number: u64,
        reader: Option<u64>,
        asker: Asker,
    ) -> Result<Attributes, DispatchError> {
        if let Some(own) = self.own.node(number) {
            return self.own_attributes(number, own, reader, asker);
        }
        if self.no_open && number != number::ROOT {
            return Err(DispatchError::Stale);
        }
        self.attributes_of(&self.place(number)?, asker)
    }

    pub(super) fn attributes_of(
        &self,
        place: &Place,
        asker: Asker,
    ) -> Result<Attributes, DispatchError> {
        let (kind, mode, size) = match (self.tree.node(place.node), &place.cgroup) {
            (Node::View(view), _) => {
                if self.is_metrics(*view) {
                    self.only_host_root(asker)?;
                }
                let served = &self.views[*view];
                if matches!(served.provider, Provider::Tree(_)) {
                    let node = self.attributes_in_tree(*view, place, asker)?;
                    return Ok(self.node_attributes(place, &node));
                }
                (NodeKind::File, served.mode, served.size)
            }
            (Node::Directory(_), None) if place.node == TOP => (NodeKind::Directory, 0o755, 0),
            (Node::Directory(_), None) => (NodeKind::Directory, 0o555, 0),
            (Node::Directory(_), Some(_)) => (NodeKind::Directory, 0o700, 0),
        };
        let attributes = Attributes {
            number: place.number(&self.tree),
            kind,
            mode,
            uid: 0,
            gid: 0,
            size,
            changeable: false,
            freshness: None,
        };
        match &place.cgroup {
            Some(_) => Ok(attributes.without_owner()),
            None => Ok(attributes),
        }
    }

    /// Returns the attributes of a node in a directory of the fixed tree. For the top of a tree
    /// view the view is not called, because the kernel holds the lock of a directory that all
    /// containers use; the kernel requests them again.
    pub(super) fn attributes_in_fixed(
        &self,
        place: &Place,
        asker: Asker,
    ) -> Result<Attributes, DispatchError> {
        match *self.tree.node(place.node) {
            Node::View(view) if self.is_tree(view) => {
                let attributes = Attributes {
                    number: place.number(&self.tree),
                    kind: NodeKind::Directory,
                    mode: self.views[view].mode,
                    uid: 0,
                    gid: 0,
                    size: 0,
                    changeable: true,
                    freshness: None,
                };
                Ok(attributes.without_owner())
            }
            _ => self.attributes_of(place, asker),
        }
    }

    pub(super) fn node_attributes(&self, place: &Place, node: &NodeAttributes) -> Attributes {
        let attributes = Attributes {
            number: place.number(&self.tree),
            kind: node.kind,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            size: node.size,
            changeable: node.changeable,
            freshness: None,
        };
        if node.changeable {
            attributes
        } else {
            attributes.without_owner()
        }
    }
}
