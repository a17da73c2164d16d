//! The monotonic clock, which a test can replace by one that it moves itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A source of instants: CLOCK_MONOTONIC by default.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Manual>>);

#[derive(Debug)]
struct Manual {
    start: Instant,
    // Nanoseconds since the start.
    passed: AtomicU64,
}

impl Clock {
    /// Returns a clock that stands still except for [`advance`](Self::advance), for tests. Clones
    /// show the same time.
    #[must_use]
    pub fn manual() -> Self {
        Self(Some(Arc::new(Manual {
            start: Instant::now(),
            passed: AtomicU64::new(0),
        })))
    }

    /// Returns the current instant.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(manual) => {
                manual.start + Duration::from_nanos(manual.passed.load(Ordering::Relaxed))
            }
        }
    }

    /// Returns the time since an earlier instant; zero for a later one.
    #[must_use]
    pub fn since(&self, earlier: Instant) -> Duration {
        self.now().saturating_duration_since(earlier)
    }

    /// Moves a manual clock; has no effect on the system's.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            manual.passed.fetch_add(by, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_it_is_told_to() {
        let clock = Clock::manual();
        let (same, start) = (clock.clone(), clock.now());
        assert_eq!(clock.now(), start);
        same.advance(Duration::from_secs(3600));
        assert_eq!(clock.since(start), Duration::from_secs(3600));
        assert_eq!(
            clock.since(clock.now() + Duration::from_secs(1)),
            Duration::ZERO
        );
        let system = Clock::default();
        system.advance(Duration::from_secs(3600));
        assert!(system.now() < start + Duration::from_secs(1800));
    }
}
