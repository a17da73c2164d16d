//! The delay before the next worker.

use std::time::Duration;

/// A worker that served for this long was stable.
const WELL: Duration = Duration::from_millis(250);
const FIRST: Duration = Duration::from_millis(10);
const MOST: Duration = Duration::from_secs(5);

/// Counts unstable workers in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    bad: u32,
}

impl Backoff {
    /// Records the exit of a worker after this time of service; returns the delay.
    pub(crate) fn ended(&mut self, served: Duration) -> Duration {
        if served >= WELL {
            self.bad = 0;
            return Duration::ZERO;
        }
        let doublings = self.bad.min(16);
        self.bad = self.bad.saturating_add(1);
        match doublings {
            0 => Duration::ZERO,
            n => FIRST.saturating_mul(1 << (n - 1)).min(MOST),
        }
    }

    /// Records the time of service. True if a worker is stable again after unstable ones.
    pub(crate) fn serves(&mut self, served: Duration) -> bool {
        served >= WELL && std::mem::take(&mut self.bad) > 1
    }

    /// Returns the number of unstable workers in a row.
    pub(crate) fn bad(&self) -> u32 {
        self.bad
    }

    /// Returns the time of service after which a worker is stable, if there were unstable ones.
    pub(crate) fn well(&self) -> Option<Duration> {
        (self.bad > 0).then_some(WELL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_replaced_at_once_and_the_others_ever_later() {
        let mut backoff = Backoff::default();
        let short = WELL / 2;
        let waits: Vec<u128> = (0..12).map(|_| backoff.ended(short).as_millis()).collect();
        let expected = [0, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000];
        assert_eq!(waits, expected);
        for _ in 0..100_000 {
            assert!(backoff.ended(short) <= MOST);
        }
        assert!(!backoff.serves(short));
        assert!(backoff.serves(WELL));
        assert!(!backoff.serves(WELL));
        assert_eq!(backoff.ended(short), Duration::ZERO);
        assert_eq!(backoff.ended(short), FIRST);
        assert_eq!(backoff.ended(WELL), Duration::ZERO);
    }
}
