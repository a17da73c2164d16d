//! Forgetting containers that have ended.
//!
//! One thread waits for the pidfds of containers' inits. A container that has no init of its own
//! (the host's pid namespace, or a pod's) ends with its cgroup, which nothing announces on every
//! version, so those are looked at every 30 s. With none of them the thread never wakes up by
//! itself.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Weak;

use parking_lot::{Mutex, Once};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use vistafs_host::NamespaceKey;

use crate::Containers;

const SWEEP_EVERY: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};

#[derive(Debug, Default)]
struct Watched {
    next_token: u64,
    by_token: HashMap<u64, (NamespaceKey, OwnedFd)>,
    unwatched: Vec<NamespaceKey>,
}

/// What is waited for.
#[derive(Debug)]
pub(crate) struct Lifetimes {
    containers: Weak<Containers>,
    epoll: Option<OwnedFd>,
    watched: Mutex<Watched>,
    started: Once,
}

impl Lifetimes {
    pub(crate) fn new(containers: Weak<Containers>) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .inspect_err(|errno| {
                log::error!(
                    "epoll_create: {errno}; containers that end are found out by their cgroup"
                )
            })
            .ok();
        Self {
            containers,
            epoll,
            watched: Mutex::default(),
            started: Once::new(),
        }
    }

    /// Forgets the container `key` when `init` ends, or, without one, when its cgroup is gone.
    pub(crate) fn watch(&self, key: NamespaceKey, init: Option<OwnedFd>) {
        let mut watched = self.watched.lock();
        let token = watched.next_token;
        watched.next_token += 1;
        let added = match (&self.epoll, init) {
            (Some(epoll), Some(pidfd)) => {
                let data = epoll::EventData::new_u64(token);
                epoll::add(epoll, &pidfd, data, epoll::EventFlags::IN).is_ok() && {
                    watched.by_token.insert(token, (key, pidfd));
                    true
                }
            }
            _ => false,
        };
        if !added {
            watched.unwatched.push(key);
        }
        drop(watched);
        self.started.call_once(|| {
            let containers = self.containers.clone();
            let thread = std::thread::Builder::new().name("lifetimes".into());
            if let Err(error) = thread.spawn(move || wait(&containers)) {
                log::error!("cannot start a thread: {error}; containers that end are kept");
            }
        });
        if !added {
            self.nudge();
        }
    }

    /// Makes the thread look at its time-out again.
    fn nudge(&self) {
        if let Some(epoll) = &self.epoll {
            // A descriptor that is readable at once, and taken out again when it is seen.
            if let Ok(event) = rustix::event::eventfd(1, rustix::event::EventfdFlags::CLOEXEC) {
                let mut watched = self.watched.lock();
                let token = watched.next_token;
                watched.next_token += 1;
                let data = epoll::EventData::new_u64(token);
                let nobody = NamespaceKey { pid: 0, cgroup: 0 };
                if epoll::add(epoll, &event, data, epoll::EventFlags::IN).is_ok() {
                    watched.by_token.insert(token, (nobody, event));
                }
            }
        }
    }
}

fn wait(containers: &Weak<Containers>) {
    let mut events = Vec::with_capacity(64);
    loop {
        let Some(alive) = containers.upgrade() else {
            return;
        };
        let Some(epoll) = alive
            .lifetimes()
            .epoll
            .as_ref()
            .and_then(|e| rustix::io::fcntl_dupfd_cloexec(e, 0).ok())
        else {
            return;
        };
        let time_out = if alive.lifetimes().watched.lock().unwatched.is_empty() {
            None
        } else {
            Some(&SWEEP_EVERY)
        };
        drop(alive);
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), time_out) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                log::error!("epoll_wait: {errno}; containers that end are kept");
                return;
            }
        }
        let Some(alive) = containers.upgrade() else {
            return;
        };
        for event in &events {
            // Dropping the descriptor takes it out of the epoll set.
            let ended = alive
                .lifetimes()
                .watched
                .lock()
                .by_token
                .remove(&event.data.u64());
            if let Some((key, _)) = ended {
                alive.forget(&key);
            }
        }
        if events.is_empty() {
            let mut unwatched = std::mem::take(&mut alive.lifetimes().watched.lock().unwatched);
            alive.sweep(&mut unwatched);
            alive
                .lifetimes()
                .watched
                .lock()
                .unwatched
                .append(&mut unwatched);
        }
    }
}
