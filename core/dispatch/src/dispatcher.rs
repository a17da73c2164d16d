//! What each operation does, without FUSE.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fmt::Display;
use std::sync::Arc;

use vistafs_container::{Caller, Container, Containers, CpuPolicy};
use vistafs_view::{Context, Provider, Registered, Registry, View};

use crate::address::{self, Address, Addresses};
use crate::complaints::Complaints;
use crate::errno::DispatchError;
use crate::number;
use crate::open_files::{Listing, OpenFile, OpenFiles, Shows};
use crate::tree::{Node, TOP, Tree};

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// Thread number in vistafs's pid namespace; 0 when it is not visible there.
    pub tid: u32,
    /// User number in vistafs's user namespace.
    pub uid: u32,
}

/// File or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
}

/// What stat(2) shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Node number.
    pub number: u64,
    /// File or directory.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    /// Bytes: the length of the host's file when vistafs started.
    pub size: u64,
}

/// What a look-up finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Of the node.
    pub attributes: Attributes,
    /// Whether the answer is the same for every caller, for ever.
    pub lasting: bool,
}

thread_local! {
    /// Scratch space of a serving thread, for the texts of cgroup files.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Served {
    view: Arc<dyn View>,
    path: &'static str,
    mode: u16,
    size: u64,
}

/// Everything that a request needs.
#[derive(Debug)]
pub struct Dispatcher {
    containers: Arc<Containers>,
    views: Vec<Served>,
    tree: Tree,
    addresses: Addresses,
    open_files: OpenFiles,
    complaints: Complaints,
    cpu_policy: CpuPolicy,
}

/// A node number, understood.
#[derive(Debug)]
enum Place {
    Fixed(usize),
    At(Address),
}

impl Place {
    fn node(&self) -> usize {
        match self {
            Self::Fixed(node) => *node,
            Self::At(address) => address.node,
        }
    }
}

impl Dispatcher {
    /// Serves the registry's views that are on.
    #[must_use]
    pub fn new(containers: Arc<Containers>, registry: &Registry, cpu_policy: CpuPolicy) -> Self {
        let served = |registered: &Registered| -> Option<Served> {
            let Provider::File(view) = &registered.provider else {
                return None;
            };
            let mut text = Vec::new();
            // A host without the file (no /proc/pressure, say) just has no length to tell.
            let _ = containers.host().read_now(registered.spec.path, &mut text);
            Some(Served {
                view: Arc::clone(view),
                path: registered.spec.path,
                mode: registered.spec.mode,
                size: text.len() as u64,
            })
        };
        let views: Vec<Served> = registry.serving().filter_map(served).collect();
        Self {
            tree: Tree::new(views.iter().map(|view| view.path)),
            views,
            containers,
            addresses: Addresses::default(),
            open_files: OpenFiles::new(),
            complaints: Complaints::default(),
            cpu_policy,
        }
    }

    /// Finds `name` in a directory.
    ///
    /// # Errors
    /// `NoEntry`, `NotDirectory`, `Stale`.
    pub fn lookup(&self, parent: u64, name: &OsStr, asker: Asker) -> Result<Entry, DispatchError> {
        let place = self.place(parent)?;
        if matches!(self.tree.node(place.node()), Node::File(_)) {
            return Err(DispatchError::NotDirectory);
        }
        let found = match place {
            Place::Fixed(TOP) if name == address::NAME => Address::top(),
            Place::Fixed(node) => {
                let child = self.tree.child(node, name).ok_or(DispatchError::NoEntry)?;
                let attributes = self.attributes_of(&Place::Fixed(child));
                return Ok(Entry {
                    attributes,
                    lasting: true,
                });
            }
            Place::At(parent) => {
                self.only_host_root(asker)?;
                let child = address::child(&self.containers, &self.tree, &parent, name);
                child.ok_or(DispatchError::NoEntry)?
            }
        };
        self.only_host_root(asker)?;
        self.addresses
            .remember(&found, &self.tree)
            .ok_or(DispatchError::NoEntry)?;
        let attributes = self.attributes_of(&Place::At(found));
        Ok(Entry {
            attributes,
            lasting: false,
        })
    }

    /// The kernel has forgotten a node `count` times.
    pub fn forget(&self, number: u64, count: u64) {
        self.addresses.forget(number, count);
    }

    /// Attributes of a node.
    ///
    /// # Errors
    /// `Stale`.
    pub fn attributes(&self, number: u64) -> Result<Attributes, DispatchError> {
        Ok(self.attributes_of(&self.place(number)?))
    }

    /// Opens a file for the caller's container; its handle.
    ///
    /// # Errors
    /// `IsDirectory`, `Stale`, `Caller`.
    pub fn open(&self, number: u64, asker: Asker) -> Result<u64, DispatchError> {
        let (view, shows) = self.shown_to(number, asker)?;
        Ok(self.open_files.open(view, shows))
    }

    /// Calls `reply` with up to `size` bytes from `offset` of an open file. At offset 0 the text is
    /// rendered afresh; further on it is the rest of the same text.
    ///
    /// # Errors
    /// `View`, `ContainerGone`; for a handle of another worker also those of `open`.
    pub fn read(
        &self,
        number: u64,
        handle: u64,
        offset: u64,
        size: usize,
        asker: Asker,
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        let file = match self.open_files.get(handle) {
            Some(file) => file,
            None => {
                let (view, shows) = self.shown_to(number, asker)?;
                self.open_files.adopt(handle, view, shows)
            }
        };
        let mut text = file.text.lock();
        if offset > 0 && text.ended_at.is_some_and(|end| offset >= end) {
            reply(&[]);
            return Ok(());
        }
        if offset == 0 || !text.rendered {
            let mut bytes = std::mem::take(&mut text.bytes);
            if bytes.capacity() == 0 {
                bytes = self.open_files.buffer();
            }
            bytes.clear();
            text.rendered = false;
            text.ended_at = None;
            self.render(&file, &mut bytes)?;
            text.bytes = bytes;
            text.rendered = true;
        }
        let length = text.bytes.len();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(length);
        let to = from.saturating_add(size).min(length);
        reply(&text.bytes[from..to]);
        if from == length {
            text.ended_at = Some(length as u64);
            text.rendered = false;
            self.open_files.give_back(std::mem::take(&mut text.bytes));
        }
        Ok(())
    }

    /// Closes a file.
    pub fn close(&self, handle: u64) {
        self.open_files.close(handle);
    }

    /// Opens a directory; its handle.
    ///
    /// # Errors
    /// `NotDirectory`, `Stale`; `NoEntry` for a caller that may not see it.
    pub fn open_directory(&self, number: u64, asker: Asker) -> Result<u64, DispatchError> {
        Ok(self.open_files.open_listing(self.list(number, asker)?))
    }

    /// Calls `add` with each entry from `offset` on, as (offset of the next, node number, kind,
    /// name), until it returns true.
    ///
    /// # Errors
    /// For a handle of another worker those of `open_directory`.
    pub fn read_directory(
        &self,
        number: u64,
        handle: u64,
        offset: u64,
        asker: Asker,
        mut add: impl FnMut(u64, u64, Kind, &OsStr) -> bool,
    ) -> Result<(), DispatchError> {
        let listing = match self.open_files.listing(handle) {
            Some(listing) => listing,
            None => Arc::new(self.list(number, asker)?),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, (name, number, directory)) in listing.iter().enumerate().skip(from) {
            let kind = if *directory {
                Kind::Directory
            } else {
                Kind::File
            };
            if add(index as u64 + 1, *number, kind, name) {
                break;
            }
        }
        Ok(())
    }

    /// Closes a directory.
    pub fn close_directory(&self, handle: u64) {
        self.open_files.close_listing(handle);
    }

    /// Renders a view for a container, without a mount.
    ///
    /// # Errors
    /// `View`, `ContainerGone`.
    pub fn show(
        &self,
        view: &dyn View,
        container: &Arc<Container>,
        out: &mut Vec<u8>,
    ) -> Result<(), DispatchError> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut cx = Context::new(container, self.containers.host(), self.cpu_policy, scratch);
            view.render(&mut cx, out).map_err(|error| {
                if container.is_alive() {
                    error.into()
                } else {
                    DispatchError::ContainerGone
                }
            })
        })
    }

    /// How many files are open and how many addresses are remembered.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.open_files.len(), self.addresses.len())
    }

    fn place(&self, number: u64) -> Result<Place, DispatchError> {
        if let Some(node) = self.tree.by_number(number) {
            return Ok(Place::Fixed(node));
        }
        self.addresses
            .get(number)
            .map(Place::At)
            .ok_or(DispatchError::Stale)
    }

    fn attributes_of(&self, place: &Place) -> Attributes {
        let number = match place {
            Place::Fixed(node) => number::of(self.tree.path(*node), None),
            Place::At(address) => address.number(&self.tree),
        };
        match (self.tree.node(place.node()), place) {
            (Node::File(view), _) => {
                let served = &self.views[*view];
                Attributes {
                    number,
                    kind: Kind::File,
                    mode: served.mode,
                    size: served.size,
                }
            }
            (Node::Directory(_), Place::Fixed(TOP)) => Attributes {
                number,
                kind: Kind::Directory,
                mode: 0o755,
                size: 0,
            },
            (Node::Directory(_), Place::Fixed(_)) => Attributes {
                number,
                kind: Kind::Directory,
                mode: 0o555,
                size: 0,
            },
            (Node::Directory(_), Place::At(_)) => Attributes {
                number,
                kind: Kind::Directory,
                mode: 0o700,
                size: 0,
            },
        }
    }

    fn shown_to(&self, number: u64, asker: Asker) -> Result<(usize, Shows), DispatchError> {
        let place = self.place(number)?;
        let Node::File(view) = *self.tree.node(place.node()) else {
            return Err(DispatchError::IsDirectory);
        };
        let shows = match &place {
            Place::At(address) => match self.containers.at_path(&address.cgroup) {
                Ok(container) => Ok(Shows::Container(container)),
                Err(_) => return Err(DispatchError::Stale),
            },
            Place::Fixed(_) => self
                .containers
                .caller(asker.tid)
                .map(|caller| match caller {
                    Caller::Host => Shows::Host,
                    Caller::Inside(container) => Shows::Container(container),
                }),
        };
        match shows {
            Ok(shows) => Ok((view, shows)),
            Err(error) => {
                let error = error.into();
                self.complaints.tell(
                    self.views[view].path,
                    &format_args!("thread {}", asker.tid),
                    &error,
                );
                Err(error)
            }
        }
    }

    fn render(&self, file: &OpenFile, out: &mut Vec<u8>) -> Result<(), DispatchError> {
        let served = &self.views[file.view];
        let outcome = match &file.shows {
            Shows::Host => {
                let read = self.containers.host().read_now(served.path, out);
                return read.map_err(|error| self.told(served, &"the host", error.into()));
            }
            Shows::Container(container) => self.show(&*served.view, container, out),
        };
        outcome.map_err(|error| match &file.shows {
            Shows::Container(container) => self.told(served, &container.path().display(), error),
            Shows::Host => error,
        })
    }

    fn told(&self, served: &Served, whom: &dyn Display, error: DispatchError) -> DispatchError {
        self.complaints.tell(served.path, whom, &error);
        error
    }

    fn only_host_root(&self, asker: Asker) -> Result<(), DispatchError> {
        let host = matches!(self.containers.caller(asker.tid), Ok(Caller::Host));
        if host && asker.uid == 0 {
            Ok(())
        } else {
            Err(DispatchError::NoEntry)
        }
    }

    fn list(&self, number: u64, asker: Asker) -> Result<Listing, DispatchError> {
        let place = self.place(number)?;
        let Node::Directory(children) = self.tree.node(place.node()) else {
            return Err(DispatchError::NotDirectory);
        };
        let mut listing: Listing = vec![(".".into(), number, true), ("..".into(), number, true)];
        for (name, child) in children {
            let directory = matches!(self.tree.node(*child), Node::Directory(_));
            let number = match &place {
                Place::Fixed(_) => number::of(self.tree.path(*child), None),
                Place::At(at) => Address {
                    cgroup: at.cgroup.clone(),
                    node: *child,
                }
                .number(&self.tree),
            };
            listing.push(((*name).into(), number, directory));
        }
        match &place {
            Place::Fixed(TOP) if self.only_host_root(asker).is_ok() => {
                listing.push((
                    address::NAME.into(),
                    Address::top().number(&self.tree),
                    true,
                ));
            }
            Place::Fixed(_) => {}
            Place::At(at) => {
                self.only_host_root(asker)?;
                if at.node == TOP {
                    for name in address::child_cgroups(&self.containers, &at.cgroup) {
                        let child = Address {
                            cgroup: at.cgroup.join(&name),
                            node: TOP,
                        };
                        if self.tree.child(TOP, &name).is_none() {
                            listing.push((name, child.number(&self.tree), true));
                        }
                    }
                }
            }
        }
        Ok(listing)
    }
}

#[cfg(test)]
mod tests;
