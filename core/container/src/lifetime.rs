//! Forgetting containers that have ended.
//!
//! Each container is watched by the pidfd of one of its processes: its init, whose end is its own
//! end; or, where it has no init of its own (the host's pid namespace, or a pod's), its eldest
//! process, upon whose end the next eldest takes over, if there is one. One thread waits for all of
//! them; it never wakes up by itself.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Once, Weak};

use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;
use vistafs_host::{HostError, NamespaceKey, heap};

use crate::Containers;

#[derive(Debug, Default)]
struct Watched {
    next_token: u64,
    by_token: HashMap<u64, (NamespaceKey, OwnedFd)>,
}

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
    pub(crate) fn watch(&self, key: NamespaceKey, pidfd: OwnedFd) -> Result<(), HostError> {
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
        Ok(())
    }

    fn take(&self, token: u64) -> Option<NamespaceKey> {
        // Closing the descriptor takes it out of the epoll set.
        let taken = self.watched.lock().by_token.remove(&token);
        taken.map(|(key, _closed)| key)
    }
}

fn wait(containers: &Weak<Containers>, epoll: &OwnedFd) {
    let mut events = Vec::with_capacity(64);
    let mut ended = 0;
    loop {
        events.clear();
        match epoll::wait(epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                log::error!(
                    "epoll_wait: {errno}; containers that end are kept (vistafs upgrade starts anew)"
                );
                return;
            }
        }
        let Some(containers) = containers.upgrade() else {
            return;
        };
        for event in &events {
            if let Some(key) = containers.lifetimes().take(event.data.u64()) {
                containers.ended(&key);
                ended += 1;
            }
        }
        // A container is some KiB; the allocator would keep them for others for ever.
        if ended > containers.len() / 4 {
            heap::give_back();
            ended = 0;
        }
    }
}
