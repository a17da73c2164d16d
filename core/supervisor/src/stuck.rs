//! Replaces workers with stuck requests.
//!
//! A request without progress for longer than the configuration allows (see [`super::progress`]) will not be answered by
//! this worker, and may block others: a new worker replaces it. A worker that hangs in the kernel
//! (state D), where no signal reaches it, is left behind: SIGKILL takes effect when the kernel
//! call returns, if ever.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use rustix::time::{ClockId, clock_gettime};
use vistafs_handover::Unfinished;

use super::Supervisor;
use super::state::seconds;
use super::suspects::Suspect;
use super::worker_process::Stage;
use crate::link::Quarantined;

/// Interval of the checks while requests are in service. Without requests there is nothing to check, and
/// the worker's next request wakes the supervisor. A worker of an earlier version does not wake it: then each
/// interval is twice as long as the previous one, up to the maximum age of a request.
const EVERY: Duration = Duration::from_secs(1);

/// The time of the next check, and the result of the last one.
#[derive(Debug)]
pub(super) struct Looks {
    // `None`: asleep until a worker wakes it.
    next: Option<Instant>,
    // The next check is the last one before it sleeps: a worker that was stopped just now has not woken it.
    falls_asleep: bool,
    pause: Duration,
    // The highest ID of a request.
    seen: u64,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            next: Some(Instant::now()),
            falls_asleep: false,
            pause: EVERY,
            seen: 0,
        }
    }
}

impl Looks {
    /// Records a check that saw requests up to this ID. `most`: maximum age of a request;
    /// `sleeps`: whether the supervisor may sleep until a worker wakes it.
    fn take(&mut self, seen: u64, is_idle: bool, most: Duration, sleeps: impl FnOnce() -> bool) {
        let is_quiet = is_idle && seen == self.seen;
        self.pause = if is_quiet {
            self.pause.saturating_mul(2).min(most.max(EVERY))
        } else {
            EVERY
        };
        self.seen = seen;
        let sleeps = is_quiet && sleeps();
        let pause = if sleeps { EVERY } else { self.pause };
        self.next = (!(sleeps && self.falls_asleep)).then(|| Instant::now() + pause);
        self.falls_asleep = sleeps;
    }

    /// Ends the sleep: a request was read.
    pub(super) fn wake(&mut self) {
        if self.next.is_none() {
            self.next = Some(Instant::now() + EVERY);
        }
        self.pause = EVERY;
        self.falls_asleep = false;
    }
}

impl Supervisor {
    /// Returns the time of the next check. Without shared memory no request is visible.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.handover.as_ref()?;
        self.current.as_ref()?.stuck_after?;
        self.looks.next
    }

    /// Returns the requests that the serving worker has read and not answered.
    pub(super) fn in_flight(&self, generation: u32) -> Vec<Unfinished> {
        let Some(handover) = self.handover.as_ref().filter(|_| generation > 0) else {
            return Vec::new();
        };
        let mut requests = handover.unfinished();
        requests.retain(|request| request.generation == generation);
        requests
    }

    /// Replaces the worker if one of its requests is stuck.
    pub(super) fn look_for_stuck(&mut self) {
        if self.looks.next.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.looks.next = Some(Instant::now() + EVERY);
        let Some(worker) = self.current.as_ref() else {
            return;
        };
        let (Stage::Serving(_), Some(most)) = (worker.stage, worker.stuck_after) else {
            return;
        };
        let now = clock_gettime(ClockId::Monotonic);
        let now = Duration::new(
            u64::try_from(now.tv_sec).unwrap_or(0),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        );
        let (pid, generation) = (worker.pid(), worker.generation);
        let wakes = worker.wakes && !worker.silent;
        let mut old = self.in_flight(generation);
        let seen = self.handover.as_ref().map_or(0, |h| h.highest_unique());
        let handover = self.handover.as_ref().filter(|_| wakes);
        let sleeps = || handover.is_some_and(|memory| memory.fall_asleep(generation));
        self.looks.take(seen, old.is_empty(), most, sleeps);
        self.progress.retain(&old);
        // A request that waits for others of its container is not stuck; those that it waits for may be.
        let age = |request: &Unfinished| Some(now.saturating_sub(request.started?));
        old.retain(|request| age(request).is_some_and(|age| age > EVERY));
        old.retain(|request| self.progress.is_stuck(pid, request, now, most));
        let Some(oldest) = old.iter().max_by_key(|request| age(request)) else {
            return;
        };
        let age = age(oldest).unwrap_or_default().as_secs();
        let view = match oldest.view_name.as_str() {
            "" => "no view",
            name => name,
        };
        log::error!(
            "worker {pid}: a request of thread {} has been in service for {age} s (operation {}, {view}); \
             replacing the worker{}",
            oldest.tid,
            oldest.opcode,
            in_kernel(pid)
        );
        let why = format!("stuck for {age} s at {view}");
        self.suspect(served(old));
        self.state.ended(pid.as_raw(), why);
        // Start the next worker first: this one may still answer its other requests.
        let Some(stuck) = self.current.take() else {
            return;
        };
        stuck.kill();
        self.leaving.push(stuck);
        self.lost_requests = true;
        self.resend();
        self.save();
        self.start_next_worker();
    }

    /// Records the requests in service at a crash. A suspect that was in service at several crashes is disabled for its
    /// container, or for all containers.
    pub(super) fn suspect(&mut self, served: BTreeSet<Suspect>) {
        let Some((suspect, times)) = self.state.suspects.crashed(served, seconds()) else {
            return;
        };
        let why = format!("it was served at {times} crashes in a row");
        let Suspect { view, container } = suspect;
        if container == 0 {
            self.put_aside(view, why);
            return;
        }
        let quarantined = &mut self.state.quarantined;
        quarantined.retain(|one| (&one.view, one.container) != (&view, container));
        quarantined.push(Quarantined {
            view: view.clone(),
            container,
        });
        let containers = quarantined.iter().filter(|one| one.view == view).count();
        log::error!(
            "view {view} is disabled for one container (tag {container:08x}): it was served for that one at each \
             of the last {times} crashes (vistafs views --restore {view} enables it again)"
        );
        if containers >= OF_SEVERAL {
            self.put_aside(
                view,
                format!("{containers} containers have crashed workers with it"),
            );
        }
    }

    fn put_aside(&mut self, name: String, why: String) {
        // A tree still serves the host; if it crashes there, too, it is disabled completely.
        let again = self.state.put_aside.iter().any(|one| one.name == name);
        let who = if again {
            "Even callers on the host"
        } else {
            "Containers"
        };
        log::error!(
            "view {name} is disabled: {why}; {who} get EIO (vistafs views --restore {name} enables it again)"
        );
        self.state
            .put_aside
            .push(crate::link::PutAside { name, why });
    }
}

/// Number of containers for which a view must be disabled before it is disabled for all.
const OF_SEVERAL: usize = 3;

/// Returns the requests that a worker was serving, without those that waited.
pub(super) fn served(requests: Vec<Unfinished>) -> BTreeSet<Suspect> {
    let served = requests.into_iter().filter(|one| one.started.is_some());
    let suspect = |request: Unfinished| Suspect {
        view: request.view_name,
        container: request.container,
    };
    served.map(suspect).collect()
}

/// Returns a note about threads that no signal reaches.
fn in_kernel(pid: Pid) -> String {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return String::new();
    };
    let hangs = |task: &std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // After the name, which may contain any character.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('D'))
    };
    let hanging: Vec<String> = tasks
        .flatten()
        .filter(hangs)
        .map(|task| task.file_name().to_string_lossy().into_owned())
        .collect();
    if hanging.is_empty() {
        return String::new();
    }
    format!(
        ". Its threads {} wait in the kernel, where a kill does not end them: what they wait for is \
         in /proc/{pid}/task/*/stack",
        hanging.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_woken_looks_ever_less() {
        let mut looks = Looks::default();
        let most = Duration::from_secs(10);
        let mut pauses = Vec::new();
        for (seen, is_idle) in [
            (5, true),
            (5, true),
            (5, true),
            (5, true),
            (5, true),
            (5, true),
            (6, true),
            (6, true),
            (6, false),
        ] {
            looks.take(seen, is_idle, most, || false);
            assert!(looks.next.is_some());
            pauses.push(looks.pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10, 1, 2, 1]);
        looks.take(6, true, Duration::from_millis(10), || false);
        assert_eq!(looks.pause, EVERY);
    }

    #[test]
    fn who_can_be_woken_sleeps_when_nothing_was_asked_since_the_last_look() {
        let mut looks = Looks::default();
        let most = Duration::from_secs(10);
        for (seen, is_idle, sleeps) in [
            (5, true, false),
            (6, false, false),
            (6, true, false),
            (7, true, false),
            (7, true, false),
            (7, true, true),
        ] {
            looks.take(seen, is_idle, most, || true);
            assert_eq!(looks.next.is_none(), sleeps, "{seen} {is_idle}");
        }
        looks.wake();
        let woken = looks.next;
        assert!(woken.is_some_and(|at| at <= Instant::now() + EVERY));
        looks.wake();
        assert_eq!(looks.next, woken);
    }
}
