//! Operations on tree views.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use vistafs_container::Container;
use vistafs_view::{
    Asker, Change, Errno, NodeAttributes, NodeKind, Provider, Request, TreeView, ViewError, look_up,
};

use super::{Attributes, Dispatcher, Entry};
use crate::errno::DispatchError;
use crate::open_files::{Listing, OpenFile};
use crate::place::Place;
use crate::tree::Node;

impl Dispatcher {
    /// Appends the target of a symbolic link.
    ///
    /// # Errors
    /// EINVAL if it is not a link; `Stale`, `Caller`.
    pub fn read_link(
        &self,
        number: u64,
        asker: Asker,
        out: &mut Vec<u8>,
    ) -> Result<(), DispatchError> {
        if let Some(own) = self.own.node(number) {
            return self.read_own_link(own, asker, out);
        }
        let (view, place) = self.tree_place(number)?.ok_or(DispatchError::NotLink)?;
        self.in_tree(view, &place, asker, |tree, request| {
            tree.read_link(request, place.within, out)
        })
    }

    /// Creates a directory.
    ///
    /// # Errors
    /// `ReadOnly` outside tree views; errors of the view.
    pub fn make_directory(
        &self,
        parent: u64,
        name: &OsStr,
        mode: u32,
        asker: Asker,
    ) -> Result<Entry, DispatchError> {
        let (view, place) = self.tree_place(parent)?.ok_or(DispatchError::ReadOnly)?;
        let node = self.in_tree(view, &place, asker, |tree, request| {
            tree.make_directory(request, place.within, name, mode)
        })?;
        let child = place.sibling(node.id);
        if child.cgroup.is_some() {
            self.addresses
                .remember(&child, &self.tree)
                .ok_or(DispatchError::NoEntry)?;
        }
        Ok(Entry {
            attributes: self.node_attributes(&child, &node),
            lasting: node.lasting && child.cgroup.is_none(),
        })
    }

    /// Removes a directory.
    ///
    /// # Errors
    /// Same as [`make_directory`](Self::make_directory).
    pub fn remove_directory(
        &self,
        parent: u64,
        name: &OsStr,
        asker: Asker,
    ) -> Result<(), DispatchError> {
        let (view, place) = self.tree_place(parent)?.ok_or(DispatchError::ReadOnly)?;
        self.in_tree(view, &place, asker, |tree, request| {
            tree.remove_directory(request, place.within, name)
        })
    }

    /// Changes mode or owner; returns the new attributes.
    ///
    /// # Errors
    /// Same as [`make_directory`](Self::make_directory).
    pub fn change(
        &self,
        number: u64,
        change: Change,
        asker: Asker,
    ) -> Result<Attributes, DispatchError> {
        let (view, place) = self.tree_place(number)?.ok_or(DispatchError::ReadOnly)?;
        self.in_tree(view, &place, asker, |tree, request| {
            tree.change(request, place.within, change)
        })?;
        self.attributes_of(&place, asker)
    }

    pub(super) fn lookup_in_tree(
        &self,
        view: usize,
        parent: &Place,
        name: &OsStr,
        asker: Asker,
    ) -> Result<NodeAttributes, DispatchError> {
        let found = self.in_tree(view, parent, asker, |tree, request| {
            tree.lookup(request, parent.within, name)
        });
        found.map_err(|error| {
            if self.only_host_root(asker).is_ok() {
                return error;
            }
            let tree = self.tree_view(view).ok();
            let exists = tree.is_some_and(|tree| {
                let of_host = Asker::administrator();
                let found = self.with_request(None, of_host, |request| {
                    tree.lookup(request, parent.within, name)
                });
                found.is_ok()
            });
            if exists { DispatchError::Hidden } else { error }
        })
    }

    pub(super) fn attributes_in_tree(
        &self,
        view: usize,
        place: &Place,
        asker: Asker,
    ) -> Result<NodeAttributes, DispatchError> {
        self.in_tree(view, place, asker, |tree, request| {
            tree.attributes(request, place.within)
        })
    }

    pub(super) fn list_tree(
        &self,
        view: usize,
        place: &Place,
        asker: Asker,
        listing: &mut Listing,
    ) -> Result<(), DispatchError> {
        self.in_tree(view, place, asker, |tree, request| {
            tree.list(request, place.within, &mut |name, node, kind| {
                let number = place.sibling(node).number(&self.tree);
                listing.push((name.to_owned(), number, kind));
            })
        })
    }

    /// Checks whether a tree's file may be opened; the kernel checks other files by their mode.
    pub(super) fn open_in_tree(&self, file: &OpenFile, asker: Asker) -> Result<(), DispatchError> {
        let Provider::Tree(tree) = &self.views[file.view].provider else {
            return Ok(());
        };
        let shows = self.read_as(file.view, &file.shows);
        self.requested(file.view, shows, asker, |request| {
            tree.open(request, file.within, file.access)
        })
    }

    pub(super) fn read_in_tree(
        &self,
        file: &OpenFile,
        asker: Asker,
        out: &mut Vec<u8>,
    ) -> Result<(), DispatchError> {
        let tree = self.tree_view(file.view)?;
        let shows = self.read_as(file.view, &file.shows);
        self.requested(file.view, shows, asker, |request| {
            tree.read(request, file.within, out)
        })
    }

    /// Appends the contents of a file in a tree, or the target of a link.
    pub(super) fn shown_in_tree(
        &self,
        tree: &dyn TreeView,
        below: &Path,
        container: Option<&Arc<Container>>,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let asker = Asker::administrator();
        self.with_request(container, asker, |request| {
            let node = look_up(tree, request, below)?;
            match node.kind {
                NodeKind::Directory => Err(ViewError::Answer(Errno::ISDIR)),
                NodeKind::File => tree.read(request, node.id, out),
                NodeKind::Link => tree.read_link(request, node.id, out),
            }
        })
    }

    /// Returns the tree view of an inode, if it belongs to one.
    fn tree_place(&self, number: u64) -> Result<Option<(usize, Place)>, DispatchError> {
        let place = self.place(number)?;
        let Node::View(view) = *self.tree.node(place.node) else {
            return Ok(None);
        };
        let is_tree = matches!(self.views[view].provider, Provider::Tree(_));
        Ok(is_tree.then_some((view, place)))
    }

    fn tree_view(&self, view: usize) -> Result<&Arc<dyn TreeView>, DispatchError> {
        match &self.views[view].provider {
            Provider::Tree(tree) => Ok(tree),
            _ => Err(DispatchError::NotDirectory),
        }
    }

    fn in_tree<T>(
        &self,
        view: usize,
        place: &Place,
        asker: Asker,
        answer: impl FnOnce(&dyn TreeView, &mut Request<'_>) -> Result<T, ViewError>,
    ) -> Result<T, DispatchError> {
        let tree = self.tree_view(view)?;
        if place.cgroup.is_some() {
            self.only_host_root(asker)?;
        }
        let shows = self.shows(view, place, asker)?;
        let shows = self.read_as(view, &shows);
        self.requested(view, shows, asker, |request| answer(&**tree, request))
    }
}
