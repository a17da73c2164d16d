//! The file system operations, independent of FUSE.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use parking_lot::Mutex;
use rustix::thread::CapabilitySet;
use vistafs_container::{Account, Caller, Container, Containers};
use vistafs_handover::Handover;
use vistafs_host::Process;
use vistafs_view::{
    Asker, NodeAttributes, NodeKind, Policy, Provider, Registered, Registry, ViewError,
};

use crate::address::{self, Addresses};
use crate::channel::Waiting;
use crate::complaints::Complaints;
use crate::errno::DispatchError;
use crate::figures::Figures;
use crate::kept_text::Budget;
use crate::metrics::{self, Supervision};
use crate::number;
use crate::open_files::{Listing, OpenFiles, Shows};
use crate::own::{OwnDirs, OwnNode};
use crate::page_cache::{Freshness, PageCached};
use crate::passing::Passing;
use crate::place::Place;
use crate::tree::{Node, TOP, Tree};

mod files;
mod own;
mod page_cache;
pub(crate) mod schedule;
mod trees;
mod whom;

pub(crate) use files::Poll;
pub use page_cache::PageCache;

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
    fn without_owner(self) -> Self {
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

/// The result of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Of the node.
    pub attributes: Attributes,
    /// Whether the result is the same for every caller, for ever.
    pub lasting: bool,
}

thread_local! {
    /// Scratch buffer of a serving thread for the contents of cgroup files.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Served {
    provider: Provider,
    path: &'static str,
    name: &'static str,
    number: u64,
    mode: u16,
    size: u64,
    is_steady: bool,
}

impl Served {
    /// Returns whether a read may wait for something other than the kernel.
    fn takes_time(&self) -> bool {
        match &self.provider {
            Provider::File(view) => view.takes_time(),
            Provider::Tree(tree) => tree.takes_time(),
            _ => false,
        }
    }
}

/// The state that all requests share.
#[derive(Debug)]
pub struct Dispatcher {
    containers: Arc<Containers>,
    views: Vec<Served>,
    tree: Tree,
    addresses: Addresses,
    page_cache: PageCached,
    own: OwnDirs,
    // The kernel opens files without OPEN; see `without_open`.
    no_open: bool,
    open_files: OpenFiles,
    waiting: Waiting,
    texts: Arc<Budget>,
    complaints: Complaints,
    policy: Policy,
    // Pairs of a view's index and the tag of a container that crashed workers with it.
    quarantined: OnceLock<Vec<(usize, u32)>>,
    passing: Passing,
    // Of the views, without `metrics`, which is the last.
    figures: Figures,
    started: SystemTime,
    supervision: Mutex<Option<Supervision>>,
}

impl Dispatcher {
    /// Creates a dispatcher for the enabled views of the registry.
    #[must_use]
    pub fn new(containers: Arc<Containers>, registry: &Registry, policy: Policy) -> Self {
        let served = |registered: &Registered| {
            let mut text = Vec::new();
            if matches!(registered.provider, Provider::File(_)) {
                // Without a file on the host, the reported length is 0.
                let _ = containers.host().read_now(registered.spec.path, &mut text);
            }
            Served {
                provider: registered.provider.clone(),
                path: registered.spec.path,
                name: registered.spec.name,
                number: number::of(registered.spec.path),
                mode: registered.spec.mode,
                size: text.len() as u64,
                is_steady: match &registered.provider {
                    Provider::File(view) => view.keeps_its_length(),
                    _ => false,
                },
            }
        };
        let mut views: Vec<Served> = registry.serving().map(served).collect();
        let figures = Figures::new(views.len());
        views.push(Served {
            provider: Provider::File(Arc::new(metrics::Placeholder)),
            path: metrics::NAME,
            name: metrics::NAME,
            number: number::of(metrics::NAME),
            mode: 0o400,
            size: 0,
            is_steady: false,
        });
        let is_tree = |view: &Served| matches!(view.provider, Provider::Tree(_));
        let is_cached = |view: &Served| {
            let is_only_read = !is_tree(view) && view.mode & 0o222 == 0;
            is_only_read && !view.takes_time() && view.path != metrics::NAME
        };
        let files = views.iter().enumerate();
        let cached = files.filter(|(_, view)| is_cached(view));
        let cached = cached.map(|(index, _)| index).collect();
        let tree = Tree::new(views.iter().map(|view| (view.path, is_tree(view))));
        let own = OwnDirs::new(&tree, |view| {
            let view = &views[view];
            !is_tree(view) && view.path != metrics::NAME
        });
        let handover = containers.handover().cloned();
        let mark = handover.as_ref().map(|handover| handover.handle_mark());
        let open_files = OpenFiles::new(mark);
        containers.settle_as_well(open_files.spares());
        Self {
            tree,
            views,
            containers,
            addresses: Addresses::new(handover),
            page_cache: PageCached::new(cached),
            own,
            no_open: false,
            open_files,
            waiting: Waiting::default(),
            texts: Arc::new(Budget::of_host()),
            complaints: Complaints::default(),
            policy,
            quarantined: OnceLock::new(),
            passing: Passing::default(),
            figures,
            started: SystemTime::now(),
            supervision: Mutex::default(),
        }
    }

    pub(crate) fn containers(&self) -> &Arc<Containers> {
        &self.containers
    }

    /// Handles an interrupted request to an open file. If the file was closed meanwhile, its record
    /// is removed.
    pub(crate) fn served_for_nobody(&self, handle: u64) {
        if let Some(handover) = self.handover()
            && self.open_files.get(handle).is_none()
        {
            handover.close_handle(handle);
        }
    }

    /// Sets the supervisor's values for `metrics`.
    pub fn set_supervision(&self, supervision: Supervision) {
        *self.supervision.lock() = Some(supervision);
    }

    /// Enables or disables passthrough: containers then see the host's files. The cgroup tree and
    /// `metrics` do not change.
    pub fn set_passing(&self, passing: bool) {
        self.passing.set(passing);
    }

    /// Sets the names of views that always use passthrough. Call once, before serving.
    pub fn pass_views(&self, names: &[&'static str]) {
        self.passing.set_views(names);
    }

    /// Quarantines views by name, each for the tag of a container that crashed workers with it and
    /// now gets EIO. Call once, before serving.
    pub fn quarantine<'n>(&self, pairs: impl IntoIterator<Item = (&'n str, u32)>) {
        let index = |name: &str| self.views.iter().position(|view| view.name == name);
        let known = pairs
            .into_iter()
            .filter_map(|(name, tag)| Some((index(name)?, tag)));
        let _ = self.quarantined.set(known.collect());
    }

    fn is_quarantined(&self, view: usize, account: &Account) -> bool {
        let Some(quarantined) = self.quarantined.get().filter(|pairs| !pairs.is_empty()) else {
            return false;
        };
        quarantined.contains(&(view, account.tag()))
    }

    fn is_tree(&self, view: usize) -> bool {
        matches!(self.views[view].provider, Provider::Tree(_))
    }

    /// Returns the target of a read: the host if the view uses passthrough, otherwise `shows`.
    fn read_as<'s>(&self, view: usize, shows: &'s Shows) -> &'s Shows {
        let served = &self.views[view];
        if self.passing.has(served.path, served.name) {
            &Shows::Host
        } else {
            shows
        }
    }

    /// Returns whether it is the view of `metrics`.
    fn is_metrics(&self, view: usize) -> bool {
        view + 1 == self.views.len()
    }

    /// Returns the contents of `metrics`.
    fn metrics(&self) -> String {
        let views: Vec<_> = self.views.iter().map(|view| view.path).collect();
        let supervision = self.supervision.lock().clone();
        let offload = self.containers.offload();
        let snapshot = metrics::Snapshot {
            figures: &self.figures,
            views: &views[..views.len() - 1],
            containers: self.containers.len(),
            open_files: self.open_files.len(),
            started: self.started,
            passing: self.passing.is_set(),
            held_bytes: offload.held_bytes(),
            waiting_bytes: offload.waiting_bytes(),
            offload_threads: offload.threads(),
            tenants: &self.containers.top_usage(metrics::TENANTS),
            supervision: supervision.as_ref(),
        };
        snapshot.text()
    }

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

    /// Returns the numbers of open files, of nodes of named containers, and of polled files.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (
            self.open_files.len(),
            self.addresses.len(),
            self.waiting.len(),
        )
    }

    /// Returns the memory that is shared with a successor process, if any.
    pub(crate) fn handover(&self) -> Option<&Arc<Handover>> {
        self.containers.handover()
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

    fn place(&self, number: u64) -> Result<Place, DispatchError> {
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

    /// Returns whether a place is `metrics`.
    fn is_of_metrics(&self, place: &Place) -> bool {
        matches!(self.tree.node(place.node), Node::View(view) if self.is_metrics(*view))
    }

    fn attributes_of(&self, place: &Place, asker: Asker) -> Result<Attributes, DispatchError> {
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
    fn attributes_in_fixed(
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

    fn node_attributes(&self, place: &Place, node: &NodeAttributes) -> Attributes {
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

    /// Returns the container or host that a place shows to a caller.
    fn shows(&self, view: usize, place: &Place, asker: Asker) -> Result<Shows, DispatchError> {
        let shows = match &place.cgroup {
            Some(cgroup) => match self.containers.at_path(cgroup) {
                Ok(container) => Ok(Shows::Container(container)),
                Err(_) => return Err(DispatchError::Stale),
            },
            None => whom::caller(&self.containers, asker.tid).map(|caller| match caller {
                Caller::Host => Shows::Host,
                Caller::Inside(container) => Shows::Container(container),
            }),
        };
        shows.map_err(|error| {
            let thread = format_args!("thread {}", asker.tid).to_string();
            self.told(view, &thread, error.into())
        })
    }

    /// Logs a failed rendering or request and returns its error.
    fn failed(&self, view: usize, shows: &Shows, error: ViewError) -> DispatchError {
        let error = match shows {
            Shows::Host => error.into(),
            Shows::Container(container) => alive_or_gone(container, error),
        };
        self.told_of(view, shows, error)
    }

    fn told_of(&self, view: usize, shows: &Shows, error: DispatchError) -> DispatchError {
        match shows {
            Shows::Host => self.told(view, &"the host", error),
            Shows::Container(container) => self.told(view, &container.path().display(), error),
        }
    }

    fn told(&self, view: usize, whom: &dyn Display, error: DispatchError) -> DispatchError {
        self.complaints.tell(self.views[view].path, whom, &error);
        error
    }

    /// Checks that the caller is root on the host with CAP_SYS_ADMIN in vistafs's user namespace: a
    /// service with uid 0 without capabilities must not see the usage of containers.
    fn only_host_root(&self, asker: Asker) -> Result<(), DispatchError> {
        let is_on_host = || self.containers.is_on_host(asker.tid);
        let is_admin = || {
            let host = self.containers.host();
            Process::open(host, asker.tid)
                .and_then(|thread| thread.has_capability_here(host, CapabilitySet::SYS_ADMIN))
                .unwrap_or(false)
        };
        if asker.uid == 0 && is_on_host() && is_admin() {
            Ok(())
        } else {
            Err(DispatchError::HostOnly)
        }
    }

    fn list(&self, number: u64, asker: Asker) -> Result<Listing, DispatchError> {
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
}

/// Maps any error of a removed container to `ContainerGone`, except the view's own.
fn alive_or_gone(container: &Container, error: ViewError) -> DispatchError {
    let is_answer = matches!(error, ViewError::Answer(_));
    if is_answer || container.is_alive() {
        error.into()
    } else {
        DispatchError::ContainerGone
    }
}

#[cfg(test)]
pub(crate) mod tests;
