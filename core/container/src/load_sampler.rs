//! The thread that samples the load of containers that read it.
//!
//! The first read of a container's load counts its threads and adds the container to the list. From
//! then on one thread counts every five seconds, until the load was not read for a while or the
//! container has ended. The thread starts with the first entry of the list and exits with the last.
//!
//! It looks only at containers on the list, never at all processes of the host. Each container may
//! use 1 % of a CPU, all together 10 %. If a count at every tick would cost more, the last count is
//! used for the ticks between; late ticks are made up for. The clock stops while the machine is
//! suspended, as for the kernel's load.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::ClockId;
use vistafs_host::{Clock, Host, HostError};

use crate::load::{self, Load, Now, Rules, Sampled, Series};
use crate::{Container, thread_time};

/// Time between two samples. Slightly above five seconds, as in the kernel, so that a job that runs
/// every five seconds is not always counted or always missed.
const PERIOD: Duration = Duration::from_millis(5004);

/// Samples the load of containers of one host.
#[derive(Debug)]
pub struct LoadSampler {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rules: Rules,
    /// Time of tick 0, the same in every process, so that a successor continues the series.
    origin: Instant,
    clock: Clock,
    joining: Mutex<Joining>,
}

/// Series that the thread has not listed yet.
#[derive(Debug, Default)]
struct Joining {
    series: Vec<Arc<Series>>,
    is_running: bool,
}

impl LoadSampler {
    /// Creates a sampler that forgets a container whose load was not read for `idle`.
    #[must_use]
    pub fn new(idle: Duration) -> Self {
        Self::with_period(idle, PERIOD, Clock::default())
    }

    fn with_period(idle: Duration, period: Duration, clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                rules: Rules { period, idle },
                origin: start_of_clock(),
                clock,
                joining: Mutex::default(),
            }),
        }
    }

    /// Returns the load of a container; counts its threads only if it is not being sampled. `None`:
    /// no hierarchy separates its threads from the host's. `asker` is a thread that waits for the
    /// result.
    ///
    /// # Errors
    /// If the container's cgroup cannot be read.
    pub fn load(
        &self,
        container: &Arc<Container>,
        host: &Arc<Host>,
        asker: Option<u32>,
    ) -> Result<Option<Load>, HostError> {
        let series = container.state::<Series>();
        if let Some(averages) = series.ask(container, self.shared.now())
            && let Some(counts) = container.last_task_counts()
        {
            return Ok(Some(Load { averages, counts }));
        }
        let Some(counts) = container.task_counts(host, asker)? else {
            return Ok(None);
        };
        let used = container.cpu_time(host)?;
        let past = load::past(container.age(host), used, counts);
        let when = (self.shared.now(), self.shared.rules);
        let (averages, is_new) = series.begin(container, counts, past, when);
        if is_new {
            self.list(series, host);
        }
        Ok(Some(Load { averages, counts }))
    }

    /// Returns whether [`load`](Self::load) would walk all cgroups and threads of the container
    /// now.
    #[must_use]
    pub fn must_count(&self, container: &Container) -> bool {
        let is_sampled = || container.state::<Series>().is_sampled();
        !container.has_no_tasks() && (container.last_task_counts().is_none() || !is_sampled())
    }

    fn list(&self, series: Arc<Series>, host: &Arc<Host>) {
        {
            let mut joining = self.shared.joining.lock();
            joining.series.push(series);
            if std::mem::replace(&mut joining.is_running, true) {
                return;
            }
        }
        let (shared, host) = (Arc::downgrade(&self.shared), Arc::clone(host));
        let thread = std::thread::Builder::new().name("load-sampler".into());
        if let Err(error) = thread.spawn(move || run(&shared, &host)) {
            log::warn!(
                "cannot start a thread: {error}; loads are not sampled (raise TasksMax= of the unit)"
            );
            let mut joining = self.shared.joining.lock();
            joining.is_running = false;
            joining.series.drain(..).for_each(|s| s.is_left_alone());
        }
    }
}

impl Shared {
    fn now(&self) -> Now {
        let instant = self.clock.now();
        let since = instant.saturating_duration_since(self.origin);
        let tick = since.as_nanos() / self.rules.period.as_nanos().max(1);
        Now {
            instant,
            tick: u64::try_from(tick).unwrap_or(u64::MAX),
        }
    }

    fn after(&self, tick: u64) -> Instant {
        let ticks = u32::try_from(tick + 1).unwrap_or(u32::MAX);
        self.origin + self.rules.period.saturating_mul(ticks)
    }

    /// Appends the new series. `false`: the list is empty, and the thread must exit.
    fn take_joining(&self, listed: &mut Vec<Arc<Series>>) -> bool {
        let mut joining = self.joining.lock();
        listed.extend(std::mem::take(&mut joining.series));
        joining.is_running = !listed.is_empty();
        joining.is_running
    }
}

fn run(shared: &Weak<Shared>, host: &Host) {
    let mut listed = Vec::new();
    // Without a sampler no load can be read.
    while let Some(shared) = shared.upgrade() {
        if !shared.take_joining(&mut listed) {
            return;
        }
        let (now, before) = (shared.now(), thread_time::used());
        listed.retain(|series: &Arc<Series>| {
            // The list may be long: each entry uses the time of its own sample.
            series.sample(host, shared.now(), shared.rules, thread_time::used) == Sampled::Stays
        });
        if listed.is_empty() {
            continue;
        }
        // Many containers may have ended at once.
        listed.shrink_to(2 * listed.len());
        let pause = thread_time::used()
            .saturating_sub(before)
            .saturating_mul(10);
        let next = shared.after(now.tick).max(now.instant + pause);
        let pause = next.saturating_duration_since(shared.clock.now());
        drop(shared);
        std::thread::sleep(pause);
    }
}

/// Returns the instant at which CLOCK_MONOTONIC, the clock of [`Instant`], was 0.
fn start_of_clock() -> Instant {
    let since = rustix::time::clock_gettime(ClockId::Monotonic);
    let since = Duration::try_from(since).unwrap_or_default();
    let now = Instant::now();
    now.checked_sub(since).unwrap_or(now)
}

#[cfg(test)]
mod tests;
