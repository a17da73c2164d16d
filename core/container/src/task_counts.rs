//! Counts the running and blocked threads of a container, and finds its newest one.
//!
//! Only the container's own threads are read. If the kernel reports all threads of a v1 cgroup at
//! once, that is used; otherwise each thread's state is read. A large container is counted less
//! often: a count is served for 100 times the CPU time that it took, at least 200 ms. Time spent
//! waiting for a CPU says nothing about the next count, so it is not included.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vistafs_cgroup::{Tasks, ThreadStates};
use vistafs_host::{Clock, Host, HostError, Process};
use vistafs_text::pid_stat;

use crate::thread_time;

/// Numbers of threads by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Running or waiting for a CPU (state R), except the caller.
    pub running: u64,
    /// In uninterruptible sleep (state D).
    pub blocked: u64,
    /// All threads.
    pub total: u64,
    /// The ID of the newest thread in its own pid namespace; 0 if there is none.
    pub last_pid: u32,
}

const FRESH_AT_LEAST: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
struct Counted {
    counts: TaskCounts,
    valid_until: Instant,
}

/// The last count of a container.
#[derive(Debug, Default)]
pub(crate) struct CountedTasks {
    last: Mutex<Option<Counted>>,
    // Held while one reader counts; other readers of the container get the last count.
    counting: Mutex<()>,
    clock: Clock,
}

impl CountedTasks {
    #[cfg(test)]
    pub(crate) fn with_clock(clock: Clock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// Returns the last count while it is valid; otherwise calls `count`.
    pub(crate) fn get(
        &self,
        count: impl FnOnce() -> Result<TaskCounts, HostError>,
    ) -> Result<TaskCounts, HostError> {
        let started = self.clock.now();
        let fresh = || {
            let fresh = self.last.lock().filter(|last| started < last.valid_until);
            fresh.map(|last| last.counts)
        };
        if let Some(counts) = fresh() {
            return Ok(counts);
        }
        let _counting = match self.counting.try_lock() {
            Some(alone) => alone,
            None => match self.last() {
                Some(counts) => return Ok(counts),
                None => self.counting.lock(),
            },
        };
        if let Some(counts) = fresh() {
            return Ok(counts);
        }
        self.refresh(count)
    }

    /// Returns whether [`get`](Self::get) would serve the last count.
    pub(crate) fn is_fresh(&self) -> bool {
        let last = self.last.lock();
        last.is_some_and(|last| self.clock.now() < last.valid_until)
    }

    /// Returns the last count, however old.
    pub(crate) fn last(&self) -> Option<TaskCounts> {
        self.last.lock().map(|last| last.counts)
    }

    /// Counts now.
    pub(crate) fn refresh(
        &self,
        count: impl FnOnce() -> Result<TaskCounts, HostError>,
    ) -> Result<TaskCounts, HostError> {
        let (started, before) = (self.clock.now(), thread_time::used());
        // After an error the old count must not be served.
        let counts = count().inspect_err(|_| *self.last.lock() = None)?;
        let took = thread_time::used().saturating_sub(before);
        let fresh = took.saturating_mul(100).max(FRESH_AT_LEAST);
        *self.last.lock() = Some(Counted {
            counts,
            valid_until: started + fresh,
        });
        Ok(counts)
    }
}

/// Counts the threads of some cgroups. `asker` is a thread that waits for this count.
pub(crate) fn count(
    host: &Host,
    tasks: &Tasks,
    asker: Option<u32>,
) -> Result<TaskCounts, HostError> {
    let mut states = ThreadStates::default();
    // Without the last PID, the numbers are assumed not to have wrapped.
    let mut newest = Newest::new(host.last_pid().unwrap_or(u32::MAX));
    let mut text = Vec::new();
    tasks.threads(&mut |tids, told| {
        if let Some(told) = told {
            states.running = states.running.saturating_add(told.running);
            states.blocked = states.blocked.saturating_add(told.blocked);
            states.others = states.others.saturating_add(told.others);
            // If the caller still runs now, it was counted as running.
            if let Some(asker) = asker.filter(|asker| tids.contains(asker))
                && told.running > 0
                && let Ok(stat) = host.thread_stat(asker, &mut text)
                && pid_stat::parse(stat).is_ok_and(|stat| stat.state == b'R')
            {
                states.running -= 1;
                states.others += 1;
            }
            tids.iter().for_each(|tid| newest.consider(*tid));
            return;
        }
        for tid in tids {
            // A thread that ends meanwhile does not count.
            let Ok(stat) = host.thread_stat(*tid, &mut text) else {
                continue;
            };
            let Ok(stat) = pid_stat::parse(stat) else {
                continue;
            };
            newest.consider(*tid);
            match stat.state {
                // It waits for this reply and is about to sleep.
                b'R' if asker == Some(*tid) => states.others += 1,
                b'R' => states.running += 1,
                b'D' => states.blocked += 1,
                _ => states.others += 1,
            }
        }
    })?;
    Ok(TaskCounts {
        running: states.running,
        blocked: states.blocked,
        total: states.threads(),
        last_pid: newest.innermost_pid(host).unwrap_or(0),
    })
}

/// The newest threads; more than one, as the newest may end before it is read.
#[derive(Debug)]
struct Newest {
    // The last PID that the kernel assigned. PIDs are assigned in order and wrap, so larger ones
    // are from the previous round.
    last_given: u32,
    // In order of creation; 0 marks an empty slot.
    candidates: [u64; 4],
}

impl Newest {
    const THIS_ROUND: u64 = 1 << 32;

    fn new(last_given: u32) -> Self {
        Self {
            last_given,
            candidates: [0; 4],
        }
    }

    fn consider(&mut self, tid: u32) {
        let round = if tid <= self.last_given {
            Self::THIS_ROUND
        } else {
            0
        };
        let place = round | u64::from(tid);
        if place > self.candidates[0] {
            self.candidates[0] = place;
            self.candidates.sort_unstable();
        }
    }

    fn tids(&self) -> impl Iterator<Item = u32> {
        let newest_first = self.candidates.iter().rev();
        newest_first
            .filter(|place| **place > 0)
            .filter_map(|place| u32::try_from(place % Self::THIS_ROUND).ok())
    }

    fn innermost_pid(&self, host: &Host) -> Option<u32> {
        self.tids()
            .find_map(|tid| Process::open(host, tid).ok()?.innermost_pid().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_the_last_of_this_round() {
        let newest = |last_given: u32, tids: &[u32]| {
            let mut newest = Newest::new(last_given);
            tids.iter().for_each(|tid| newest.consider(*tid));
            newest.tids().collect::<Vec<_>>()
        };
        assert_eq!(newest(500, &[1, 400, 300, 20, 310]), [400, 310, 300, 20]);
        assert_eq!(newest(350, &[1, 400, 300]), [300, 1, 400]);
        assert_eq!(newest(10, &[400, 32_000, 300]), [32_000, 400, 300]);
        assert_eq!(newest(u32::MAX, &[7, u32::MAX]), [u32::MAX, 7]);
        assert_eq!(newest(7, &[7]), [7]);
        assert_eq!(newest(7, &[]), []);
    }

    #[test]
    fn a_count_is_served_until_it_is_old() {
        let clock = Clock::manual();
        let counted = CountedTasks::with_clock(clock.clone());
        assert_eq!(counted.last(), None);
        let of = |total| TaskCounts {
            total,
            ..TaskCounts::default()
        };
        let get = |total| counted.get(|| Ok(of(total))).unwrap().total;
        assert!(!counted.is_fresh());
        assert_eq!((get(1), get(2)), (1, 1));
        clock.advance(FRESH_AT_LEAST - Duration::from_nanos(1));
        assert!(counted.is_fresh());
        assert_eq!(get(3), 1);
        // Counting takes some CPU time, for 100 times of which the count is valid.
        clock.advance(Duration::from_secs(60));
        assert!(!counted.is_fresh());
        assert_eq!(get(4), 4);
        assert_eq!(counted.refresh(|| Ok(of(5))).unwrap().total, 5);
        assert_eq!((get(6), counted.last()), (5, Some(of(5))));
    }

    #[test]
    fn a_count_that_waited_for_a_cpu_is_not_served_longer() {
        let clock = Clock::manual();
        let counted = CountedTasks::with_clock(clock.clone());
        let waits = || {
            clock.advance(Duration::from_secs(3600));
            Ok(TaskCounts::default())
        };
        counted.refresh(waits).unwrap();
        assert!(!counted.is_fresh());
    }
}
