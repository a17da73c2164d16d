//! Calls with a limit of time.
//!
//! Nothing ends a thread that is in a plugin. So a call runs on a thread that can be left behind: whoever
//! has waited long enough goes on without it. Of one view, no more than [`MOST_STUCK`] threads are left
//! behind; from then on it fails at once, until one of them comes back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;

/// How many threads one view may keep.
pub(crate) const MOST_STUCK: usize = 4;
/// How long a thread waits for the next call.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// The calls of one view.
#[derive(Debug)]
pub(crate) struct Lane {
    limit: Duration,
    stuck: Arc<AtomicUsize>,
}

/// Why a call has no outcome.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Late {
    /// It was waited for long enough.
    #[error("a call has not returned within {} ms", .0.as_millis())]
    Now(Duration),
    /// Too many have not returned.
    #[error("{MOST_STUCK} calls have not returned; no more are made until one does")]
    Stuck,
    /// No thread, or it has panicked.
    #[error("a call could not be made")]
    NotMade,
}

impl Lane {
    /// Each call may take that long.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            stuck: Arc::default(),
        }
    }

    /// Runs `call`, and waits for it as long as it may take.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Late> {
        if self.stuck.load(Ordering::Relaxed) >= MOST_STUCK {
            return Err(Late::Stuck);
        }
        let (tell, told) = channel();
        let stuck = Arc::clone(&self.stuck);
        // Of who waits and who runs, the second one to be done sees the other's mark.
        let left = Arc::new(AtomicUsize::new(0));
        let its_own = Arc::clone(&left);
        on_a_thread(Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(call));
            let _ = tell.send(outcome);
            if its_own.fetch_add(1, Ordering::AcqRel) == 1 {
                stuck.fetch_sub(1, Ordering::Relaxed);
            }
        }))?;
        match told.recv_timeout(self.limit) {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(Late::NotMade),
            Err(RecvTimeoutError::Timeout) => {
                self.stuck.fetch_add(1, Ordering::Relaxed);
                if left.fetch_add(1, Ordering::AcqRel) == 1 {
                    // It has just come back.
                    self.stuck.fetch_sub(1, Ordering::Relaxed);
                }
                Err(Late::Now(self.limit))
            }
        }
    }
}

/// Runs something that nobody waits for.
pub(crate) fn without_waiting(work: impl FnOnce() + Send + 'static) {
    if on_a_thread(Box::new(work)).is_err() {
        log::warn!(
            "no thread for the end of something of a plugin's: it stays in memory (raise TasksMax= of \
             the unit)"
        );
    }
}

struct Waiting {
    number: usize,
    jobs: Sender<Job>,
}

static WAITING: Mutex<Vec<Waiting>> = Mutex::new(Vec::new());
static NUMBER: AtomicUsize = AtomicUsize::new(0);

fn on_a_thread(mut job: Job) -> Result<(), Late> {
    // Whoever is taken out of the list has its job before the lock is given back.
    let mut waiting = WAITING.lock();
    while let Some(thread) = waiting.pop() {
        match thread.jobs.send(job) {
            Ok(()) => return Ok(()),
            Err(unsent) => job = unsent.0,
        }
    }
    drop(waiting);
    let (jobs, next) = channel();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let thread = std::thread::Builder::new().name("plugin".into());
    thread
        .spawn(move || work(job, number, &jobs, &next))
        .map_err(|error| {
            log::warn!("cannot start a thread for a plugin: {error} (raise TasksMax= of the unit)");
            Late::NotMade
        })?;
    Ok(())
}

fn work(first: Job, number: usize, jobs: &Sender<Job>, next: &Receiver<Job>) {
    let mut job = first;
    loop {
        // The panic hook tells.
        let _ = catch_unwind(AssertUnwindSafe(job));
        let jobs = jobs.clone();
        WAITING.lock().push(Waiting { number, jobs });
        job = match next.recv_timeout(IDLE) {
            Ok(next) => next,
            Err(_) => {
                let mut waiting = WAITING.lock();
                if let Some(at) = waiting.iter().position(|one| one.number == number) {
                    waiting.swap_remove(at);
                    return;
                }
                drop(waiting);
                match next.try_recv() {
                    Ok(next) => next,
                    Err(_) => return,
                }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_call_is_waited_for_and_no_longer_than_that() {
        let lane = Lane::new(Duration::from_secs(60));
        assert_eq!(lane.run(|| 7), Ok(7));
        assert_eq!(
            lane.run(|| -> u8 { panic!("on purpose") }),
            Err(Late::NotMade)
        );
        let lane = Lane::new(Duration::from_millis(20));
        let (go_on, stop) = channel::<()>();
        let stop = Arc::new(Mutex::new(stop));
        for _ in 0..MOST_STUCK {
            let stop = Arc::clone(&stop);
            let late = lane.run(move || stop.lock().recv().is_ok()).map(|_| ());
            assert_eq!(late, Err(Late::Now(Duration::from_millis(20))));
        }
        assert_eq!(lane.run(|| ()), Err(Late::Stuck));
        // Others are not held up, and it serves again when they have come back.
        assert_eq!(Lane::new(Duration::from_secs(60)).run(|| 8), Ok(8));
        drop(go_on);
        let began = Instant::now();
        while lane.run(|| ()) == Err(Late::Stuck) {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn many_calls_at_once_are_all_made() {
        let lane = Arc::new(Lane::new(Duration::from_secs(60)));
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let lane = Arc::clone(&lane);
                std::thread::spawn(move || {
                    (0..200).all(|n| lane.run(move || n * caller) == Ok(n * caller))
                })
            })
            .collect();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    }
}
