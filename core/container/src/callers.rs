//! Caches the tasks of callers that read repeatedly, to look up their namespaces only once.
//!
//! A caller is cached from its second request on: most programs read one file and exit. The table
//! has one slot per thread ID modulo [`PLACES`]; a later caller replaces the entry. An entry is
//! dropped with its container.

use std::sync::Arc;

use parking_lot::Mutex;
use vistafs_host::{HeldTask, Host, HostError, NamespaceKey};

const PLACES: usize = 64;

/// The last caller that used this slot.
#[derive(Debug, Default)]
struct Place {
    tid: u32,
    // The caller was on the host at its second request: never cached.
    of_host: bool,
    held: Option<(Arc<HeldTask>, NamespaceKey)>,
}

impl Place {
    fn of(tid: u32) -> Self {
        Self {
            tid,
            ..Self::default()
        }
    }
}

/// Stores `asked` unless the lock is held. The old entry is dropped after the lock is released.
fn put(place: &Mutex<Place>, asked: Place) {
    let before = place
        .try_lock()
        .map(|mut place| std::mem::replace(&mut *place, asked));
    drop(before);
}

/// A table of cached callers.
#[derive(Debug)]
pub(crate) struct Callers {
    // Locked for a look-up or a change, never across a system call. If the lock is held, the caller
    // is resolved as if it had no slot.
    places: [Mutex<Place>; PLACES],
}

impl Default for Callers {
    fn default() -> Self {
        Self {
            places: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Callers {
    /// Returns the namespaces of a thread. `host_s`: the namespaces of the host.
    ///
    /// # Errors
    /// If the thread does not exist (any more).
    pub(crate) fn namespaces(
        &self,
        host: &Host,
        tid: u32,
        host_s: NamespaceKey,
    ) -> Result<NamespaceKey, HostError> {
        let place = &self.places[tid as usize % PLACES];
        let Some((known, of_host, held)) = place.try_lock().map(|place| {
            let held = place.held.as_ref().map(|(task, _)| Arc::clone(task));
            (place.tid == tid, place.of_host, held)
        }) else {
            return NamespaceKey::of_task(host, tid);
        };
        if !known || of_host {
            let key = NamespaceKey::of_task(host, tid)?;
            if !known {
                put(place, Place::of(tid));
            }
            return Ok(key);
        }
        if let Some(key) = held.as_ref().and_then(|task| task.namespaces()) {
            return Ok(key);
        }
        // Not cached yet, or the cached task has ended and its ID was reused.
        let task = HeldTask::hold(host, tid)?;
        let Some(key) = task.namespaces() else {
            return NamespaceKey::of_task(host, tid);
        };
        let of_host = key == host_s;
        let asked = Place {
            tid,
            of_host,
            held: (!of_host).then(|| (Arc::new(task), key)),
        };
        put(place, asked);
        Ok(key)
    }

    /// Drops the entries of tasks that have ended, of all containers.
    pub(crate) fn let_go_of_ended(&self) {
        for place in &self.places {
            let held = place.lock().held.as_ref().map(|(task, _)| Arc::clone(task));
            let Some(ended) = held.filter(|task| task.namespaces().is_none()) else {
                continue;
            };
            let mut place = place.lock();
            let is_it = |(task, _): &(Arc<HeldTask>, _)| Arc::ptr_eq(task, &ended);
            if place.held.as_ref().is_some_and(is_it) {
                *place = Place::default();
            }
        }
    }

    /// Drops the callers that were in `container` when they were cached.
    pub(crate) fn forget(&self, container: &NamespaceKey) {
        for place in &self.places {
            let mut place = place.lock();
            if place.held.as_ref().is_some_and(|(_, key)| key == container) {
                *place = Place::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_asks_again_is_held_until_it_is_forgotten() {
        let host = Host::running(Duration::ZERO).unwrap();
        let own = NamespaceKey::of_self(&host).unwrap();
        let elsewhere = NamespaceKey { pid: 1, cgroup: 2 };
        let tid = std::process::id();
        let callers = Callers::default();
        let held = |callers: &Callers| {
            let held = callers.places.iter().filter(|p| p.lock().held.is_some());
            held.count()
        };
        let mut counts = Vec::new();
        for _ in 0..3 {
            assert_eq!(callers.namespaces(&host, tid, elsewhere).unwrap(), own);
            counts.push(held(&callers));
        }
        assert_eq!(counts, [0, 1, 1]);
        callers.forget(&elsewhere);
        assert_eq!(held(&callers), 1);
        callers.forget(&own);
        assert_eq!(held(&callers), 0);
        // Callers on the host are not cached.
        for _ in 0..3 {
            assert_eq!(callers.namespaces(&host, tid, own).unwrap(), own);
        }
        assert_eq!(held(&callers), 0);
        assert!(callers.namespaces(&host, 0, own).is_err());
    }

    #[test]
    fn who_has_ended_is_let_go() {
        let host = Host::running(Duration::ZERO).unwrap();
        let elsewhere = NamespaceKey { pid: 1, cgroup: 2 };
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let callers = Callers::default();
        for _ in 0..2 {
            callers.namespaces(&host, child.id(), elsewhere).unwrap();
        }
        let held = || callers.places.iter().filter(|p| p.lock().held.is_some());
        callers.let_go_of_ended();
        assert_eq!(held().count(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
        callers.let_go_of_ended();
        assert_eq!(held().count(), 0);
    }
}
