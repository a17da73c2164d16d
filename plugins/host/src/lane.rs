//! Calls with a time limit.
//!
//! A thread inside a plugin cannot be stopped. So a call runs on a thread that can be abandoned:
//! its caller continues after the time limit. At most [`MOST_RUNNING`] calls of one view run at
//! once, counted until they return, not until their callers give up: this bounds the number of
//! abandoned threads. When all of them are abandoned, the next call fails at once, until one
//! returns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Maximum number of running calls of one view, and so of its threads.
pub(crate) const MOST_RUNNING: usize = 4;
/// Time that an idle thread waits for the next call.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// The calls of one view.
#[derive(Debug)]
pub(crate) struct Lane {
    limit: Duration,
    calls: Arc<Calls>,
}

/// The calls of one view that have not returned.
#[derive(Debug, Default)]
struct Calls {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    running: usize,
    /// Number of calls that were abandoned.
    left: usize,
}

impl Calls {
    /// Waits until another call may run, or all running calls are abandoned.
    fn begin(self: &Arc<Self>, deadline: Instant) -> Result<Running, Late> {
        let mut counts = self.counts.lock();
        while counts.running >= MOST_RUNNING {
            let is_late = counts.left < MOST_RUNNING
                && self.changed.wait_until(&mut counts, deadline).timed_out();
            if is_late || counts.left >= MOST_RUNNING {
                return Err(Late::Stuck);
            }
        }
        counts.running += 1;
        drop(counts);
        Ok(Running {
            calls: Arc::clone(self),
            call: Arc::default(),
        })
    }

    /// Abandons a call.
    fn leave(&self, call: &Call) {
        let mut counts = self.counts.lock();
        // It may have returned meanwhile.
        if !call.has_returned.load(Ordering::Relaxed) {
            call.is_left.store(true, Ordering::Relaxed);
            counts.left += 1;
            drop(counts);
            self.changed.notify_all();
        }
    }
}

/// One call. Changed only under the lock of the counts.
#[derive(Debug, Default)]
struct Call {
    is_left: AtomicBool,
    has_returned: AtomicBool,
}

/// A running call, until this is dropped on its thread.
struct Running {
    calls: Arc<Calls>,
    call: Arc<Call>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut counts = self.calls.counts.lock();
        counts.running -= 1;
        self.call.has_returned.store(true, Ordering::Relaxed);
        if self.call.is_left.load(Ordering::Relaxed) {
            counts.left -= 1;
        }
        drop(counts);
        self.calls.changed.notify_one();
    }
}

/// The reason that a call has no result.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Late {
    /// It exceeded the time limit.
    #[error("a call has not returned within {} ms", .0.as_millis())]
    Now(Duration),
    /// Too many have not returned.
    #[error("{MOST_RUNNING} calls have not returned; no more are made until one does")]
    Stuck,
    /// No thread could be started, or the call panicked.
    #[error("a call could not be made")]
    NotMade,
}

impl Lane {
    /// Creates a lane with this time limit per call.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            calls: Arc::default(),
        }
    }

    /// Runs `call` and waits up to the time limit.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Late> {
        let running = self.calls.begin(Instant::now() + self.limit)?;
        let its_own = Arc::clone(&running.call);
        let (tell, told) = channel();
        on_a_thread(Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(call));
            // Before the caller continues, because it may make the next call.
            drop(running);
            let _ = tell.send(outcome);
        }))?;
        match told.recv_timeout(self.limit) {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(Late::NotMade),
            Err(RecvTimeoutError::Timeout) => {
                self.calls.leave(&its_own);
                Err(Late::Now(self.limit))
            }
        }
    }
}

/// Runs work without waiting for it.
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
    // A thread taken out of the list has its job before the lock is released.
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
        // The panic hook logs it.
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
        for _ in 0..MOST_RUNNING {
            let stop = Arc::clone(&stop);
            let late = lane.run(move || stop.lock().recv().is_ok()).map(|_| ());
            assert_eq!(late, Err(Late::Now(Duration::from_millis(20))));
        }
        assert_eq!(lane.run(|| ()), Err(Late::Stuck));
        // Other views are not delayed, and this one serves again after its calls have returned.
        assert_eq!(Lane::new(Duration::from_secs(60)).run(|| 8), Ok(8));
        drop(go_on);
        let began = Instant::now();
        while lane.run(|| ()) == Err(Late::Stuck) {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn callers_at_once_leave_no_more_threads_behind_than_one_after_the_other() {
        let lane = Arc::new(Lane::new(Duration::from_millis(200)));
        let (go_on, stop) = channel::<()>();
        let stop = Arc::new(Mutex::new(stop));
        let made = Arc::new(AtomicUsize::new(0));
        let call = || {
            let (lane, stop, made) = (Arc::clone(&lane), Arc::clone(&stop), Arc::clone(&made));
            std::thread::spawn(move || {
                let wait = move || {
                    made.fetch_add(1, Ordering::Relaxed);
                    stop.lock().recv().is_ok()
                };
                lane.run(wait).is_err()
            })
        };
        let callers: Vec<_> = (0..64).map(|_| call()).collect();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
        assert_eq!(made.load(Ordering::Relaxed), MOST_RUNNING);
        drop(go_on);
        let began = Instant::now();
        // Each abandoned call returns when its thread is scheduled.
        while lane.calls.counts.lock().left > 0 {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(lane.run(|| ()), Ok(()));
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
