//! How much of the serving threads a container takes, so that one that takes too much waits for itself.
//!
//! The kernel hands out requests in the order in which they were made, and a serving thread does nothing else
//! meanwhile. So 1,000 readers in one container would keep all serving threads busy, and every other
//! container would wait behind all of them. A container therefore has a share of the serving threads.
//! While it is above its share, its requests run on its offload thread (`offload.rs`), one after
//! the other, and serving threads only queue them.
//!
//! Requests that take long count [`WEIGHT`] times: they delay others even if there are few of them. So the long
//! requests of a container take at most a fiftieth of its share.
//!
//! The whole state is one number, the time at which the container's share would have paid for all its
//! requests. Each request moves it forward by its cost; the container is above its share while that time
//! is more than [`BURST`] ahead of the clock. That is the generic cell rate algorithm (ITU-T I.371).

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A request that takes this long is long. To queue one costs some ten µs, little beside this.
const LONG: Duration = Duration::from_micros(200);
/// What a long request counts for, in times of what it took.
const WEIGHT: u64 = 50;
/// How far ahead of its share a container may be: one request of 4 ms, as it happens to a thread that is taken
/// off its CPU, is no reason.
const BURST: u64 = 200_000_000;
/// How far ahead it is taken to be at most. A container is not punished for longer than this.
const MOST: u64 = 30_000_000_000;
/// For how long a new container is taken to be above its share: until its first requests have shown
/// what they take.
const UNKNOWN: u64 = 10_000_000;

/// The share of one container: half of the serving threads, which are as many as the CPUs, at least one.
static SHARE: LazyLock<u64> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    (threads / 2).max(1)
});

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn at(instant: Instant) -> u64 {
    nanos(instant.saturating_duration_since(*ORIGIN))
}

/// The pace of one container.
#[derive(Debug, Default)]
pub struct Pace {
    // ns since `ORIGIN`. Two requests that end at once may count as one: nothing depends on each.
    paid_at: AtomicU64,
    // Whether `paid_at` has to be looked at: while it has not, no clock is read.
    is_ahead: AtomicBool,
    // ns that its requests have taken.
    served: AtomicU64,
}

impl Pace {
    /// The pace of a container of which nothing is known.
    pub(crate) fn unknown() -> Self {
        Self {
            paid_at: AtomicU64::new(at(Instant::now()) + BURST + UNKNOWN),
            is_ahead: AtomicBool::new(true),
            served: AtomicU64::new(0),
        }
    }

    /// Whether its next request must wait for the container's own ones.
    #[must_use]
    pub fn is_above_share(&self) -> bool {
        self.is_ahead.load(Ordering::Relaxed) && self.is_above_share_at(at(Instant::now()))
    }

    fn is_above_share_at(&self, now: u64) -> bool {
        let is_above = self.paid_at.load(Ordering::Relaxed) > now.saturating_add(BURST);
        if !is_above {
            self.is_ahead.store(false, Ordering::Relaxed);
        }
        is_above
    }

    /// Counts a request that took `took` until `now`.
    pub fn charge(&self, took: Duration, now: Instant) {
        self.charge_at(took, at(now));
    }

    fn charge_at(&self, took: Duration, now: u64) {
        let took_ns = nanos(took);
        self.served.fetch_add(took_ns, Ordering::Relaxed);
        let weight = if took >= LONG { WEIGHT } else { 1 };
        let cost = took_ns.saturating_mul(weight) / *SHARE;
        let paid_at = self.paid_at.load(Ordering::Relaxed).max(now);
        let paid_at = paid_at.saturating_add(cost).min(now.saturating_add(MOST));
        self.paid_at.store(paid_at, Ordering::Relaxed);
        if paid_at > now.saturating_add(BURST) {
            self.is_ahead.store(true, Ordering::Relaxed);
        }
    }

    /// Returns the time that its requests have taken.
    #[must_use]
    pub fn served(&self) -> Duration {
        Duration::from_nanos(self.served.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_micros(20);
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn one_reader_of_fast_files_never_waits() {
        let (pace, mut now) = (Pace::default(), SECOND);
        // All of the time is spent in requests.
        for _ in 0..100_000 {
            now += nanos(FAST);
            pace.charge_at(FAST, now);
            assert!(!pace.is_ahead.load(Ordering::Relaxed));
        }
        assert_eq!(pace.served(), 100_000 * FAST);
    }

    #[test]
    fn many_readers_are_above_the_share_until_they_stop() {
        let (pace, mut now) = (Pace::default(), SECOND);
        let mut rounds = 0;
        while !pace.is_ahead.load(Ordering::Relaxed) {
            now += nanos(FAST);
            // Three more threads than the share.
            (0..*SHARE + 3).for_each(|_| pace.charge_at(FAST, now));
            rounds += 1;
            assert!(rounds < 100_000);
        }
        assert!(pace.is_above_share_at(now));
        assert!(!pace.is_above_share_at(now + BURST));
        assert!(!pace.is_ahead.load(Ordering::Relaxed));
    }

    #[test]
    fn one_long_request_waits_for_fifty_times_what_it_took() {
        let (pace, now) = (Pace::default(), SECOND);
        pace.charge_at(Duration::from_millis(2), now);
        assert!(!pace.is_above_share_at(now), "it may happen");
        let long = Duration::from_millis(100);
        pace.charge_at(long, now);
        let waits = nanos(long) * WEIGHT / *SHARE;
        assert!(pace.is_above_share_at(now + waits - BURST));
        assert!(!pace.is_above_share_at(now + waits));
        // However long it was.
        pace.charge_at(Duration::from_secs(1 << 40), now + waits);
        assert!(!pace.is_above_share_at(now + waits + MOST));
    }

    #[test]
    fn a_container_of_which_nothing_is_known_waits_for_itself() {
        let pace = Pace::unknown();
        assert!(pace.is_above_share());
        let soon = at(Instant::now()) + UNKNOWN;
        assert!(!pace.is_above_share_at(soon));
    }
}
