//! Removes containers that have ended.
//!
//! Each container is watched through the pidfd of one process: its init, or, if it has none (in the
//! host's or a pod's pid namespace), its eldest process. When the eldest process ends, the next
//! eldest is watched. One thread waits for all pidfds. It has no timer, except once after
//! containers have ended, to release their memory.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll;
use rustix::io::Errno;
use vistafs_host::{HostError, NamespaceKey, heap};

use crate::Containers;

/// Delay between the last end and the trim; the load sampler has dropped the containers by then.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Watched {
    next_token: u64,
    by_token: HashMap<u64, (NamespaceKey, OwnedFd)>,
}

/// A watched process.
#[derive(Debug)]
pub(crate) struct Watch(u64);

/// The watched processes and the epoll set with their pidfds.
#[derive(Debug)]
pub(crate) struct Lifetimes {
    containers: Weak<Containers>,
    epoll: Arc<OwnedFd>,
    watched: Mutex<Watched>,
    started: Once,
}

impl Lifetimes {
    /// Creates an empty epoll set.
    pub(crate) fn new_set() -> Result<OwnedFd, HostError> {
        epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|errno| HostError::from_errno(errno, Path::new("epoll")))
    }

    pub(crate) fn new(containers: Weak<Containers>, set: OwnedFd) -> Self {
        Self {
            containers,
            epoll: Arc::new(set),
            watched: Mutex::default(),
            started: Once::new(),
        }
    }

    /// Calls [`Containers::ended`] with `key` when the process of `pidfd` ends.
    pub(crate) fn watch(&self, key: NamespaceKey, pidfd: OwnedFd) -> Result<Watch, HostError> {
        let mut watched = self.watched.lock();
        let token = watched.next_token;
        watched.next_token += 1;
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.epoll, &pidfd, data, epoll::EventFlags::IN)
            .map_err(|errno| HostError::from_errno(errno, Path::new("epoll")))?;
        watched.by_token.insert(token, (key, pidfd));
        drop(watched);
        self.started.call_once(|| {
            let (containers, epoll) = (self.containers.clone(), Arc::clone(&self.epoll));
            let thread = std::thread::Builder::new().name("lifetimes".into());
            if let Err(error) = thread.spawn(move || wait(&containers, &epoll)) {
                log::error!(
                    "cannot start a thread: {error}; containers that end are kept (raise TasksMax= \
                     of the unit)"
                );
            }
        });
        Ok(Watch(token))
    }

    /// Stops watching a process.
    pub(crate) fn unwatch(&self, Watch(token): Watch) {
        self.take(token);
    }

    /// Rebuilds the table with the capacity that its entries need.
    pub(crate) fn make_anew(&self) {
        let by_token = &mut self.watched.lock().by_token;
        let all = std::mem::take(by_token);
        by_token.extend(all);
    }

    fn take(&self, token: u64) -> Option<NamespaceKey> {
        // Closing the descriptor removes it from the epoll set.
        let taken = self.watched.lock().by_token.remove(&token);
        taken.map(|(key, _closed)| key)
    }
}

fn wait(containers: &Weak<Containers>, epoll: &OwnedFd) {
    let mut events = Vec::with_capacity(64);
    let settled = Timespec::try_from(SETTLED_AFTER).ok();
    // `ended`: containers since the last release of memory. `unsettled`: any since the last trim.
    let (mut ended, mut unsettled) = (0, false);
    loop {
        events.clear();
        let timeout = settled.as_ref().filter(|_| unsettled);
        let is_settled = match epoll::wait(epoll, spare_capacity(&mut events), timeout) {
            Ok(count) => count == 0,
            Err(Errno::INTR) => false,
            Err(errno) => {
                log::error!(
                    "epoll_wait: {errno}; ended containers are not released (vistafs upgrade restarts the worker)"
                );
                return;
            }
        };
        let Some(containers) = containers.upgrade() else {
            return;
        };
        let tokens = events.iter().map(|event| event.data.u64());
        let keys: Vec<_> = tokens
            .filter_map(|token| containers.lifetimes().take(token))
            .collect();
        if !keys.is_empty() {
            forget(&containers, &keys);
            (ended, unsettled) = (ended + keys.len(), true);
        }
        // A container takes some KiB, which the allocator would keep for ever.
        if is_settled || ended > containers.len() / 4 {
            // Merges freed chunks, so that the rebuilt tables fill holes that nothing else fits in.
            heap::give_back();
            containers.settle();
            heap::give_back();
            ended = 0;
        }
        unsettled &= !is_settled;
    }
}

/// Removes containers on a separate thread. An allocator caches some freed chunks per thread, and
/// no page with such a chunk can be released before the thread ends.
fn forget(containers: &Containers, keys: &[NamespaceKey]) {
    let work = || keys.iter().for_each(|key| containers.ended(key));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("forget".into());
        if let Err(error) = thread.spawn_scoped(scope, work) {
            log::debug!("cannot start a thread: {error}");
            work();
        }
    });
}
