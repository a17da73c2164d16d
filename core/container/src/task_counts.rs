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
}

impl CountedTasks {
    pub(crate) fn get(&self, host: &Host, tasks: &Tasks) -> Result<TaskCounts, HostError> {
        let started = Instant::now();
        if let Some(counted) = &*self.last.lock()
            && started < counted.valid_until
        {
            return Ok(counted.counts);
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
