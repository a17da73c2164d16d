//! The load of one container: the averaged number of its running or blocked threads.
//!
//! It is a [`Series`] in the container's states, so it follows a container to other cgroups. Each
//! sample is also persistent state. The time is an argument: samples are ticks of one clock for all
//! containers, and a series stores its last tick.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vistafs_host::Host;
use vistafs_text::loadavg::Averages;

use crate::kept::KeptRecord;
use crate::{Container, TaskCounts, words};

/// The record: tick, load, averages.
const RECORD: &str = "load 1";

/// The values of `proc/loadavg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Over 1, 5 and 15 minutes.
    pub averages: Averages,
    /// The last count.
    pub counts: TaskCounts,
}

/// An instant, and the last tick at or before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) tick: u64,
}

/// Parameters of the sampler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Time between two ticks.
    pub(crate) period: Duration,
    /// A container whose load was not read for this time is forgotten.
    pub(crate) idle: Duration,
}

/// The averages of a container, from its first request on.
#[derive(Debug, Default)]
pub(crate) struct Series {
    // Not held while threads are counted.
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    averages: Averages,
    /// The last tick that is in the averages.
    tick: u64,
    /// The last count.
    load: u64,
    /// The tick of the next count; the last count is used until then.
    due: u64,
    /// CPU time of the last count.
    cost: Duration,
    asked: Instant,
    container: Weak<Container>,
    /// On the sampler's list.
    is_sampled: bool,
    record: KeptRecord,
}

/// The result of a tick for one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampled {
    /// Stays on the list.
    Stays,
    /// Leaves the list: it is not read any more, or has ended.
    Leaves,
}

impl Series {
    /// Records a read; returns the averages if they are being sampled.
    pub(crate) fn ask(&self, container: &Arc<Container>, now: Now) -> Option<Averages> {
        let mut kept = self.kept.lock();
        let kept = kept.as_mut().filter(|kept| kept.is_sampled)?;
        kept.asked = now.instant;
        if kept.container.as_ptr() != Arc::as_ptr(container) {
            kept.container = Arc::downgrade(container);
        }
        Some(kept.averages)
    }

    /// Returns whether its averages are being sampled.
    pub(crate) fn is_sampled(&self) -> bool {
        self.kept
            .lock()
            .as_ref()
            .is_some_and(|kept| kept.is_sampled)
    }

    /// Enters the first count of a container that is not being sampled. The second value is true
    /// for one of several concurrent callers, which must have it sampled. `past`: initial averages
    /// if none are known.
    pub(crate) fn begin(
        &self,
        container: &Arc<Container>,
        counts: TaskCounts,
        past: Averages,
        (now, rules): (Now, Rules),
    ) -> (Averages, bool) {
        let mut slot = self.kept.lock();
        let load = load_of(counts);
        let recent = |tick: u64| {
            let gap = u32::try_from(now.tick.saturating_sub(tick)).unwrap_or(u32::MAX);
            rules.period.saturating_mul(gap) <= rules.idle
        };
        let record = container.keeper().record(RECORD);
        let before = match &*slot {
            Some(kept) if kept.is_sampled => return (kept.averages, false),
            // Between two cgroups.
            Some(kept) => Some((kept.tick, kept.averages)),
            // Between two processes.
            None => restored(&record).filter(|(tick, _)| *tick <= now.tick),
        };
        let averages = match before {
            Some((tick, mut averages)) if recent(tick) => {
                averages.add(now.tick.saturating_sub(tick), load);
                averages
            }
            _ => past,
        };
        let kept = slot.insert(Kept {
            averages,
            tick: now.tick,
            load,
            due: now.tick + 1,
            cost: Duration::ZERO,
            asked: now.instant,
            container: Arc::downgrade(container),
            is_sampled: true,
            record,
        });
        kept.save();
        (averages, true)
    }

    /// Marks the series as not sampled, because the thread could not start.
    pub(crate) fn is_left_alone(&self) {
        if let Some(kept) = self.kept.lock().as_mut() {
            kept.is_sampled = false;
        }
    }

    /// Counts if a count is due. `cost` returns the CPU time of the calling thread.
    pub(crate) fn sample(
        &self,
        host: &Host,
        now: Now,
        rules: Rules,
        cost: impl Fn() -> Duration,
    ) -> Sampled {
        let container = {
            let mut slot = self.kept.lock();
            let Some(kept) = slot.as_mut() else {
                return Sampled::Leaves;
            };
            if now.instant.saturating_duration_since(kept.asked) > rules.idle {
                *slot = None;
                return Sampled::Leaves;
            }
            if now.tick < kept.due {
                kept.add(now.tick, kept.load);
                kept.save();
                return Sampled::Stays;
            }
            let Some(container) = kept.container.upgrade() else {
                // The container has ended or moved; the next read finds it in its new cgroup.
                kept.is_sampled = false;
                return Sampled::Leaves;
            };
            container
        };
        let before = cost();
        let counts = container.task_counts_now(host);
        let cost = cost().saturating_sub(before);
        let mut slot = self.kept.lock();
        match (counts, slot.as_mut()) {
            (Ok(Some(counts)), Some(kept)) => {
                kept.load = load_of(counts);
                kept.add(now.tick, kept.load);
                kept.save();
                // The smaller of two costs: another process may have caused one high value.
                kept.due = now.tick + rules.ticks_between(cost.min(kept.cost));
                kept.cost = cost;
                Sampled::Stays
            }
            (counts, _) => {
                if let Err(error) = counts {
                    // The next read returns this error.
                    log::debug!(
                        "{} is not sampled any more: {error}",
                        container.path().display()
                    );
                }
                *slot = None;
                Sampled::Leaves
            }
        }
    }
}

impl Kept {
    /// Adds all ticks up to this one, as if each had counted `load`.
    fn add(&mut self, tick: u64, load: u64) {
        self.averages.add(tick.saturating_sub(self.tick), load);
        self.tick = tick.max(self.tick);
    }

    fn save(&self) {
        self.record.save(&mut Vec::new(), |out| {
            words::push(out, &[self.tick, self.load]);
            words::push(out, &self.averages.to_bits());
        });
    }
}

/// Returns the last tick that an earlier process sampled, and the averages then.
fn restored(record: &KeptRecord) -> Option<(u64, Averages)> {
    let mut bytes = Vec::new();
    if !record.load(&mut bytes) {
        return None;
    }
    let mut rest = &bytes[..];
    let [tick, _load] = words::take(&mut rest)?;
    Some((tick, Averages::from_bits(words::take(&mut rest)?)?))
}

impl Rules {
    /// Returns the ticks between two counts of this cost: each container may use 1 % of a CPU.
    fn ticks_between(self, cost: Duration) -> u64 {
        let ticks = cost
            .saturating_mul(100)
            .as_nanos()
            .div_ceil(self.period.as_nanos().max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX >> 1).max(1)
    }
}

/// Returns the averages that the kernel would have reached for a container of that age and used CPU
/// time. Without a CPU time, the container counts as if it had always had the current number of
/// threads.
pub(crate) fn past(age: Duration, used: Option<Duration>, counts: TaskCounts) -> Averages {
    let steady = || age.saturating_mul(u32::try_from(load_of(counts)).unwrap_or(u32::MAX));
    Averages::of_past(age, used.unwrap_or_else(steady))
}

fn load_of(counts: TaskCounts) -> u64 {
    counts.running.saturating_add(counts.blocked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_much_is_counted_less_often() {
        let rules = Rules {
            period: Duration::from_secs(5),
            idle: Duration::ZERO,
        };
        let ticks = |ms| rules.ticks_between(Duration::from_millis(ms));
        assert_eq!([0, 1, 50, 51, 500, 5000].map(ticks), [1, 1, 1, 2, 10, 100]);
        assert!(rules.ticks_between(Duration::MAX) > 1);
    }
}
