//! Directories: look-ups, listings, and the node of each inode.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use vistafs_container::Caller;
use vistafs_view::{Asker, NodeKind, Provider};

use super::{Attributes, Dispatcher, whom};
use crate::errno::DispatchError;
use crate::open_files::{Listing, Shows};
use crate::own::OwnNode;
use crate::place::Place;
use crate::tree::{Node, TOP};
use crate::{address, metrics, number};

/// The result of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Of the node.
    pub attributes: Attributes,
    /// Whether the result is the same for every caller, for ever.
    pub lasting: bool,
}

impl Dispatcher {
    /// Looks up `name` in a directory.
    ///
    /// # Errors
    /// `NoEntry` for an unknown name; `Hidden` for a name that this caller may not see;
    /// `NotDirectory`, `Stale`.
    pub fn lookup(&self, parent: u64, name: &OsStr, asker: Asker) -> Result<Entry, DispatchError> {
        let found = match (self.own.node(parent), self.own_top(name)) {
            (Some(own), _) => self.look_up_own(own, name, asker),
            (None, Some(own)) if parent == number::ROOT => self.own_top_entry(own, asker),
            _ if self.no_open && parent == number::ROOT => Err(DispatchError::NoEntry),
            _ if self.no_open => Err(DispatchError::Stale),
            _ => self.look_up_shared(parent, name, asker),
        };
        found.map_err(|error| match error {
            DispatchError::HostOnly => DispatchError::Hidden,
            error => error,
        })
    }

    fn look_up_shared(
        &self,
        parent: u64,
        name: &OsStr,
        asker: Asker,
    ) -> Result<Entry, DispatchError> {
        let place = self.place(parent)?;
        if place.cgroup.is_some() {
            self.only_host_root(asker)?;
        }
        let (found, attributes, lasting) = match (self.tree.node(place.node), &place.cgroup) {
            (Node::View(view), _) => {
                let node = self.lookup_in_tree(*view, &place, name, asker)?;
                let child = place.sibling(node.id);
                let attributes = self.node_attributes(&child, &node);
                (child, attributes, node.lasting)
            }
            (Node::Directory(_), Some(cgroup)) => {
                let child = address::child(&self.containers, &self.tree, cgroup, place.node, name)
                    .ok_or(DispatchError::NoEntry)?;
                let attributes = self.attributes_in_fixed(&child, asker)?;
                (child, attributes, false)
            }
            (Node::Directory(_), None) if place.node == TOP && name == address::NAME => {
                self.only_host_root(asker)?;
                let top = address::top();
                let attributes = self.attributes_of(&top, asker)?;
                (top, attributes, false)
            }
            (Node::Directory(_), None) => {
                let child = self
                    .tree
                    .child(place.node, name)
                    .ok_or(DispatchError::NoEntry)?;
                let child = Place::fixed(child);
                let lasting = !self.is_of_metrics(&child);
                let attributes = self.attributes_in_fixed(&child, asker)?;
                (child, attributes, lasting)
            }
        };
        if found.cgroup.is_some() {
            self.addresses
                .remember(&found, &self.tree)
                .ok_or(DispatchError::Hidden)?;
        }
        Ok(Entry {
            attributes,
            lasting: lasting && found.cgroup.is_none(),
        })
    }

    /// Handles a FORGET of `count` look-ups.
    pub fn forget(&self, number: u64, count: u64) {
        if number::split_own(number).is_some() {
            self.page_cache.forget(number);
            return;
        }
        self.addresses.forget(number, count, &self.tree);
    }

    /// Opens a directory and returns its handle.
    ///
    /// # Errors
    /// `NotDirectory`, `Stale`, `TooManyOpen`; `NoEntry` for a caller that may not see it.
    pub fn open_directory(&self, number: u64, asker: Asker) -> Result<u64, DispatchError> {
        let listing = self.list(number, asker)?;
        let shows = match whom::caller(&self.containers, asker.tid) {
            Ok(Caller::Inside(container)) => Shows::Container(container),
            _ => Shows::Host,
        };
        let held = &self.account(&shows).held;
        let handle = self.open_files.open_listing(listing, held);
        handle.ok_or(DispatchError::TooManyOpen)
    }

    /// Calls `add` with each entry from `offset` on, as (offset of the next, inode, kind, name),
    /// until it returns true.
    ///
    /// # Errors
    /// For a handle of another worker, the errors of `open_directory`.
    pub fn read_directory(
        &self,
        number: u64,
        handle: u64,
        offset: u64,
        asker: Asker,
        mut add: impl FnMut(u64, u64, NodeKind, &OsStr) -> bool,
    ) -> Result<(), DispatchError> {
        let listing = match self.open_files.listing(handle) {
            Some(listing) => listing,
            None => Arc::new(self.list(number, asker)?),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, (name, number, kind)) in listing.iter().enumerate().skip(from) {
            if add(index as u64 + 1, *number, *kind, name) {
                break;
            }
        }
        Ok(())
    }

    /// Closes a directory.
    pub fn close_directory(&self, handle: u64) {
        self.open_files.close_listing(handle);
    }

    /// Returns the view of a node: its ID, the same in every process, and its name.
    pub(crate) fn view_of(&self, node: u64) -> Option<(u64, &'static str)> {
        let node = match (self.own.node(node), number::split(node)) {
            (Some(OwnNode::Of(_, node)), _) => Some(node),
            (_, Some((tag, _))) => self.tree.by_tag(tag),
            _ => self
                .tree
                .by_number(node)
                .or_else(|| self.addresses.node(node, &self.tree)),
        };
        match *self.tree.node(node?) {
            Node::View(view) => Some((self.views[view].number, self.views[view].name)),
            Node::Directory(_) => None,
        }
    }

    /// Like `view_of`, for a name in a directory: a look-up of the top of a tree calls that tree
    /// view.
    pub(crate) fn view_of_name(&self, parent: u64, name: &OsStr) -> Option<(u64, &'static str)> {
        self.view_of(parent).or_else(|| {
            let place = self.place(parent).ok()?;
            let Node::View(view) = *self.tree.node(self.tree.child(place.node, name)?) else {
                return None;
            };
            // A file's view is not called before OPEN.
            let view = &self.views[view];
            let is_tree = matches!(view.provider, Provider::Tree(_));
            is_tree.then_some((view.number, view.name))
        })
    }

    pub(super) fn place(&self, number: u64) -> Result<Place, DispatchError> {
        if let Some((tag, within)) = number::split(number) {
            let node = self.tree.by_tag(tag).ok_or(DispatchError::Stale)?;
            return Ok(Place::fixed(node).sibling(within));
        }
        match self.own.node(number) {
            // Same as the shared node of this path: the contents depend on the caller of OPEN.
            Some(OwnNode::Of(_, node)) => return Ok(Place::fixed(node)),
            Some(OwnNode::Link | OwnNode::All) => return Ok(Place::fixed(TOP)),
            None => {}
        }
        if let Some(node) = self.tree.by_number(number) {
            return Ok(Place::fixed(node));
        }
        self.addresses
            .get(number, &self.tree)
            .ok_or(DispatchError::Stale)
    }

    pub(super) fn list(&self, number: u64, asker: Asker) -> Result<Listing, DispatchError> {
        if let Some(own) = self.own.node(number) {
            return self.list_own(number, own, asker);
        }
        let place = self.place(number)?;
        if place.cgroup.is_some() {
            self.only_host_root(asker)?;
        }
        let mut listing: Listing = vec![
            (".".into(), number, NodeKind::Directory),
            ("..".into(), number, NodeKind::Directory),
        ];
        if number == number::ROOT {
            Self::list_own_tops(&mut listing);
        }
        if self.no_open {
            return Ok(listing);
        }
        let children = match self.tree.node(place.node) {
            Node::Directory(children) => children,
            Node::View(view) => {
                self.list_tree(*view, &place, asker, &mut listing)?;
                return Ok(listing);
            }
        };
        for (name, child) in children {
            let is_of_top = place.node == TOP && *name == metrics::NAME;
            if is_of_top && (place.cgroup.is_some() || self.only_host_root(asker).is_err()) {
                continue;
            }
            let kind = match self.tree.node(*child) {
                Node::View(view) if matches!(self.views[*view].provider, Provider::File(_)) => {
                    NodeKind::File
                }
                _ => NodeKind::Directory,
            };
            let child = Place {
                node: *child,
                ..place.clone()
            };
            listing.push(((*name).into(), child.number(&self.tree), kind));
        }
        if place.node == TOP {
            match &place.cgroup {
                None if self.only_host_root(asker).is_ok() => {
                    let at = address::top().number(&self.tree);
                    listing.push((address::NAME.into(), at, NodeKind::Directory));
                }
                None => {}
                Some(cgroup) => self.list_child_cgroups(cgroup, &mut listing),
            }
        }
        Ok(listing)
    }

    fn list_child_cgroups(&self, cgroup: &Path, listing: &mut Listing) {
        for name in address::child_cgroups(&self.containers, cgroup) {
            if self.tree.child(TOP, &name).is_none() {
                let child = Place::at(cgroup.join(&name), TOP);
                listing.push((name, child.number(&self.tree), NodeKind::Directory));
            }
        }
    }

    /// Returns whether a place is `metrics`.
    pub(super) fn is_of_metrics(&self, place: &Place) -> bool {
        matches!(self.tree.node(place.node), Node::View(view) if self.is_metrics(*view))
    }
}
