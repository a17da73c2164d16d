//! What the hot tree answers: each container's pinned nodes, by names of its own.
//!
//! Nobody is asked who opens a file here, so what matters is who finds it: a look-up in the root asks
//! who the caller is. Below that every text is the owner's, whoever reads, as the page that it goes to
//! is the owner's.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use vistafs_container::Container;
use vistafs_host::Process;
use vistafs_view::{Asker, NodeKind};

use super::pinned::Reader;
use super::{Attributes, Dispatcher, Entry};
use crate::errno::DispatchError;
use crate::hot::{Hot, HotNode, OWN};
use crate::number::{self, OwnerHash};
use crate::open_files::Listing;
use crate::pinned::{Freshness, PAGE, PinnedNode};
use crate::tree::{Node, TOP};

/// How long the kernel may keep attributes that never change.
const LASTING: Duration = Duration::from_secs(3600);
/// How far up the caller's ancestors the owner is looked for.
const GENERATIONS: usize = 32;

impl Dispatcher {
    /// Serves the hot tree instead of the common one. To be said when the window has been.
    #[must_use]
    pub fn with_hot_tree(mut self) -> Self {
        let hot = Hot::new(&self.tree, |view| self.may_be_pinned(view));
        self.hot = Some(hot);
        self
    }

    /// Whether that is served.
    #[must_use]
    pub fn is_hot(&self) -> bool {
        self.hot.is_some()
    }

    pub(super) fn look_up_hot(
        &self,
        hot: &Hot,
        parent: u64,
        name: &OsStr,
        asker: Asker,
    ) -> Result<Entry, DispatchError> {
        match hot.node(parent).ok_or(DispatchError::Stale)? {
            HotNode::Top if name == OWN => Ok(Entry {
                attributes: self.hot_attributes(hot, number::of(OWN), asker)?,
                lasting: true,
            }),
            HotNode::Top => {
                let owner = OwnerHash::parse(name).ok_or(DispatchError::NoEntry)?;
                let number = hot.number(&self.tree, TOP, owner);
                let number = number.ok_or(DispatchError::NoEntry)?;
                let is_own = || self.own_name(hot, asker) == Some(owner);
                // Whoever has bound what is below it goes on with that when no worker has met its
                // owner yet, so for the host no name is unknown.
                if !is_own() && self.only_host_root(asker).is_err() {
                    return Err(DispatchError::NotYours);
                }
                Ok(Entry {
                    attributes: self.hot_attributes(hot, number, asker)?,
                    // Another caller may not find it.
                    lasting: false,
                })
            }
            HotNode::Of(owner, node) => {
                if !matches!(self.tree.node(node), Node::Directory(_)) {
                    return Err(DispatchError::NotDirectory);
                }
                let child = self.tree.child(node, name);
                let number = child.and_then(|child| hot.number(&self.tree, child, owner));
                let number = number.ok_or(DispatchError::NoEntry)?;
                let attributes = self.hot_attributes(hot, number, asker)?;
                if self.is_long(number) {
                    return Err(DispatchError::NoEntry);
                }
                Ok(Entry {
                    attributes,
                    lasting: true,
                })
            }
            HotNode::Own => Err(DispatchError::NotDirectory),
        }
    }

    /// Of a file with a fresh text, whoever asks: it may be for opening it that he does.
    pub(super) fn hot_attributes(
        &self,
        hot: &Hot,
        number: u64,
        asker: Asker,
    ) -> Result<Attributes, DispatchError> {
        // What must be asked anew is whether the caller finds a directory, not what that is like.
        let lasting = Freshness {
            modified: self.started,
            left: LASTING,
        };
        let fixed = |kind, mode, pinned| {
            Ok(Attributes {
                number,
                kind,
                mode,
                uid: 0,
                gid: 0,
                size: 0,
                changeable: false,
                pinned,
            })
        };
        let (owner, node) = match hot.node(number).ok_or(DispatchError::Stale)? {
            HotNode::Top => return fixed(NodeKind::Directory, 0o555, None),
            HotNode::Own => return fixed(NodeKind::Link, 0o777, None),
            HotNode::Of(owner, node) => (owner, node),
        };
        let Node::View(view) = *self.tree.node(node) else {
            return fixed(NodeKind::Directory, 0o555, Some(lasting));
        };
        let Some((node, container)) = self.hot_node(hot, (number, owner), asker) else {
            let told = self.pinned.known(number).map(|node| node.told());
            let told = told.unwrap_or_default().over();
            return Ok(self.pinned_attributes(number, view, told));
        };
        let mut snapshot = node.snapshot.lock();
        if snapshot.told.freshness(self.pinned.window()).is_none()
            && let Err(error) = self.renew(&node, &mut snapshot, view, &container)
        {
            // There are attributes still; the reader will be told when it reads.
            log::debug!("{}: {error}", self.views[view].path);
            return Ok(self.pinned_attributes(number, view, node.told().over()));
        }
        Ok(self.pinned_attributes(number, view, node.told()))
    }

    pub(super) fn read_hot(
        &self,
        hot: &Hot,
        number: u64,
        piece: (u64, usize, Reader),
        asker: Asker,
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        let Some(HotNode::Of(owner, node)) = hot.node(number) else {
            return Err(DispatchError::Stale);
        };
        let Node::View(view) = *self.tree.node(node) else {
            return Err(DispatchError::IsDirectory);
        };
        let found = self.hot_node(hot, (number, owner), asker);
        let (node, container) = found.ok_or(DispatchError::Stale)?;
        self.give(&node, (view, &container), piece, reply)
    }

    pub(super) fn read_hot_link(
        &self,
        hot: &Hot,
        number: u64,
        asker: Asker,
        out: &mut Vec<u8>,
    ) -> Result<(), DispatchError> {
        match hot.node(number).ok_or(DispatchError::Stale)? {
            HotNode::Own => {
                let own = self.own_name(hot, asker).ok_or(DispatchError::NoEntry)?;
                out.extend_from_slice(own.name().as_bytes());
                Ok(())
            }
            _ => Err(DispatchError::NotLink),
        }
    }

    pub(super) fn list_hot(
        &self,
        hot: &Hot,
        number: u64,
        asker: Asker,
    ) -> Result<Listing, DispatchError> {
        let mut listing: Listing = vec![
            (".".into(), number, NodeKind::Directory),
            ("..".into(), number, NodeKind::Directory),
        ];
        match hot.node(number).ok_or(DispatchError::Stale)? {
            HotNode::Own => return Err(DispatchError::NotDirectory),
            HotNode::Top => {
                listing.push((OWN.into(), number::of(OWN), NodeKind::Link));
                let names = match self.only_host_root(asker) {
                    Ok(()) => hot.names(),
                    Err(_) => self.own_name(hot, asker).into_iter().collect(),
                };
                for owner in names {
                    if let Some(number) = hot.number(&self.tree, TOP, owner) {
                        listing.push((owner.name().into(), number, NodeKind::Directory));
                    }
                }
            }
            HotNode::Of(owner, node) => {
                let Node::Directory(children) = self.tree.node(node) else {
                    return Err(DispatchError::NotDirectory);
                };
                for (name, child) in children {
                    let Some(number) = hot.number(&self.tree, *child, owner) else {
                        continue;
                    };
                    if self.is_long(number) {
                        continue;
                    }
                    let kind = match self.tree.node(*child) {
                        Node::View(_) => NodeKind::File,
                        Node::Directory(_) => NodeKind::Directory,
                    };
                    listing.push(((*name).into(), number, kind));
                }
            }
        }
        Ok(listing)
    }

    /// Whether a text is known to be longer than a page, by which it would be given out in pieces of
    /// several moments.
    fn is_long(&self, number: u64) -> bool {
        let known = self.pinned.known(number);
        known.is_some_and(|node| node.told().length > PAGE)
    }

    /// The name of the caller's own directory.
    fn own_name(&self, hot: &Hot, asker: Asker) -> Option<OwnerHash> {
        hot.name_of(&self.container_of(asker.tid)?)
    }

    /// The pinned node of a number, and its owner.
    fn hot_node(
        &self,
        hot: &Hot,
        (number, owner): (u64, OwnerHash),
        asker: Asker,
    ) -> Option<(Arc<PinnedNode>, Arc<Container>)> {
        let container = self.hot_owner(hot, owner, asker)?;
        Some((self.pinned.of_owner(number, &container)?, container))
    }

    /// The container of a name: the caller's, one that has asked before, or one that the caller is in
    /// by way of its ancestors, as one that runs in the owner is when a new worker is asked first.
    fn hot_owner(&self, hot: &Hot, owner: OwnerHash, asker: Asker) -> Option<Arc<Container>> {
        let is_owner = |container: &Arc<Container>| {
            let is_it = container
                .key()
                .is_some_and(|key| OwnerHash::of(key) == owner);
            is_it && hot.name_of(container) == Some(owner)
        };
        if let Some(own) = self.container_of(asker.tid).filter(is_owner) {
            return Some(own);
        }
        if let Some(known) = hot.owner(owner) {
            return Some(known);
        }
        let mut pid = asker.tid;
        for _ in 0..GENERATIONS {
            pid = Process::open(self.containers.host(), pid)
                .ok()?
                .parent()
                .ok()?;
            if pid <= 1 {
                return None;
            }
            if let Some(container) = self.container_of(pid).filter(is_owner) {
                return Some(container);
            }
        }
        None
    }
}
