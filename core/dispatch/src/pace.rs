//! How long the requests of a container take, so that one whose requests take long waits for itself.
//!
//! The kernel hands out requests in the order in which they were made, and a serving thread does nothing else
//! meanwhile. So many readers of one container, of a file that takes 10 ms, would keep all serving
//! threads, and every other container behind all of them. While a container's reads and opens take long on the
//! average they are therefore done aside (`aside.rs`), one after the other, and serving threads only
//! hand them on. It does not matter which file it is, or why it takes long.
//!
//! What may wait for others than the kernel is done aside in any case. It is another queue, so that nobody
//! waits for a command because his container has many processes, and it does not count here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::aside::Aside;

/// What is put aside takes some ten µs more, little beside this.
const LONG: Duration = Duration::from_micros(200);

/// How many containers there are whose requests take long. While there is none nobody is asked.
#[derive(Debug, Default)]
pub(crate) struct Slowness(Arc<AtomicUsize>);

impl Slowness {
    pub(crate) fn is_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Whether it matters how long that request took.
    pub(crate) fn matters(&self, took: Duration) -> bool {
        took >= LONG || self.is_any()
    }
}

/// How many requests of a container may wait: each is noted in the handover memory, which has room for four
/// times as many of all containers.
const MOST: usize = 256;

/// The pace of one container, and where it waits for itself.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    aside: Arc<Aside>,
    // ns. A thread that is taken off its CPU makes one request long, and the next ones mend that.
    average: AtomicU64,
    slow: Mutex<Option<Slow>>,
}

impl Pace {
    fn is_slow(&self) -> bool {
        u128::from(self.average.load(Ordering::Relaxed)) >= LONG.as_nanos()
    }

    /// Where a request waits for those before it. `None`: they do not take long, or are too many.
    pub(crate) fn aside(&self) -> Option<Arc<Aside>> {
        let waits = self.is_slow() && self.aside.waiting() < MOST;
        waits.then(|| Arc::clone(&self.aside))
    }

    /// A request took so long.
    pub(crate) fn took(&self, took: Duration, slowness: &Slowness) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX / 4);
        let before = self.average.load(Ordering::Relaxed);
        // Two that end at once may count as one.
        let average = (before - before / 4).saturating_add(took / 4);
        self.average.store(average, Ordering::Relaxed);
        let mut slow = self.slow.lock();
        if !self.is_slow() {
            *slow = None;
        } else if slow.is_none() {
            *slow = Some(Slow::count(&slowness.0));
        }
    }
}

/// One that counts until it is dropped, with its container at the latest.
#[derive(Debug)]
struct Slow(Arc<AtomicUsize>);

impl Slow {
    fn count(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(all))
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_micros(20);

    #[test]
    fn who_takes_long_is_slow_until_it_does_no_more() {
        let (slowness, pace) = (Slowness::default(), Pace::default());
        pace.took(FAST, &slowness);
        assert!(!pace.is_slow() && !slowness.is_any() && !slowness.matters(FAST));
        pace.took(5 * LONG, &slowness);
        assert!(pace.aside().is_some() && slowness.is_any() && slowness.matters(FAST));
        let other = Pace::default();
        other.took(FAST, &slowness);
        assert!(!other.is_slow() && slowness.is_any());
        (0..4).for_each(|_| pace.took(FAST, &slowness));
        assert!(pace.aside().is_none() && !slowness.is_any());
        // Where each is a little more than that, some do it.
        (0..20).for_each(|_| pace.took(LONG * 3 / 2, &slowness));
        assert!(pace.is_slow());
    }

    #[test]
    fn one_that_has_ended_is_slow_no_more() {
        let (slowness, pace) = (Slowness::default(), Pace::default());
        pace.took(Duration::MAX, &slowness);
        assert!(pace.is_slow() && slowness.is_any());
        drop(pace);
        assert!(!slowness.is_any());
    }
    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let (slowness, pace) = (Slowness::default(), Pace::default());
        pace.took(Duration::from_secs(1), &slowness);
        let (go_on, stop) = std::sync::mpsc::channel::<()>();
        pace.aside()
            .unwrap()
            .give(move || assert!(stop.recv().is_err()));
        let mut given = 0;
        while let Some(aside) = pace.aside() {
            aside.give(|| {});
            given += 1;
        }
        // The first one waits until it is begun.
        assert!((MOST - 1..=MOST).contains(&given), "{given}");
        drop(go_on);
    }
}
