//! Caches the charges of a cgroup for readings that follow within some ms.
//!
//! `memory.stat` is the most expensive file that a view reads, and its numbers lag anyway: the
//! kernel aggregates them from all CPUs every 2 s, or when many have changed. So frequent readers
//! share the usage and statistics of one instant for some ms. Limits are never cached.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{MemoryStat, MemoryWanted, SwapFigures};

/// The charges of a cgroup at one instant, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charged {
    pub(super) usage: u64,
    pub(super) stat: MemoryStat,
    /// With the limit at that instant.
    pub(super) swap: SwapFigures,
}

/// The last reading of one cgroup, which may be an ancestor of several containers. While another
/// thread holds the lock, a reader reads the files again.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Option<(Instant, MemoryWanted, Charged)>>);

impl Recent {
    /// Returns the last reading, if it is no older than `age` and has all wanted figures. Zero:
    /// always `None`.
    pub(super) fn get(&self, wanted: MemoryWanted, age: Duration) -> Option<Charged> {
        if age.is_zero() {
            return None;
        }
        let (read, had, charged) = (*self.0.try_lock()?)?;
        (had.covers(wanted) && read.elapsed() < age).then_some(charged)
    }

    /// Stores a reading that began at `read`.
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
