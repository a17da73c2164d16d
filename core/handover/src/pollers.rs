//! Who waits in poll(2) to be woken: the kernel's numbers of open files.
//!
//! A worker that dies wakes nobody any more. The next one wakes all of them, and they ask again.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Handover;
use crate::layout::pollers::{COUNT, FIRST, NEIGHBOURS};

impl Handover {
    /// Notes that somebody is to be woken. Where there is no room, the next worker does not.
    pub fn note_poller(&self, number: u64) {
        let claimed = |place: &AtomicU64| {
            place.load(Ordering::Relaxed) == number
                || place
                    .compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
        };
        self.near(number).any(claimed);
    }

    /// The open file is closed.
    pub fn forget_poller(&self, number: u64) {
        for place in self.near(number) {
            let _ = place.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Those that an earlier worker was to wake, which are nobody's then.
    #[must_use]
    pub fn take_pollers(&self) -> Vec<u64> {
        let all = self.region.words(FIRST, COUNT).iter();
        let taken = all.map(|place| place.swap(0, Ordering::AcqRel));
        taken.filter(|number| *number != 0).collect()
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

    #[test]
    fn those_who_wait_are_taken_once() {
        let handover = Handover::create().unwrap();
        let twin = 3 + COUNT as u64;
        for number in [3, twin, 5, 3] {
            handover.note_poller(number);
        }
        handover.forget_poller(5);
        assert_eq!(handover.take_pollers(), [3, twin]);
        assert_eq!(handover.take_pollers(), []);
        (1..10_000).for_each(|number| handover.note_poller(number));
        assert_eq!(handover.take_pollers().len(), COUNT);
    }
}
