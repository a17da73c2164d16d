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
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::aside::Aside;

/// What is put aside takes some ten µs more, little beside this.
const LONG: Duration = Duration::from_micros(200);

/// How long all are looked at after the last request that took long.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Whether there is a container whose requests take long. While there is none nobody is asked about his
/// own, so this is forgotten when none has taken long for a while.
#[derive(Debug)]
pub(crate) struct Slowness {
    began: Instant,
    // In ms since then; 0: since never.
    until: AtomicU64,
}

impl Default for Slowness {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            until: AtomicU64::new(0),
        }
    }
}

impl Slowness {
    pub(crate) fn is_any(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until > 0 && self.is_still(until, self.began.elapsed())
    }

    /// Whether it matters how long that request took.
    pub(crate) fn matters(&self, took: Duration) -> bool {
        took >= LONG || self.is_any()
    }

    fn is_still(&self, until: u64, now: Duration) -> bool {
        let is_still = now < Duration::from_millis(until);
        if !is_still {
            // The next one need not look at the clock. Whoever has put it off meanwhile is not overruled.
            let relaxed = Ordering::Relaxed;
            let _ = self.until.compare_exchange(until, 0, relaxed, relaxed);
        }
        is_still
    }

    /// There is one whose requests take so long: several more of them may be under way.
    fn note(&self, average: Duration) {
        let from_now = REMEMBERED.saturating_add(average.saturating_mul(4));
        let until = self.began.elapsed().saturating_add(from_now);
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.until.fetch_max(until, Ordering::Relaxed);
    }
}

/// How many requests of a container may wait. The age of one that waits counts, as that of a worker that was
/// stopped must; so all together are to take less than `[worker] stuck_seconds`, at 60 ms for each.
const MOST: usize = 64;

/// The pace of one container, and where it waits for itself.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    aside: Arc<Aside>,
    // ns. A thread that is taken off its CPU makes one request long, and the next ones mend that.
    average: AtomicU64,
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
        if self.is_slow() {
            slowness.note(Duration::from_nanos(average));
        }
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
        assert!(pace.aside().is_none());
        // Where each is a little more than that, some do it.
        (0..20).for_each(|_| pace.took(LONG * 3 / 2, &slowness));
        assert!(pace.is_slow());
    }

    #[test]
    fn it_is_forgotten_when_none_has_taken_long_for_a_while() {
        let slowness = Slowness::default();
        let is_still = |now: Duration| {
            let until = slowness.until.load(Ordering::Relaxed);
            slowness.is_still(until, now)
        };
        slowness.note(Duration::from_secs(10));
        // Those that were under way at that time may take as long.
        assert!(is_still(Duration::from_secs(40)) && slowness.is_any());
        slowness.note(LONG);
        assert!(is_still(Duration::from_secs(40)));
        assert!(!is_still(Duration::from_secs(100)) && !slowness.is_any());
        slowness.note(Duration::MAX);
        assert!(slowness.is_any());
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
