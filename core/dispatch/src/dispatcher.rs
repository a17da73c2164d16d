//! The file system operations, independent of FUSE.

use std::cell::RefCell;
use std::fmt::Display;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use parking_lot::Mutex;
use rustix::thread::CapabilitySet;
use vistafs_container::{Account, Caller, Container, Containers};
use vistafs_handover::Handover;
use vistafs_host::Process;
use vistafs_view::{Asker, Policy, Provider, Registered, Registry, ViewError};

use crate::address::Addresses;
use crate::channel::Waiting;
use crate::complaints::Complaints;
use crate::errno::DispatchError;
use crate::figures::Figures;
use crate::kept_text::Budget;
use crate::metrics::{self, Supervision};
use crate::number;
use crate::open_files::{OpenFiles, Shows};
use crate::own::OwnDirs;
use crate::page_cache::PageCached;
use crate::passing::Passing;
use crate::place::Place;
use crate::tree::Tree;

mod attributes;
mod channels;
mod files;
mod names;
mod own;
mod page_cache;
pub(crate) mod schedule;
mod trees;
mod whom;

pub use attributes::Attributes;
pub(crate) use channels::Poll;
pub use names::Entry;
pub use page_cache::PageCache;

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
