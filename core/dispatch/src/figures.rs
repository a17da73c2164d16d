//! Counts requests, errors and latencies by view and operation.
//!
//! Counting does not allocate or lock. Each serving thread uses a shard that it shares with few
//! other threads, to avoid cache-line contention; a scrape sums the shards.
//!
//! A request that panics counts as failed.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A counted operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Open,
    Read,
    Write,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Open, Self::Read, Self::Write];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Number of latency buckets. The first counts requests up to 1 µs, each following one up to twice
/// as long, the last all others.
pub(crate) const BUCKETS: usize = 22;

/// Returns the upper bound of a bucket. `None`: the last one.
pub(crate) fn longest(bucket: usize) -> Option<Duration> {
    (bucket + 1 < BUCKETS).then(|| Duration::from_micros(1 << bucket))
}

fn bucket_of(took: Duration) -> usize {
    let micros = took.as_nanos().div_ceil(1000);
    let doublings = micros
        .saturating_sub(1)
        .checked_ilog2()
        .map_or(0, |log| log + 1);
    usize::try_from(doublings).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// Counters of one operation of one view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Requests per bucket, not cumulative.
    pub(crate) buckets: [u64; BUCKETS],
    pub(crate) nanos: u64,
    pub(crate) errors: u64,
}

impl Counts {
    /// Returns the number of requests.
    pub(crate) fn requests(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[derive(Debug, Default)]
struct Counters {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
    errors: AtomicU64,
}

/// Aligned so that no two shards share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    // By view, then by operation.
    counters: Vec<[Counters; Operation::ALL.len()]>,
    begun: AtomicU64,
    ended: AtomicU64,
}

const SHARDS: usize = 8;

thread_local! {
    static OWN_SHARD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Counters of all views.
#[derive(Debug)]
pub(crate) struct Figures {
    shards: [Shard; SHARDS],
    next_shard: AtomicUsize,
}

impl Figures {
    pub(crate) fn new(views: usize) -> Self {
        let shard = || Shard {
            counters: (0..views).map(|_| Default::default()).collect(),
            ..Shard::default()
        };
        Self {
            shards: std::array::from_fn(|_| shard()),
            next_shard: AtomicUsize::new(0),
        }
    }

    /// Begins a request, which ends when the returned value is dropped.
    pub(crate) fn begin(&self, operation: Operation) -> Counted<'_> {
        let shard = &self.shards[self.own_shard()];
        shard.begun.fetch_add(1, Ordering::Relaxed);
        Counted {
            shard,
            operation,
            began: Instant::now(),
            view: None,
            failed: true,
            took: None,
        }
    }

    fn own_shard(&self) -> usize {
        OWN_SHARD.get().unwrap_or_else(|| {
            let own = self.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
            OWN_SHARD.set(Some(own));
            own
        })
    }

    /// Returns the counters of one operation of a view.
    pub(crate) fn of(&self, view: usize, operation: Operation) -> Counts {
        let mut sum = Counts::default();
        for shard in &self.shards {
            let Some(counters) = shard.counters.get(view) else {
                continue;
            };
            let counters = &counters[operation as usize];
            let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            for (sum, bucket) in sum.buckets.iter_mut().zip(&counters.buckets) {
                *sum += load(bucket);
            }
            sum.nanos += load(&counters.nanos);
            sum.errors += load(&counters.errors);
        }
        sum
    }

    /// Returns the approximate number of unfinished requests: they continue during the count.
    pub(crate) fn in_flight(&self) -> u64 {
        let sum = |of: fn(&Shard) -> &AtomicU64| -> u64 {
            let shards = self.shards.iter();
            shards.map(|shard| of(shard).load(Ordering::Relaxed)).sum()
        };
        // `ended` first, so that no unfinished request is missed.
        let ended = sum(|shard| &shard.ended);
        sum(|shard| &shard.begun).saturating_sub(ended)
    }
}

/// An unfinished request.
#[derive(Debug)]
pub(crate) struct Counted<'f> {
    shard: &'f Shard,
    pub(crate) operation: Operation,
    began: Instant,
    /// Set as soon as it is known; a request without a view is not counted.
    pub(crate) view: Option<usize>,
    failed: bool,
    took: Option<Duration>,
}

impl Counted<'_> {
    /// Returns the duration; call it when the request is done.
    pub(crate) fn took(&mut self) -> Duration {
        *self.took.get_or_insert_with(|| self.began.elapsed())
    }

    /// Records the outcome.
    pub(crate) fn end<T, E>(mut self, outcome: Result<T, E>) -> Result<T, E> {
        self.failed = outcome.is_err();
        outcome
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.shard.ended.fetch_add(1, Ordering::Relaxed);
        let took = self.took();
        let Some(counters) = self.view.and_then(|view| self.shard.counters.get(view)) else {
            return;
        };
        let counters = &counters[self.operation as usize];
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        counters.buckets[bucket_of(took)].fetch_add(1, Ordering::Relaxed);
        counters.nanos.fetch_add(nanos, Ordering::Relaxed);
        if self.failed {
            counters.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_double() {
        let micros = Duration::from_micros;
        assert_eq!(bucket_of(Duration::ZERO), 0);
        assert_eq!(bucket_of(micros(1)), 0);
        assert_eq!(bucket_of(Duration::from_nanos(1001)), 1);
        assert_eq!(bucket_of(micros(4)), 2);
        assert_eq!(bucket_of(micros(5)), 3);
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
        for bucket in 0..BUCKETS - 1 {
            let longest = longest(bucket).unwrap();
            assert_eq!(bucket_of(longest), bucket);
            assert_eq!(bucket_of(longest + Duration::from_nanos(1)), bucket + 1);
        }
        assert_eq!(longest(BUCKETS - 1), None);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let figures = Figures::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| {
                    for number in 0..1000 {
                        let mut counted = figures.begin(Operation::Read);
                        counted.view = Some(1);
                        let failed = if number % 10 == 0 { Err(()) } else { Ok(()) };
                        let _ = counted.end(failed);
                    }
                });
            }
        });
        let reads = figures.of(1, Operation::Read);
        assert_eq!((reads.requests(), reads.errors), (16_000, 1600));
        assert_eq!(figures.of(0, Operation::Read), Counts::default());
        assert_eq!(figures.of(1, Operation::Open), Counts::default());
        assert_eq!(figures.of(9, Operation::Open), Counts::default());
        let open = figures.begin(Operation::Open);
        assert_eq!(figures.in_flight(), 1);
        drop(open);
        assert_eq!(figures.in_flight(), 0);
    }

    #[test]
    fn a_panic_is_a_failure() {
        let figures = Figures::new(1);
        let outcome = std::panic::catch_unwind(|| {
            let mut counted = figures.begin(Operation::Open);
            counted.view = Some(0);
            panic!("on purpose");
        });
        assert!(outcome.is_err());
        assert_eq!(figures.of(0, Operation::Open).errors, 1);
    }
}
