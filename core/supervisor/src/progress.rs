//! Whether the thread that serves a request makes progress.
//!
//! A running thread makes progress, and a runnable thread without a CPU is not to blame: only the time in which it is
//! neither counts. So a long list on a busy machine does not get the worker replaced, but a thread that waits for an
//! event that never comes does. A thread that runs for [`LOOP`] times as long is in an endless loop.

use std::collections::HashMap;
use std::time::Duration;

use nix::unistd::Pid;
use vistafs_handover::Unfinished;

const LOOP: u32 = 6;

/// The threads that serve requests for longer than the interval of two checks.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Keyed by the ID of the request.
    first: HashMap<u64, Seen>,
}

/// A thread's use of time until an instant of CLOCK_MONOTONIC (/proc/PID/task/TID/schedstat).
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Duration,
    ran: Duration,
    /// Time in which it was runnable without a CPU.
    waited: Duration,
}

impl Progress {
    /// Removes answered requests.
    pub(super) fn retain(&mut self, in_flight: &[Unfinished]) {
        self.first
            .retain(|unique, _| in_flight.iter().any(|one| one.unique == *unique));
    }

    /// Returns whether a request has made no progress for longer than `most`. Call at each check.
    pub(super) fn is_stuck(
        &mut self,
        pid: Pid,
        request: &Unfinished,
        now: Duration,
        most: Duration,
    ) -> bool {
        let Some(started) = request.started else {
            return false;
        };
        // Without the file, or with a worker of an earlier version, all time counts.
        let (ran, waited) = read(pid, request.server).unwrap_or_default();
        let first = self.first.entry(request.unique).or_insert(Seen {
            at: started,
            ran,
            waited,
        });
        is_stuck(
            *first,
            Seen {
                at: now,
                ran,
                waited,
            },
            most,
        )
    }
}

fn is_stuck(first: Seen, now: Seen, most: Duration) -> bool {
    let ran = now.ran.saturating_sub(first.ran);
    let waited = now.waited.saturating_sub(first.waited);
    let age = now.at.saturating_sub(first.at);
    age.saturating_sub(ran + waited) > most || ran > most * LOOP
}

fn read(pid: Pid, thread: u32) -> Option<(Duration, Duration)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
    let mut words = text
        .split(' ')
        .map(|word| word.parse().map(Duration::from_nanos));
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(10);

    fn seen(at: u64, ran: u64, waited: u64) -> Seen {
        let [at, ran, waited] = [at, ran, waited].map(Duration::from_secs);
        Seen { at, ran, waited }
    }

    #[test]
    fn only_time_without_progress_counts() {
        let first = seen(100, 7, 8);
        assert!(!is_stuck(first, seen(110, 7, 8), MOST));
        assert!(is_stuck(first, seen(111, 7, 8), MOST));
        // It ran, or was runnable.
        assert!(!is_stuck(first, seen(130, 27, 8), MOST));
        assert!(!is_stuck(first, seen(160, 17, 48), MOST));
        assert!(is_stuck(first, seen(161, 17, 48), MOST));
        assert!(!is_stuck(first, seen(500, 7, 398), MOST));
        // An endless loop.
        assert!(!is_stuck(first, seen(160, 67, 8), MOST));
        assert!(is_stuck(first, seen(161, 68, 8), MOST));
    }

    #[test]
    fn the_kernel_tells_what_a_thread_has_used() {
        let tid = u32::try_from(nix::unistd::gettid().as_raw()).unwrap();
        let (before, _) = read(nix::unistd::getpid(), tid).unwrap();
        let mut ran = before;
        while ran < before + Duration::from_millis(20) {
            ran = read(nix::unistd::getpid(), tid).unwrap().0;
        }
        assert_eq!(read(nix::unistd::getpid(), 0), None);
    }
}
