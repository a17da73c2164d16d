//! Whose node the name of a view stands for.
//!
//! When a look-up finds another node than the one before, the kernel drops the name, and what was
//! found cannot be bind-mounted any more (mount(2): ENOENT). So whoever has just found a node has
//! time to do so: a name changes hands only when nobody has looked it up for a while. Who opens a node
//! of another is served as by the common one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::number::OwnerHash;

/// How long a name stands for what was found last.
const QUIET: Duration = Duration::from_secs(1);
/// Times are counted in this. It takes 37 hours until they begin anew: who then comes at just the wrong
/// second waits for one more.
const TICK: Duration = Duration::from_millis(8);
const TIME_BITS: u32 = 64 - OwnerHash::BITS;
const TIME: u64 = (1 << TIME_BITS) - 1;

/// One for each view.
#[derive(Debug)]
pub(crate) struct Names {
    began: Instant,
    // The owner, 0 for the common node, and the time when it was looked up last.
    names: Box<[AtomicU64]>,
}

impl Names {
    /// For so many views; nobody has looked them up.
    pub(crate) fn new(views: usize) -> Self {
        Self {
            began: Instant::now(),
            names: std::iter::repeat_with(AtomicU64::default)
                .take(views)
                .collect(),
        }
    }

    /// Whose node a view's name stands for now: that of the one who looks, if nobody has looked it up
    /// for a while. `None`, for both: the common one.
    pub(crate) fn turn(&self, view: usize, wanted: Option<OwnerHash>) -> Option<OwnerHash> {
        self.turn_at(self.began.elapsed(), view, wanted)
    }

    fn turn_at(&self, now: Duration, view: usize, wanted: Option<OwnerHash>) -> Option<OwnerHash> {
        let wanted = wanted.map_or(0, OwnerHash::get);
        // The first look-up must not find that nobody has looked just now.
        let time = ticks(now) + ticks(QUIET);
        let next = |name: u64| {
            let is_quiet = time.wrapping_sub(name) & TIME >= ticks(QUIET);
            let owner = if is_quiet { wanted } else { name >> TIME_BITS };
            owner << TIME_BITS | time & TIME
        };
        let name = self.names.get(view)?;
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        let before = name.fetch_update(set, fetch, |name| Some(next(name)));
        let owner = next(before.unwrap_or_default()) >> TIME_BITS;
        (owner != 0).then(|| OwnerHash::new(owner))
    }
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_changes_hands_when_nobody_has_looked_for_a_while() {
        let names = Names::new(2);
        let [one, two] = [7, u64::MAX].map(|owner| Some(OwnerHash::new(owner)));
        let turn = |ms, wanted| names.turn_at(Duration::from_millis(ms), 1, wanted);
        assert_eq!(turn(0, one), one);
        assert_eq!(turn(900, two), one);
        assert_eq!(turn(1800, None), one, "looked up at 900");
        assert_eq!(turn(2900, two), two);
        assert_eq!(turn(3000, one), two);
        assert_eq!(turn(4100, None), None);
        assert_eq!(turn(4200, one), None);
        assert_eq!(names.turn_at(Duration::ZERO, 0, two), two, "another name");
        assert_eq!(names.turn_at(Duration::ZERO, 2, two), None, "no such view");
    }

    #[test]
    fn times_begin_anew_after_days() {
        let names = Names::new(1);
        let [one, two] = [1, 2].map(|owner| Some(OwnerHash::new(owner)));
        let round = TICK * (1 << TIME_BITS);
        let turn = |time, wanted| names.turn_at(time, 0, wanted);
        assert_eq!(turn(round - QUIET - TICK, one), one);
        assert_eq!(turn(round - QUIET, two), one);
        assert_eq!(turn(round + TICK, two), two);
        assert_eq!(turn(3 * round, one), one);
    }
}
