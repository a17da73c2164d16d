//! Operations on containers' own directories: `self` and `c/ID/...`.
//!
//! A caller that finds a directory may use it. So a look-up in `c` identifies the caller; deeper
//! look-ups do not.

use std::ffi::OsStr;
use std::time::Duration;

use vistafs_view::{Asker, NodeKind};

use super::{Attributes, Dispatcher, Entry};
use crate::errno::DispatchError;
use crate::number::{self, OwnerHash};
use crate::open_files::Listing;
use crate::own::{ALL, LINK, OwnDirs, OwnNode};
use crate::page_cache::{Freshness, PAGE};
use crate::place::Place;
use crate::tree::{Node, TOP};

/// How long the kernel may cache attributes that never change.
const LASTING: Duration = Duration::from_secs(3600);

impl Dispatcher {
    /// Serves a connection without OPEN: only containers' own directories and their page-cacheable
    /// files.
    #[must_use]
    pub fn without_open(mut self) -> Self {
        self.own = OwnDirs::new(&self.tree, |view| self.page_cache.has(view));
        self.no_open = true;
        self
    }

    /// Returns whether the connection has no OPEN.
    #[must_use]
    pub fn is_without_open(&self) -> bool {
        self.no_open
    }

    /// Returns the node of the names `self` and `c` in the root.
    pub(super) fn own_top(&self, name: &OsStr) -> Option<OwnNode> {
        match name {
            _ if name == LINK => Some(OwnNode::Link),
            _ if name == ALL => Some(OwnNode::All),
            _ => None,
        }
    }

    pub(super) fn look_up_own(
        &self,
        parent: OwnNode,
        name: &OsStr,
        asker: Asker,
    ) -> Result<Entry, DispatchError> {
        match parent {
            OwnNode::All => {
                let owner = OwnerHash::parse(name).ok_or(DispatchError::NoEntry)?;
                let number = self.own.number(&self.tree, TOP, owner);
                let number = number.ok_or(DispatchError::NoEntry)?;
                // Root on the host finds every ID: a new worker knows no container yet, and a file
                // below may be bind-mounted.
                if self.own_id(asker) != Some(owner) {
                    self.only_host_root(asker)?;
                }
                let attributes =
                    self.own_attributes(number, OwnNode::Of(owner, TOP), None, asker)?;
                // Not lasting: another caller may not find it.
                Ok(Entry {
                    attributes,
                    lasting: false,
                })
            }
            OwnNode::Of(owner, node) => {
                if !matches!(self.tree.node(node), Node::Directory(_)) {
                    return Err(DispatchError::NotDirectory);
                }
                let child = self.tree.child(node, name).ok_or(DispatchError::NoEntry)?;
                let number = self.own.number(&self.tree, child, owner);
                let number = number.ok_or(DispatchError::NoEntry)?;
                let child = OwnNode::Of(owner, child);
                let attributes = self.own_attributes(number, child, None, asker)?;
                if self.is_left_out(number) {
                    return Err(DispatchError::NoEntry);
                }
                Ok(Entry {
                    attributes,
                    lasting: true,
                })
            }
            OwnNode::Link => Err(DispatchError::NotDirectory),
        }
    }

    /// Returns the entry of `self` or `c`, the same for every caller.
    pub(super) fn own_top_entry(
        &self,
        node: OwnNode,
        asker: Asker,
    ) -> Result<Entry, DispatchError> {
        let number = number::of(if node == OwnNode::Link { LINK } else { ALL });
        Ok(Entry {
            attributes: self.own_attributes(number, node, None, asker)?,
            lasting: true,
        })
    }

    pub(super) fn own_attributes(
        &self,
        number: u64,
        node: OwnNode,
        reader: Option<u64>,
        asker: Asker,
    ) -> Result<Attributes, DispatchError> {
        // The kernel must repeat look-ups of a directory, but may cache its attributes.
        let lasting = Freshness {
            modified: self.started,
            left: LASTING,
        };
        let fixed = |kind, mode, freshness| {
            Ok(Attributes {
                number,
                kind,
                mode,
                uid: 0,
                gid: 0,
                size: 0,
                changeable: false,
                freshness,
            })
        };
        let node = match node {
            OwnNode::All => return fixed(NodeKind::Directory, 0o555, None),
            OwnNode::Link => return fixed(NodeKind::Link, 0o777, None),
            OwnNode::Of(_, node) => node,
        };
        if let Node::Directory(_) = self.tree.node(node) {
            return fixed(NodeKind::Directory, 0o555, Some(lasting));
        }
        if let Some(cached) = self.cached(number).filter(|_| self.page_cache.is_on()) {
            return Ok(self.cached_attributes(cached, reader, asker));
        }
        // Only users of the container can own it; a lease on it delays only that container.
        Ok(Attributes {
            number,
            uid: 0,
            ..self.attributes_of(&Place::fixed(node), asker)?
        })
    }

    pub(super) fn read_own_link(
        &self,
        node: OwnNode,
        asker: Asker,
        out: &mut Vec<u8>,
    ) -> Result<(), DispatchError> {
        if node != OwnNode::Link {
            return Err(DispatchError::NotLink);
        }
        match self.own_id(asker) {
            Some(own) => {
                out.extend_from_slice(ALL.as_bytes());
                out.push(b'/');
                out.extend_from_slice(own.name().as_bytes());
            }
            // The shared files, which are correct for every caller.
            None if !self.no_open => out.push(b'.'),
            None => return Err(DispatchError::NoEntry),
        }
        Ok(())
    }

    pub(super) fn list_own(
        &self,
        number: u64,
        node: OwnNode,
        asker: Asker,
    ) -> Result<Listing, DispatchError> {
        let mut listing: Listing = vec![
            (".".into(), number, NodeKind::Directory),
            ("..".into(), number, NodeKind::Directory),
        ];
        match node {
            OwnNode::Link => return Err(DispatchError::NotDirectory),
            OwnNode::All => {
                let ids = match self.only_host_root(asker) {
                    Ok(()) => self.own.ids(),
                    Err(_) => self.own_id(asker).into_iter().collect(),
                };
                for owner in ids {
                    if let Some(number) = self.own.number(&self.tree, TOP, owner) {
                        listing.push((owner.name().into(), number, NodeKind::Directory));
                    }
                }
            }
            OwnNode::Of(owner, node) => {
                let Node::Directory(children) = self.tree.node(node) else {
                    return Err(DispatchError::NotDirectory);
                };
                for (name, child) in children {
                    let Some(number) = self.own.number(&self.tree, *child, owner) else {
                        continue;
                    };
                    if self.is_left_out(number) {
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

    /// Appends the names in the root that lead to own directories.
    pub(super) fn list_own_tops(listing: &mut Listing) {
        for (name, kind) in [(ALL, NodeKind::Directory), (LINK, NodeKind::Link)] {
            listing.push((name.into(), number::of(name), kind));
        }
    }

    /// Returns whether a file is hidden because its contents exceed a page: without OPEN nothing
    /// can bypass the page cache, and a reader would get parts of several renderings.
    fn is_left_out(&self, number: u64) -> bool {
        let is_long = || {
            let known = self.page_cache.known(number);
            known.is_some_and(|node| node.told().length > PAGE)
        };
        self.no_open && is_long()
    }

    /// Returns the ID of the caller's container.
    fn own_id(&self, asker: Asker) -> Option<OwnerHash> {
        self.own.id_of(&self.container_of(asker.tid)?)
    }
}
