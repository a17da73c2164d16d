//! A supervisor that sleeps, and the request that wakes it.
//!
//! While nothing is in flight a supervisor has nothing to look for. It says so in a word of the memory
//! before it sleeps for good, and the worker says something to it when it reads the next request.
//!
//! # No request is begun unseen
//! The worker makes a slot its own and then looks whether the supervisor sleeps; the supervisor says
//! that it sleeps and then looks at all slots. All four are sequentially consistent, so they have one
//! order in which each of the two writes is before the same side's look. Whichever write is the second
//! there, its side sees the other's: the worker sees the word and wakes, or the supervisor sees the
//! slot and does not sleep, or both. The worker looks before that as well, so that one that is stopped
//! while it has a request has woken its supervisor; that leaves one that is stopped at the instant at which the
//! supervisor falls asleep, for which that looks once more.
//!
//! A slot counts from when it is being filled, as nothing of the sort holds for what is stored later.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Handover;
use crate::layout::head;

/// How a worker wakes its supervisor.
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
    /// A worker's: what it does when it reads a request while the supervisor sleeps. To be said once,
    /// before it reads requests; it may be done by any thread, and must not wait.
    pub fn wake_with(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.waking.0.set(Box::new(wake));
    }

    /// A supervisor's: it sleeps until the worker wakes it, unless that worker has a request. `false`:
    /// it has one, and nobody will wake it.
    ///
    /// The worker of that generation must be one that wakes ([`Handover::wake_with`]); not every
    /// version's does.
    #[must_use = "who does not sleep has to look again by himself"]
    pub fn fall_asleep(&self, generation: u32) -> bool {
        self.asleep().store(1, Ordering::SeqCst);
        let is_alone = !self.has_request(generation);
        if !is_alone {
            self.asleep().store(0, Ordering::Relaxed);
        }
        is_alone
    }

    /// Before a slot is taken for a request, and after. Of several that find the supervisor asleep one wakes it.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.asleep().load(Ordering::SeqCst) != 0 {
            self.wake_now();
        }
    }

    #[cold]
    fn wake_now(&self) {
        // Without a way to wake it the word stays: it is the next worker's, which may have one.
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

    /// A supervisor and a worker of the same memory, and how often the one has woken the other.
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
        // Another worker's is not looked for.
        assert!(supervisor.fall_asleep(2));
        drop(request);
        drop(worker.begin(&Request::default()));
        assert_eq!(times(), 2);
        assert!(supervisor.fall_asleep(1));
    }

    #[test]
    fn who_cannot_wake_leaves_it_to_the_next() {
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

    /// Each request is in flight until it is seen: one that neither wakes nor keeps awake is for ever.
    #[test]
    fn no_request_is_begun_unseen() {
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
