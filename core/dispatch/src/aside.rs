//! Requests that may take the kernel long, done aside: they delay nobody but their own container.
//!
//! Closing the descriptor of a trigger takes 10 ms, as the kernel waits for all CPUs, and who opens
//! the same file meanwhile waits too. A program that ends with a thousand of them open, or opens and
//! closes them in a loop, would keep every thread that serves from all other callers. So each
//! container has a thread of its own for these, while there are any and a little longer; it takes one
//! after the other, so that what was closed before is closed when the next one is opened.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long a thread waits for more: to start another takes longer than most of what it does.
const A_LITTLE: Duration = Duration::from_millis(200);

type Work = Box<dyn FnOnce() + Send>;

/// The work of one container.
#[derive(Default)]
pub(crate) struct Aside {
    queue: Mutex<Queue>,
    more: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    has_thread: bool,
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside").finish_non_exhaustive()
    }
}

impl Aside {
    /// How much is waiting.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.lock().waiting.len()
    }

    /// Has something done, after all that was given before.
    pub(crate) fn give(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(Box::new(work));
        if queue.has_thread {
            self.more.notify_one();
            return;
        }
        queue.has_thread = true;
        drop(queue);
        let its_own = Arc::clone(self);
        let thread = std::thread::Builder::new().name("aside".into());
        if let Err(error) = thread.spawn(move || its_own.work(A_LITTLE)) {
            log::warn!(
                "cannot start a thread: {error}; a request delays others (raise TasksMax= of the unit)"
            );
            self.work(Duration::ZERO);
        }
    }

    fn work(&self, patience: Duration) {
        while let Some(work) = self.next(patience) {
            // The panic hook tells; what comes after it is not to wait for ever.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }

    fn next(&self, patience: Duration) -> Option<Work> {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() && !patience.is_zero() {
            // Whoever wakes without cause ends early, and another one is started.
            self.more.wait_for(&mut queue, patience);
        }
        let next = queue.waiting.pop_front();
        queue.has_thread = next.is_some();
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn all_is_done_in_order_and_nobody_waits_for_it() {
        let aside = Arc::new(Aside::default());
        for _ in 0..3 {
            let (go_on, stop) = mpsc::channel::<()>();
            let (tell, told) = mpsc::channel();
            aside.give(move || assert!(stop.recv().is_err()));
            for number in 0..100 {
                let tell = tell.clone();
                aside.give(move || {
                    tell.send(number).unwrap();
                    assert_ne!(number, 50, "on purpose");
                });
            }
            drop(tell);
            assert!(told.try_recv().is_err());
            drop(go_on);
            let done: Vec<_> = told.iter().collect();
            assert_eq!(done, (0..100).collect::<Vec<_>>());
        }
        // The thread ends with its work.
        let asked = std::time::Instant::now();
        while aside.queue.lock().has_thread {
            assert!(asked.elapsed() < Duration::from_secs(30));
        }
    }
}
