//! A sleeping supervisor, and the request that wakes it.
//!
//! With no request in flight a supervisor has nothing to monitor. It sets a word in the shared
//! memory before it sleeps indefinitely, and the worker notifies it when it reads the next request.
//!
//! # No request starts unseen
//! The worker claims a slot and then checks whether the supervisor sleeps; the supervisor sets the
//! word and then checks all slots. All four accesses are sequentially consistent, so they have one
//! order in which each side's write precedes its own check. The side with the second write sees the
//! other's: the worker sees the word and wakes the supervisor, or the supervisor sees the slot and
//! stays awake, or both. The worker also checks before it claims, so that a worker that is stopped
//! with a request has woken its supervisor. A worker that is stopped at the instant at which the
//! supervisor falls asleep remains; for that the supervisor checks once more.
//!
//! A slot counts as soon as it is being filled: later stores have no such guarantee.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Handover;
use crate::layout::head;

/// Wakes the supervisor.
#[derive(Default)]
pub(crate) struct Waking(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for Waking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waking")
            .field(&self.0.get().is_some())
            .finish()
    }
}

impl Handover {
    /// Sets the worker's hook that runs when it reads a request while the supervisor sleeps. To be
    /// called once, before requests are read; any thread may run the hook, and it must not block.
    pub fn wake_with(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.waking.0.set(Box::new(wake));
    }

    /// Marks the supervisor as asleep until the worker wakes it. `false`: the worker has a request
    /// and will not wake it.
    ///
    /// The worker of that generation must support this ([`Handover::wake_with`]); older versions do
    /// not.
    #[must_use = "a supervisor that stays awake must check again"]
    pub fn fall_asleep(&self, generation: u32) -> bool {
        self.asleep().store(1, Ordering::SeqCst);
        let is_alone = !self.has_request(generation);
        if !is_alone {
            self.asleep().store(0, Ordering::Relaxed);
        }
        is_alone
    }

    /// Called before and after a slot is claimed. Of several threads that find the supervisor
    /// asleep, one wakes it.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.asleep().load(Ordering::SeqCst) != 0 {
            self.wake_now();
        }
    }

    #[cold]
    fn wake_now(&self) {
        // Without a hook the word stays set for the next worker, which may have one.
        if let Some(wake) = self.waking.0.get()
            && self.asleep().swap(0, Ordering::Relaxed) != 0
        {
            wake();
        }
    }

    fn asleep(&self) -> &AtomicU64 {
        &self.region.words(0, head::WORDS)[head::ASLEEP]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::Request;

    /// A supervisor and a worker with the same memory, and the number of wake-ups.
    fn both() -> (Arc<Handover>, Arc<Handover>, Arc<AtomicUsize>) {
        let supervisor = Handover::with_records(1024).unwrap();
        let memory = std::os::fd::AsFd::as_fd(&*supervisor);
        let worker = Handover::adopt(memory.try_clone_to_owned().unwrap()).unwrap();
        worker.begin_generation();
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        worker.wake_with(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        (supervisor, worker, woken)
    }

    #[test]
    fn the_first_request_wakes() {
        let (supervisor, worker, woken) = both();
        let times = || woken.load(Ordering::SeqCst);
        drop(worker.begin(&Request::default()));
        assert_eq!(times(), 0);
        assert!(supervisor.fall_asleep(1));
        let request = worker.begin(&Request::default());
        drop(worker.begin(&Request::default()));
        assert_eq!(times(), 1);
        // It is in flight.
        assert!(!supervisor.fall_asleep(1));
        drop(worker.begin(&Request::default()));
        assert_eq!(times(), 1);
        // Requests of another worker are ignored.
        assert!(supervisor.fall_asleep(2));
        drop(request);
        drop(worker.begin(&Request::default()));
        assert_eq!(times(), 2);
        assert!(supervisor.fall_asleep(1));
    }

    #[test]
    fn a_worker_without_a_hook_leaves_the_word_set() {
        let (supervisor, worker, woken) = both();
        let before = Handover::adopt(
            std::os::fd::AsFd::as_fd(&*supervisor)
                .try_clone_to_owned()
                .unwrap(),
        )
        .unwrap();
        assert!(supervisor.fall_asleep(1));
        drop(before.begin(&Request::default()));
        drop(worker.begin(&Request::default()));
        assert_eq!(woken.load(Ordering::SeqCst), 1);
    }

    /// Each request stays in flight until it is seen: a missed wake-up would block forever.
    #[test]
    fn no_request_starts_unseen() {
        let (supervisor, worker, woken) = both();
        let rounds = 20_000;
        let (begun, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=rounds {
                    let request = worker.begin(&Request::default());
                    begun.store(round, Ordering::Release);
                    while seen.load(Ordering::Acquire) < round {
                        std::hint::spin_loop();
                    }
                    drop(request);
                }
            });
            for round in 1..=rounds {
                let before = woken.load(Ordering::SeqCst);
                let sleeps = supervisor.fall_asleep(1);
                while begun.load(Ordering::Acquire) < round {
                    std::hint::spin_loop();
                }
                let is_woken = woken.load(Ordering::SeqCst) > before;
                assert!(is_woken || !sleeps, "in round {round}");
                seen.store(round, Ordering::Release);
            }
        });
    }
}
