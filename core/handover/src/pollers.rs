//! Files with waiters in poll(2), by the kernel's number of the open file.
//!
//! A worker that dies wakes no waiter. The next worker wakes all of them, and they poll again.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Handover;
use crate::layout::pollers::{COUNT, FIRST, NEIGHBOURS};

/// Marks a number that a worker is about to wake. The kernel counts from 1, so it never sets this
/// bit.
const BEING_WOKEN: u64 = 1 << 63;

impl Handover {
    /// Records a waiter. Without room, the next worker does not wake it.
    pub fn note_poller(&self, number: u64) {
        let claimed = |place: &AtomicU64| {
            place.load(Ordering::Relaxed) == number
                || place
                    .compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
        };
        self.near(number).any(claimed);
    }

    /// Drops a closed file.
    pub fn forget_poller(&self, number: u64) {
        for place in self.near(number) {
            for noted in [number, number | BEING_WOKEN] {
                let _ = place.compare_exchange(noted, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Calls `wake` with each recorded number and then drops it: if the worker is killed in
    /// between, the next one repeats the call. A number recorded again meanwhile stays.
    pub fn wake_pollers(&self, mut wake: impl FnMut(u64)) {
        for place in self.region.words(FIRST, COUNT) {
            let noted = place.load(Ordering::Acquire);
            let marked = noted | BEING_WOKEN;
            let change = |from, to| {
                place
                    .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            };
            // The file may be closed at this moment.
            if noted != 0 && change(noted, marked) {
                wake(noted & !BEING_WOKEN);
                change(marked, 0);
            }
        }
    }

    fn near(&self, number: u64) -> impl Iterator<Item = &AtomicU64> {
        let home = usize::try_from(number % COUNT as u64).unwrap_or(0);
        let all = self.region.words(FIRST, COUNT);
        (0..NEIGHBOURS).map(move |step| &all[(home + step) % COUNT])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn woken(handover: &Handover) -> Vec<u64> {
        let mut woken = Vec::new();
        handover.wake_pollers(|number| woken.push(number));
        woken
    }

    #[test]
    fn those_who_wait_are_woken_once() {
        let handover = Handover::create().unwrap();
        let twin = 3 + COUNT as u64;
        for number in [3, twin, 5, 3] {
            handover.note_poller(number);
        }
        handover.forget_poller(5);
        assert_eq!(woken(&handover), [3, twin]);
        assert_eq!(woken(&handover), []);
        (1..10_000).for_each(|number| handover.note_poller(number));
        assert_eq!(woken(&handover).len(), COUNT);
    }

    #[test]
    fn a_worker_that_is_killed_while_it_wakes_leaves_them_to_the_next() {
        let handover = Handover::create().unwrap();
        handover.note_poller(3);
        handover.note_poller(4);
        let killed = std::panic::AssertUnwindSafe(|| {
            handover.wake_pollers(|_| std::panic::resume_unwind(Box::new("killed")));
        });
        assert!(std::panic::catch_unwind(killed).is_err());
        assert_eq!(woken(&handover), [3, 4]);
        // The waiter polls again before its number is dropped, and closes after that.
        handover.note_poller(3);
        handover.wake_pollers(|number| handover.note_poller(number));
        assert_eq!(woken(&handover), [3]);
        handover.note_poller(4);
        handover.wake_pollers(|number| handover.forget_poller(number));
        assert_eq!(woken(&handover), []);
    }
}
