//! Determines which container a request depends on, and what it may cost.
//!
//! Only look-ups in tables: this runs on serving threads, before a request is queued.

use std::path::PathBuf;
use std::sync::Arc;

use vistafs_view::{Access, NodeId};

use crate::dispatcher::Dispatcher;
use crate::open_files::OpenFile;
use crate::own::OwnNode;
use crate::tree::Node;

/// The part of a request that decides where it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asks {
    LookUp(u64),
    /// Of a node, optionally through an open file.
    Attributes(u64, Option<u64>),
    /// Also of entries of a directory.
    Change(u64),
    Open(u64, Access),
    Read {
        node: u64,
        handle: u64,
        for_page_cache: bool,
    },
    Write(u64, u64),
    Poll(u64, u64),
    List(u64),
    /// Through an open handle.
    ListOn(u64, u64),
    ReadLink(u64),
    /// Closes an open file.
    Close(u64),
    /// A request without costs.
    Nothing,
}

/// The container that determines the cost of a request.
#[derive(Debug)]
pub(super) enum Whose {
    /// None: the result is the same for every caller.
    Nobodys,
    /// The container of an open file.
    Files(Arc<OpenFile>),
    /// The container of a file that is closed, which is never refused and never waits.
    Closed(Arc<OpenFile>),
    /// The container of the caller.
    Callers,
    /// A container that is named by its path.
    Named(PathBuf),
}

/// Whether the kernel holds a lock that other containers wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    None,
    Held,
    /// If several containers see the directory.
    OfDirectory(NodeId),
}

/// The properties that decide where a request runs.
#[derive(Debug)]
pub(crate) struct Target {
    pub(super) whose: Whose,
    pub(super) view: Option<usize>,
    pub(super) lock: Lock,
    // It waits for something other than the kernel.
    pub(super) waits: bool,
    // It renders a file.
    pub(super) renders: bool,
    // It is always queued.
    pub(super) costs: bool,
    // The operation itself charges its time.
    pub(super) counts_itself: bool,
}

impl Target {
    pub(super) fn of(whose: Whose, view: usize) -> Self {
        Self {
            whose,
            view: Some(view),
            lock: Lock::None,
            waits: false,
            renders: false,
            costs: false,
            counts_itself: false,
        }
    }

    fn nobodys() -> Self {
        Self {
            view: None,
            ..Self::of(Whose::Nobodys, 0)
        }
    }
}

impl Dispatcher {
    /// Determines the target of a request, at the cost of table look-ups.
    pub(crate) fn target(&self, asks: Asks) -> Target {
        self.found_target(asks).unwrap_or_else(Target::nobodys)
    }

    /// `None`: the result is the same for every caller, or an immediate error.
    fn found_target(&self, asks: Asks) -> Option<Target> {
        let node = match asks {
            Asks::LookUp(node)
            | Asks::Attributes(node, _)
            | Asks::Change(node)
            | Asks::Open(node, _)
            | Asks::List(node)
            | Asks::ReadLink(node) => node,
            Asks::Read {
                node,
                handle,
                for_page_cache,
            } => {
                if for_page_cache && self.cached(node).is_none() {
                    // Fails at once.
                    return None;
                }
                let (mut whose, view) = self.by_handle(node, handle)?;
                if for_page_cache || self.no_open {
                    // Only the owner may fill a page, so it depends on the caller.
                    whose = Whose::Callers;
                }
                return Some(Target {
                    waits: self.views[view].takes_time(),
                    costs: self.has_unknown_owner(node),
                    // At any offset: after the end was read, the contents are rendered again.
                    renders: true,
                    counts_itself: true,
                    ..Target::of(whose, view)
                });
            }
            Asks::Write(node, handle) => {
                let (whose, view) = self.by_handle(node, handle)?;
                let is_tree = self.is_tree(view);
                let waits = self.views[view].takes_time();
                let costs = is_tree || waits;
                return Some(Target {
                    waits,
                    costs,
                    // Writers of a file wait for each other, and all containers share the file.
                    lock: if costs { Lock::None } else { Lock::Held },
                    counts_itself: true,
                    ..Target::of(whose, view)
                });
            }
            Asks::Poll(node, handle) => {
                let (whose, view) = self.by_handle(node, handle)?;
                let is_known = match &whose {
                    Whose::Files(file) => file.has_channel_known(),
                    _ => false,
                };
                return Some(Target {
                    costs: self.has_channels(view) && !is_known,
                    ..Target::of(whose, view)
                });
            }
            Asks::ListOn(node, handle) => {
                if self.open_files.listing(handle).is_some() {
                    return None;
                }
                return self.found_target(Asks::List(node));
            }
            Asks::Close(handle) => {
                let file = self.open_files.get(handle)?;
                let view = file.view;
                return Some(Target::of(Whose::Closed(file), view));
            }
            Asks::Nothing => return None,
        };
        if let Some(own) = self.own.node(node) {
            return self.target_of_own(asks, own);
        }
        if self.no_open {
            return None;
        }
        let place = self.place(node).ok()?;
        let view = match *self.tree.node(place.node) {
            Node::View(view) => view,
            Node::Directory(_) => return self.target_of_directory(asks, &place),
        };
        let whose = place.cgroup.clone().map_or(Whose::Callers, Whose::Named);
        let target = Target::of(whose, view);
        let is_tree = self.is_tree(view);
        let waits = is_tree && self.views[view].takes_time();
        Some(match asks {
            Asks::LookUp(..) if is_tree => Target {
                waits,
                lock: Lock::OfDirectory(place.within),
                ..target
            },
            Asks::Attributes(..) | Asks::ReadLink(_) if is_tree => Target { waits, ..target },
            Asks::Change(_) if is_tree => Target {
                waits,
                costs: true,
                lock: Lock::OfDirectory(place.within),
                ..target
            },
            Asks::List(_) if is_tree => Target {
                waits,
                costs: true,
                ..target
            },
            Asks::Open(_, access) => Target {
                waits,
                costs: access.write && self.has_channels(view),
                counts_itself: true,
                ..target
            },
            // A file's attributes do not depend on the caller and cannot be changed.
            _ => return None,
        })
    }

    /// Determines the target for a container's own directory or its contents.
    fn target_of_own(&self, asks: Asks, own: OwnNode) -> Option<Target> {
        // With OPEN, look-ups and GETATTR render nothing.
        let renders = self.no_open || matches!(asks, Asks::Attributes(_, Some(_)));
        let callers = Target {
            view: None,
            ..Target::of(Whose::Callers, 0)
        };
        match (own, asks) {
            // All containers look up their names in this directory.
            (OwnNode::All, Asks::LookUp(..)) => Some(Target {
                lock: Lock::Held,
                ..callers
            }),
            (OwnNode::All, Asks::List(_)) | (OwnNode::Link, Asks::ReadLink(_)) => Some(callers),
            (OwnNode::Of(..), Asks::LookUp(node) | Asks::Attributes(node, _)) if renders => {
                Some(Target {
                    costs: self.has_unknown_owner(node),
                    ..callers
                })
            }
            (OwnNode::Of(_, node), Asks::Open(..)) if !self.no_open => {
                match *self.tree.node(node) {
                    Node::View(view) => Some(Target {
                        counts_itself: true,
                        ..Target::of(Whose::Callers, view)
                    }),
                    Node::Directory(_) => None,
                }
            }
            _ => None,
        }
    }

    /// Returns whether the owner of a container's own node is unknown: the search through the
    /// caller's ancestors may then have to resolve them.
    fn has_unknown_owner(&self, node: u64) -> bool {
        match self.own.node(node) {
            Some(OwnNode::Of(owner, _)) => self.no_open && self.own.owner(owner).is_none(),
            _ => false,
        }
    }

    fn target_of_directory(&self, asks: Asks, place: &crate::place::Place) -> Option<Target> {
        match (asks, &place.cgroup) {
            // Containers are refused at once.
            (Asks::List(_), Some(cgroup)) => Some(Target {
                costs: true,
                view: None,
                ..Target::of(Whose::Named(cgroup.clone()), 0)
            }),
            _ => None,
        }
    }

    /// Returns the container that a request through an open file depends on, and its view.
    pub(super) fn by_handle(&self, node: u64, handle: u64) -> Option<(Whose, usize)> {
        if let Some(file) = self.open_files.get(handle) {
            let view = file.view;
            return Some((Whose::Files(file), view));
        }
        let place = self.place(node).ok()?;
        match *self.tree.node(place.node) {
            Node::View(view) => Some((place.cgroup.map_or(Whose::Callers, Whose::Named), view)),
            Node::Directory(_) => None,
        }
    }
}
