//! How many threads of a container run or wait for a disk.
//!
//! Only the container's own threads are looked at. The kernel keeps no such count for a v2 cgroup,
//! so each thread's state is read; a container with many threads is therefore counted less often
//! (the last count is served for 100 times as long as it took, at least 200 ms).

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vistafs_cgroup::Tasks;
use vistafs_host::{Host, HostError};
use vistafs_text::pid_stat;

/// Threads by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Running or waiting for a CPU (state R).
    pub running: u64,
    /// In uninterruptible sleep (state D).
    pub blocked: u64,
    /// All threads.
    pub total: u64,
}

const FRESH_AT_LEAST: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Counted {
    counts: TaskCounts,
    valid_until: Instant,
}

/// The last count.
#[derive(Debug, Default)]
pub(crate) struct CountedTasks {
    last: Mutex<Option<Counted>>,
    // Held while one reader counts; the others of the container are served the last count.
    counting: Mutex<()>,
}

impl CountedTasks {
    pub(crate) fn get(&self, host: &Host, tasks: &Tasks) -> Result<TaskCounts, HostError> {
        let started = Instant::now();
        let last = |even_if_old: bool| {
            let last = self.last.lock();
            let usable = last
                .as_ref()
                .filter(|c| even_if_old || started < c.valid_until);
            usable.map(|counted| counted.counts)
        };
        if let Some(counts) = last(false) {
            return Ok(counts);
        }
        let _counting = match self.counting.try_lock() {
            Some(alone) => alone,
            None => match last(true) {
                Some(counts) => return Ok(counts),
                None => self.counting.lock(),
            },
        };
        if let Some(counts) = last(false) {
            return Ok(counts);
        }
        let counts = count(host, tasks)?;
        let fresh = started.elapsed().saturating_mul(100).max(FRESH_AT_LEAST);
        *self.last.lock() = Some(Counted {
            counts,
            valid_until: started + fresh,
        });
        Ok(counts)
    }
}

fn count(host: &Host, tasks: &Tasks) -> Result<TaskCounts, HostError> {
    let mut counts = TaskCounts::default();
    let mut text = Vec::new();
    tasks.threads(&mut |tid| {
        // A thread that ends meanwhile does not count.
        let Ok(state) = host.task_stat(tid, &mut text) else {
            return;
        };
        let Ok(stat) = pid_stat::parse(state) else {
            return;
        };
        counts.total += 1;
        match stat.state {
            b'R' => counts.running += 1,
            b'D' => counts.blocked += 1,
            _ => {}
        }
    })?;
    Ok(counts)
}
