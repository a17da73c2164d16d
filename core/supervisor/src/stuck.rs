//! Workers that have a request for too long.
//!
//! A request that has made no progress for longer than the configuration allows (see [`super::progress`]) will not be
//! answered by this worker any more, and may hold others up: another worker takes its place. One that hangs in the
//! kernel, where no signal reaches it (state D), is left behind: killing it has an effect only when
//! the kernel lets it go, if ever.

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

/// How often is looked for them while anything is asked for. As soon as nothing is, there is nothing to
/// look for, and the worker's next request wakes us. A worker of an earlier version does not: then each
/// look is twice as long after the one before, up to what a request may take.
const EVERY: Duration = Duration::from_secs(1);

/// When to look next, and what the last look has seen.
#[derive(Debug)]
pub(super) struct Looks {
    // `None`: asleep until woken.
    next: Option<Instant>,
    // The next look is the last before that: a worker that was stopped just now has not woken us.
    falls_asleep: bool,
    pause: Duration,
    // The highest number of a request.
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
    /// A look is taken now, which sees requests up to this number. `most`: how long one may take;
    /// `sleeps`: whether we may sleep until we are woken.
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

    /// Something is asked for.
    pub(super) fn wake(&mut self) {
        if self.next.is_none() {
            self.next = Some(Instant::now() + EVERY);
        }
        self.pause = EVERY;
        self.falls_asleep = false;
    }
}

impl Supervisor {
    /// When to look for stuck requests next. Without the memory that they are noted in there are none to see.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.handover.as_ref()?;
        self.current.as_ref()?.stuck_after?;
        self.looks.next
    }

    /// The requests that the worker that serves has read and not answered.
    pub(super) fn in_flight(&self, generation: u32) -> Vec<Unfinished> {
        let Some(handover) = self.handover.as_ref().filter(|_| generation > 0) else {
            return Vec::new();
        };
        let mut requests = handover.unfinished();
        requests.retain(|request| request.generation == generation);
        requests
    }

    /// Replaces the worker if it has a request for too long.
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
        // One that waits for others of its container makes no worker stuck: those that it waits for do, if any.
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
        // First the next one: the other requests of this one may still be answered.
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

    /// What was served at a crash. What was served at too many of them is kept from the container that it was
    /// served for, or from all of them.
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
        // A tree goes on for the host; if it crashes there, too, it is put aside once more.
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

/// Containers that have to crash workers with a view before it is kept from all containers.
const OF_SEVERAL: usize = 3;

/// What a worker was serving: not what waited to be served.
pub(super) fn served(requests: Vec<Unfinished>) -> BTreeSet<Suspect> {
    let served = requests.into_iter().filter(|one| one.started.is_some());
    let suspect = |request: Unfinished| Suspect {
        view: request.view_name,
        container: request.container,
    };
    served.map(suspect).collect()
}

/// What to add about threads that no signal reaches.
fn in_kernel(pid: Pid) -> String {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return String::new();
    };
    let hangs = |task: &std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // After the name, which may have anything in it.
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
