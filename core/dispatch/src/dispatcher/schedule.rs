//! Decides where a request runs: on the serving thread that read it, or in its container's queue.
//!
//! Before queueing, a request only costs a comparison of namespaces and table look-ups, which no
//! container can make more expensive. Expensive steps run in the queue: the resolution of an
//! unknown caller ([`Turn::Discover`]), and the look-up of its current cgroup.
//!
//! | request | where |
//! |---|---|
//! | for a node that is the same for every caller | at once |
//! | to a view that waits for something other than the kernel | in the queue for those |
//! | that lists or changes a tree, opens a channel, or walks all of a container | in the queue |
//! | of a container above its share of the serving threads | in the queue |
//! | for which the kernel holds a lock of a shared directory or file | at once; the cost is low |
//!
//! The last row takes precedence: if such a request waits, every other container waits.

mod target;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use vistafs_container::{Account, Caller, Container, Identity, Queue, WaitsWithLock};
use vistafs_view::{Asker, NodeId, Provider};

use super::{Dispatcher, whom};
use crate::errno::DispatchError;
use crate::open_files::{OpenFile, Shows};
pub(crate) use target::{Asks, Target};
use target::{Lock, Whose};

/// The resources of an admitted request.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    /// The open file of its handle, if it is known.
    pub(crate) file: Option<Arc<OpenFile>>,
}

/// The decision where a request runs.
#[derive(Debug)]
pub(crate) enum Turn {
    /// On this thread.
    Now(Option<Caller>),
    /// In a queue of an account, which lives as long as the request.
    Later(Arc<Queue>, Arc<Account>, Option<Caller>),
    /// In a queue, where the container of the caller is resolved first.
    Discover(Arc<Account>, Option<WaitsWithLock>),
    /// Refused with this error.
    Refused(DispatchError),
}

/// A cache of tree directories that only one container sees. Otherwise the check may walk up all
/// levels that the container has created, on a serving thread. A directory does not move.
#[derive(Debug, Default)]
struct OwnDirectories(Mutex<(usize, HashSet<(usize, NodeId)>)>);

impl OwnDirectories {
    /// Maximum number of entries per container.
    const MOST: usize = 1024;

    fn is_shared(
        &self,
        container: &Arc<Container>,
        directory: (usize, NodeId),
        find_out: impl FnOnce() -> bool,
    ) -> bool {
        // A container that has moved is another object with the same state.
        let now = Arc::as_ptr(container).addr();
        {
            let (place, known) = &mut *self.0.lock();
            if *place != now {
                *place = now;
                known.clear();
            }
            if known.contains(&directory) {
                return false;
            }
        }
        let is_shared = find_out();
        if !is_shared {
            let (place, known) = &mut *self.0.lock();
            if known.len() >= Self::MOST {
                known.clear();
            }
            if *place == now {
                known.insert(directory);
            }
        }
        is_shared
    }
}

impl Dispatcher {
    /// Decides where a request runs.
    pub(crate) fn turn(&self, target: &Target, asker: Asker) -> Turn {
        match &target.whose {
            Whose::Nobodys | Whose::Closed(_) => Turn::Now(None),
            Whose::Files(file) => self.turn_of(target, &file.shows, asker, None),
            Whose::Named(path) => {
                // Requests reserved for root on the host fail at once for other callers.
                let is_open = target.counts_itself;
                if !is_open && self.only_host_root(asker).is_err() {
                    return Turn::Now(None);
                }
                let account = self.containers.account_of_path(path);
                if self.is_refused(target, &account) {
                    return Turn::Refused(DispatchError::Quarantined);
                }
                Turn::Later(Arc::clone(&account.work), account, None)
            }
            Whose::Callers => match self.containers.identify(asker.tid) {
                Ok(Identity::Found(caller)) => {
                    let shows = match &caller {
                        Caller::Host => Shows::Host,
                        Caller::Inside(container) => Shows::Container(Arc::clone(container)),
                    };
                    self.turn_of(target, &shows, asker, Some(caller))
                }
                Ok(Identity::Unknown(account)) if self.is_refused(target, &account) => {
                    Turn::Refused(DispatchError::Quarantined)
                }
                Ok(Identity::Unknown(account)) => discover(target, &account),
                Err(error) => {
                    let thread = format!("thread {}", asker.tid);
                    let told = |view| self.told(view, &thread, error.into());
                    Turn::Refused(told(target.view.unwrap_or(0)))
                }
            },
        }
    }

    fn turn_of(
        &self,
        target: &Target,
        shows: &Shows,
        asker: Asker,
        caller: Option<Caller>,
    ) -> Turn {
        let container = match shows {
            Shows::Host => None,
            Shows::Container(container) => Some(container),
        };
        let account = self.account(shows);
        if self.is_refused(target, account) {
            return Turn::Refused(DispatchError::Quarantined);
        }
        match self.queue_of(target, account, container, asker) {
            Some(queue) => Turn::Later(Arc::clone(queue), Arc::clone(account), caller),
            None => Turn::Now(caller),
        }
    }

    fn is_refused(&self, target: &Target, account: &Account) -> bool {
        let view = target.view;
        view.is_some_and(|view| self.is_quarantined(view, account))
    }

    /// Returns the queue of a request. `None`: it does not wait.
    fn queue_of<'a>(
        &self,
        target: &Target,
        account: &'a Account,
        container: Option<&Arc<Container>>,
        asker: Asker,
    ) -> Option<&'a Arc<Queue>> {
        if target.waits {
            return Some(&account.waits);
        }
        if target.lock == Lock::Held {
            return None;
        }
        let waits = target.costs || account.pace.is_above_share() || self.walks(target, container);
        match target.lock {
            // Last, because it is the most expensive check.
            Lock::OfDirectory(directory) if waits => {
                let is_shared = self.is_shared(target, directory, container, asker);
                (!is_shared).then_some(&account.work)
            }
            _ => waits.then_some(&account.work),
        }
    }

    fn is_shared(
        &self,
        target: &Target,
        directory: NodeId,
        container: Option<&Arc<Container>>,
        asker: Asker,
    ) -> bool {
        let Some(view) = target.view else {
            return true;
        };
        let Provider::Tree(tree) = &self.views[view].provider else {
            return true;
        };
        let find_out = || {
            self.with_request(container, asker, |request| {
                tree.is_shared(request, directory)
            })
        };
        match container {
            Some(container) => {
                let own = container.state::<OwnDirectories>();
                own.is_shared(container, (view, directory), find_out)
            }
            None => find_out(),
        }
    }

    fn walks(&self, target: &Target, container: Option<&Arc<Container>>) -> bool {
        let (true, Some(view), Some(container)) = (target.renders, target.view, container) else {
            return false;
        };
        match &self.views[view].provider {
            Provider::File(view) => view.must_walk(container),
            _ => false,
        }
    }

    pub(super) fn account<'a>(&'a self, shows: &'a Shows) -> &'a Arc<Account> {
        match shows {
            Shows::Host => self.containers.host_account(),
            Shows::Container(container) => container.account(),
        }
    }

    /// Returns the account of a thread's container.
    pub(crate) fn account_of_thread(&self, tid: u32) -> Arc<Account> {
        match self.containers.identify(tid) {
            Ok(Identity::Found(Caller::Inside(container))) => Arc::clone(container.account()),
            Ok(Identity::Unknown(account)) => account,
            Ok(Identity::Found(Caller::Host)) | Err(_) => {
                Arc::clone(self.containers.host_account())
            }
        }
    }

    /// Resolves the container of a caller on an offload thread, and decides where its request runs.
    pub(crate) fn discovered(&self, target: &Target, asker: Asker) -> Turn {
        match self.containers.caller(asker.tid) {
            Err(error) => Turn::Refused(error.into()),
            Ok(caller) => {
                let shows = match &caller {
                    Caller::Host => Shows::Host,
                    Caller::Inside(container) => Shows::Container(Arc::clone(container)),
                };
                // This thread belongs to the tenant, so no other tenant waits for it.
                match self.turn_of(target, &shows, asker, Some(caller)) {
                    Turn::Later(_, _, caller) if !target.waits => Turn::Now(caller),
                    turn => turn,
                }
            }
        }
    }

    /// Serves a request on this thread and charges its time.
    pub(crate) fn serve<T>(
        &self,
        target: Target,
        caller: Option<Caller>,
        asker: Asker,
        serve: impl FnOnce(Admitted) -> T,
    ) -> T {
        let counts = !target.counts_itself && !target.waits;
        let account = match (&target.whose, &caller) {
            _ if !counts => None,
            (Whose::Files(file), _) => Some(Arc::clone(self.account(&file.shows))),
            (_, Some(Caller::Inside(container))) => Some(Arc::clone(container.account())),
            (_, Some(Caller::Host)) => Some(Arc::clone(self.containers.host_account())),
            (_, None) => None,
        };
        let _known = caller.map(|caller| whom::Known::set(asker.tid, caller));
        let file = match target.whose {
            Whose::Files(file) => Some(file),
            // Before it is closed: who drops the last reference closes what it holds.
            other => {
                drop(other);
                None
            }
        };
        let Some(account) = account else {
            return serve(Admitted { file });
        };
        let began = Instant::now();
        let served = serve(Admitted { file });
        let now = Instant::now();
        account
            .pace
            .charge(now.saturating_duration_since(began), now);
        served
    }

    /// Returns the tag of the charged tenant; 0: callers on the host. `None`: no view serves it.
    pub(crate) fn tag(&self, target: &Target, caller: Option<&Caller>) -> Option<u32> {
        Some(match (&target.whose, caller) {
            (Whose::Nobodys, _) => return None,
            (Whose::Files(file) | Whose::Closed(file), _) => self.account(&file.shows).tag(),
            (Whose::Named(path), _) => self.containers.account_of_path(path).tag(),
            (_, Some(Caller::Inside(container))) => container.account().tag(),
            _ => 0,
        })
    }

    /// The same for a request that a dead worker has left: to a node, by way of an open file (0: none), from a thread.
    pub(crate) fn tag_of_node(&self, (node, handle, tid): (u64, u64, u32)) -> Option<u32> {
        match self.by_handle(node, handle)? {
            (Whose::Callers, _) => Some(self.account_of_thread(tid).tag()),
            (whose, view) => self.tag(&Target::of(whose, view), None),
        }
    }
}

fn discover(target: &Target, account: &Arc<Account>) -> Turn {
    if target.lock == Lock::None || target.waits {
        return Turn::Discover(Arc::clone(account), None);
    }
    match account.admit_with_lock() {
        Some(waits) => Turn::Discover(Arc::clone(account), Some(waits)),
        None => Turn::Refused(DispatchError::Busy),
    }
}

#[cfg(test)]
mod tests;
