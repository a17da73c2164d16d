//! Forgetting containers that have ended.
//!
//! Each container is watched by the pidfd of one of its processes: its init, whose end is its own
//! end; or, where it has no init of its own (the host's pid namespace, or a pod's), its eldest
//! process, upon whose end the next eldest takes over, if there is one. One thread waits for all of
//! them; it does not wake up by itself, but for one time after some have ended, to give their memory back.

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

/// How long after the last end all is settled: by then the sampler of loads has let go of it, too.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Watched {
    next_token: u64,
    by_token: HashMap<u64, (NamespaceKey, OwnedFd)>,
}

/// A process that is waited for.
#[derive(Debug)]
pub(crate) struct Watch(u64);

/// What is waited for.
#[derive(Debug)]
pub(crate) struct Lifetimes {
    containers: Weak<Containers>,
    epoll: Arc<OwnedFd>,
    watched: Mutex<Watched>,
    started: Once,
}

impl Lifetimes {
    /// An epoll set that nothing is in yet.
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

    /// Tells [`Containers::ended`] of `key` when the process of `pidfd` ends.
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

    /// Waits for it no longer.
    pub(crate) fn unwatch(&self, Watch(token): Watch) {
        self.take(token);
    }

    /// Makes the table anew, for as many as there are.
    pub(crate) fn make_anew(&self) {
        let by_token = &mut self.watched.lock().by_token;
        let all = std::mem::take(by_token);
        by_token.extend(all);
    }

    fn take(&self, token: u64) -> Option<NamespaceKey> {
        // Closing the descriptor takes it out of the epoll set.
        let taken = self.watched.lock().by_token.remove(&token);
        taken.map(|(key, _closed)| key)
    }
}

fn wait(containers: &Weak<Containers>, epoll: &OwnedFd) {
    let mut events = Vec::with_capacity(64);
    let settled = Timespec::try_from(SETTLED_AFTER).ok();
    // Containers, since memory was given back; and whether there were any since all was settled.
    let (mut ended, mut unsettled) = (0, false);
    loop {
        events.clear();
        let timeout = settled.as_ref().filter(|_| unsettled);
        let is_settled = match epoll::wait(epoll, spare_capacity(&mut events), timeout) {
            Ok(count) => count == 0,
            Err(Errno::INTR) => false,
            Err(errno) => {
                log::error!(
                    "epoll_wait: {errno}; containers that end are kept (vistafs upgrade starts anew)"
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
        // A container is some KiB; the allocator would keep them for others for ever.
        if is_settled || ended > containers.len() / 4 {
            // Freed pieces are joined by it: what is made anew takes the room that nothing else can use.
            heap::give_back();
            containers.settle();
            heap::give_back();
            ended = 0;
        }
        unsettled &= !is_settled;
    }
}

/// Has a thread of its own forget containers. An allocator keeps some of what a thread has freed for that
/// thread, a piece here and there, and no page with such a piece can be given back before the thread ends.
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
