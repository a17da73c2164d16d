//! What a cgroup was charged with at the last reading, for readings that follow at once.
//!
//! Formatting `memory.stat` is the dearest thing that the kernel does for a view, and its numbers are
//! behind anyway: the kernel gathers them from all CPUs every 2 s, or when many have changed. So who
//! reads again and again is given the use and the statistics of one instant for some ms. Limits are
//! never kept.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{MemoryStat, MemoryWanted, SwapFigures};

/// What a cgroup is charged with, bytes, of one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charged {
    pub(super) usage: u64,
    pub(super) stat: MemoryStat,
    /// With the limit of that instant.
    pub(super) swap: SwapFigures,
}

/// The last reading of one cgroup, which may be above several containers. Who comes while another
/// looks at it reads anew.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Option<(Instant, MemoryWanted, Charged)>>);

impl Recent {
    /// The last reading, if it is not older than `age` and has all that is wanted; zero: it never is.
    pub(super) fn get(&self, wanted: MemoryWanted, age: Duration) -> Option<Charged> {
        if age.is_zero() {
            return None;
        }
        let (read, had, charged) = (*self.0.try_lock()?)?;
        (had.covers(wanted) && read.elapsed() < age).then_some(charged)
    }

    /// Keeps a reading that began at `read`.
    pub(super) fn set(&self, read: Instant, wanted: MemoryWanted, charged: Charged) {
        if let Some(mut last) = self.0.try_lock() {
            *last = Some((read, wanted, charged));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_for_its_age_and_for_what_it_has() {
        let recent = Recent::default();
        let charged = Charged {
            usage: 7,
            stat: MemoryStat::default(),
            swap: SwapFigures::NotAccounted,
        };
        let age = Duration::from_secs(3600);
        assert!(recent.get(MemoryWanted::USAGE, age).is_none());
        recent.set(Instant::now(), MemoryWanted::USAGE, charged);
        assert!(recent.get(MemoryWanted::USAGE, age).is_some());
        assert!(recent.get(MemoryWanted::LIMIT, age).is_some());
        assert!(recent.get(MemoryWanted::ALL, age).is_none());
        assert!(recent.get(MemoryWanted::USAGE, Duration::ZERO).is_none());
        let long_ago = Instant::now().checked_sub(Duration::from_secs(7200));
        if let Some(long_ago) = long_ago {
            recent.set(long_ago, MemoryWanted::ALL, charged);
            assert!(recent.get(MemoryWanted::USAGE, age).is_none());
        }
    }
}
