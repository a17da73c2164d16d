//! Limits a container's share of the serving threads, so that a busy container delays only itself.
//!
//! The kernel hands out requests in order, and a serving thread handles one at a time. So 1,000
//! readers in one container would keep all serving threads busy, and every other container would
//! wait behind them. Above its share, a container's requests run on its offload thread
//! (`offload.rs`) one by one, and serving threads only queue them.
//!
//! A long request counts [`WEIGHT`] times: even a few of them delay other containers. So the long
//! requests of a container take at most a fiftieth of its share.
//!
//! The state is one number: the time at which the share would have paid for all requests. Each
//! request moves it forward by its cost. The container is above its share while that time is more
//! than [`BURST`] ahead of the clock. This is the generic cell rate algorithm (ITU-T I.371).

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Minimum duration of a long request. Queueing costs some tens of µs, little beside this.
const LONG: Duration = Duration::from_micros(200);
/// Factor by which a long request counts.
const WEIGHT: u64 = 50;
/// How far ahead of its share a container may be, in ns: one request of 4 ms, as it happens to a
/// preempted thread, does not matter.
const BURST: u64 = 200_000_000;
/// Cap on how far ahead it counts as, in ns. A container is not delayed for longer.
const MOST: u64 = 30_000_000_000;
/// How long a new container counts as above its share, in ns: until the cost of its first requests
/// is known.
const UNKNOWN: u64 = 10_000_000;

/// The share of one container: half of the serving threads (one per CPU), at least one.
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
    // ns since `ORIGIN`. Two requests that end at once may count as one, which does not matter.
    paid_at: AtomicU64,
    // Whether `paid_at` has to be checked. If not, no clock is read.
    is_ahead: AtomicBool,
    // ns that its requests have taken.
    served: AtomicU64,
}

impl Pace {
    /// Returns the pace of a new container.
    pub(crate) fn unknown() -> Self {
        Self {
            paid_at: AtomicU64::new(at(Instant::now()) + BURST + UNKNOWN),
            is_ahead: AtomicBool::new(true),
            served: AtomicU64::new(0),
        }
    }

    /// Returns whether its next request must be queued behind its own ones.
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

    /// Charges a request that took `took` and ended at `now`.
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

    /// Returns the total duration of its requests.
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
        // Also for a very long request.
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
