//! Offload threads, which serve the queued requests of containers.
//!
//! A serving thread must never run a request whose cost a container can raise: every other
//! container would wait. Such a request goes into a queue of its container ([`Queue`]). A queue has
//! at most one request in service, and the queues take turns: a container with 1,000 waiting
//! requests delays another container by one request at most, and only if all threads are busy.
//!
//! # Bounds
//! The number of threads and the memory of all waiting requests ([`budgets`]) are bounded. A
//! request above the bound is refused at once. It never runs on a shared serving thread.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::held::Totals;
use crate::waiter::Waiter;
use crate::{budgets, thread_time};

/// How long an idle thread stays: starting a thread takes longer than most requests.
const LINGER: Duration = Duration::from_millis(200);

/// The queue has no room for one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// A request. Called with an error, it must reply with an error instead of being served.
pub type Work = Box<dyn FnOnce(Result<(), Refused>) + Send>;

/// The pool of offload threads.
#[derive(Default)]
pub struct Offload {
    state: Mutex<State>,
    more: Condvar,
    // Of all waiting requests.
    bytes: AtomicUsize,
    totals: Arc<Totals>,
    // Requests that wait or are in service.
    requests: AtomicUsize,
    // The thread that checks waiting requests, and whether it sleeps until there is one.
    watcher: OnceLock<Thread>,
    watcher_sleeps: AtomicBool,
}

#[derive(Default)]
struct State {
    // Queues with waiting requests that no thread serves.
    ready: VecDeque<Arc<Queue>>,
    threads: usize,
    idle: usize,
}

impl fmt::Debug for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offload").finish_non_exhaustive()
    }
}

/// The waiting requests of one container, in order of arrival.
pub struct Queue {
    pool: Arc<Offload>,
    waiting: Mutex<Waiting>,
    // CPU time that its requests have used, in ns.
    cpu: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    bytes: usize,
    // Ready or in service.
    is_active: bool,
    is_in_service: bool,
    in_service: Option<Arc<Waiter>>,
    // Index at which the next scan for old requests begins.
    looked_at: usize,
}

struct Request {
    work: Work,
    cost: usize,
    waiter: Option<Arc<Waiter>>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    pub(crate) fn new(pool: &Arc<Offload>) -> Arc<Self> {
        Arc::new(Self {
            pool: Arc::clone(pool),
            waiting: Mutex::default(),
            cpu: AtomicU64::new(0),
        })
    }

    /// Returns the number of waiting requests, without the one in service.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.lock().requests.len()
    }

    /// Returns whether no request waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes charged for waiting requests, including the data of writes.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.lock().bytes
    }

    /// Returns whether a thread serves one of its requests.
    #[must_use]
    pub fn is_in_service(&self) -> bool {
        self.waiting.lock().is_in_service
    }

    /// Returns the CPU time that requests of this queue have used.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        Duration::from_nanos(self.cpu.load(Ordering::Relaxed))
    }

    /// Appends a request to the queue. `data`: bytes that it holds in addition to its own. If the
    /// queue is full, calls `work` with [`Refused`] on the calling thread.
    pub fn give(self: &Arc<Self>, data: usize, work: Work) {
        self.give_for(None, data, work);
    }

    /// Like [`give`](Self::give), for a caller that may be interrupted while the request waits.
    pub fn give_for(self: &Arc<Self>, waiter: Option<Arc<Waiter>>, data: usize, work: Work) {
        let cost = data.saturating_add(budgets::WAITING_REQUEST);
        let mut waiting = self.waiting.lock();
        let all = self.pool.bytes.load(Ordering::Relaxed);
        let most = if all >= budgets::WAITING_BYTES_OF_ALL {
            budgets::WAITING_BYTES_ALWAYS
        } else {
            budgets::WAITING_BYTES
        };
        if waiting.bytes.saturating_add(cost) > most {
            drop(waiting);
            work(Err(Refused));
            return;
        }
        waiting.bytes += cost;
        self.pool.bytes.fetch_add(cost, Ordering::Relaxed);
        waiting.requests.push_back(Request { work, cost, waiter });
        let was_active = std::mem::replace(&mut waiting.is_active, true);
        drop(waiting);
        self.pool.one_more_request();
        if !was_active {
            self.pool.make_ready(Arc::clone(self));
        }
    }

    /// Serves one request and returns whether more wait.
    fn serve_next(&self) -> bool {
        let next = self.take();
        if let Some(work) = next {
            let before = thread_time::used();
            // The panic hook reports a panic. The requests behind this one must still be served.
            let _ = catch_unwind(AssertUnwindSafe(|| work(Ok(()))));
            let used = thread_time::used().saturating_sub(before);
            let used = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
            self.cpu.fetch_add(used, Ordering::Relaxed);
            self.pool.requests.fetch_sub(1, Ordering::SeqCst);
        }
        let mut waiting = self.waiting.lock();
        waiting.is_in_service = false;
        waiting.in_service = None;
        waiting.is_active = !waiting.requests.is_empty();
        waiting.is_active
    }

    fn take(&self) -> Option<Work> {
        let mut waiting = self.waiting.lock();
        let Request { work, cost, waiter } = waiting.requests.pop_front()?;
        waiting.bytes -= cost;
        waiting.is_in_service = true;
        waiting.in_service = waiter;
        self.pool.bytes.fetch_sub(cost, Ordering::Relaxed);
        Some(work)
    }

    /// Returns whether a request waits or is in service.
    pub(crate) fn is_active(&self) -> bool {
        self.waiting.lock().is_active
    }

    /// Returns the request in service and some waiting ones, up to `most` in total, that are at
    /// least `age` old and not interrupted. Successive calls scan all waiting requests in turn.
    #[must_use]
    pub fn waiters(&self, age: Duration, most: usize) -> Vec<Arc<Waiter>> {
        let is_old =
            |waiter: &&Arc<Waiter>| waiter.since().elapsed() >= age && !waiter.is_interrupted();
        let mut waiting = self.waiting.lock();
        let mut found = Vec::new();
        found.extend(waiting.in_service.as_ref().filter(is_old).cloned());
        let length = waiting.requests.len();
        let count = length.min(most.saturating_sub(found.len()));
        for step in 0..count {
            let request = &waiting.requests[(waiting.looked_at + step) % length];
            found.extend(request.waiter.as_ref().filter(is_old).cloned());
        }
        waiting.looked_at = (waiting.looked_at + count) % length.max(1);
        found
    }

    /// Replies to all waiting requests with an error.
    fn refuse_all(&self) {
        loop {
            while let Some(work) = self.take() {
                work(Err(Refused));
                self.pool.requests.fetch_sub(1, Ordering::SeqCst);
            }
            let mut waiting = self.waiting.lock();
            if waiting.requests.is_empty() {
                (waiting.is_active, waiting.is_in_service) = (false, false);
                waiting.in_service = None;
                return;
            }
        }
    }
}

impl Offload {
    /// Sums of all tenants' open files and cached bytes.
    pub(crate) fn totals(&self) -> &Arc<Totals> {
        &self.totals
    }

    fn one_more_request(&self) {
        // Sequentially consistent with `wait_for_requests`: it sees the request, or it is woken.
        self.requests.fetch_add(1, Ordering::SeqCst);
        if self.watcher_sleeps.load(Ordering::SeqCst)
            && self.watcher_sleeps.swap(false, Ordering::SeqCst)
            && let Some(watcher) = self.watcher.get()
        {
            watcher.unpark();
        }
    }

    /// Blocks until a request waits or is in service. For one thread of the process.
    pub fn wait_for_requests(&self) {
        let _ = self.watcher.set(std::thread::current());
        self.watcher_sleeps.store(true, Ordering::SeqCst);
        if self.requests.load(Ordering::SeqCst) > 0 {
            self.watcher_sleeps.store(false, Ordering::SeqCst);
        }
        while self.watcher_sleeps.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }

    fn make_ready(self: &Arc<Self>, queue: Arc<Queue>) {
        let mut state = self.state.lock();
        state.ready.push_back(queue);
        // One idle thread per queue: queues that become ready at once must not wait in line.
        if state.ready.len() <= state.idle {
            self.more.notify_one();
            return;
        }
        if state.threads >= budgets::OFFLOAD_THREADS {
            return;
        }
        state.threads += 1;
        drop(state);
        let pool = Arc::clone(self);
        let thread = std::thread::Builder::new().name("offload".into());
        let Err(error) = thread.spawn(move || pool.run()) else {
            return;
        };
        log::warn!("cannot start an offload thread: {error} (raise TasksMax= of the unit)");
        let mut state = self.state.lock();
        state.threads -= 1;
        if state.threads == 0 {
            let left: Vec<_> = state.ready.drain(..).collect();
            drop(state);
            left.iter().for_each(|queue| queue.refuse_all());
        }
    }

    fn run(&self) {
        while let Some(queue) = self.next() {
            if queue.serve_next() {
                // Goes behind the other queues; this thread takes the first of them.
                self.state.lock().ready.push_back(queue);
            }
        }
    }

    fn next(&self) -> Option<Arc<Queue>> {
        let mut state = self.state.lock();
        loop {
            if let Some(queue) = state.ready.pop_front() {
                return Some(queue);
            }
            state.idle += 1;
            let wait = self.more.wait_for(&mut state, LINGER);
            state.idle -= 1;
            if wait.timed_out() && state.ready.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    /// Returns the bytes charged for all waiting requests.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the bytes of contents and listings that open files of all tenants cache.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.totals.bytes()
    }

    /// Returns the number of threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.state.lock().threads
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    fn served(work: impl FnOnce() + Send + 'static) -> Work {
        Box::new(move |admitted| {
            assert_eq!(admitted, Ok(()));
            work();
        })
    }

    #[test]
    fn a_queue_is_served_in_order_by_one_thread_at_a_time() {
        let pool = Arc::new(Offload::default());
        let queue = Queue::new(&pool);
        for _ in 0..3 {
            let (go_on, stop) = mpsc::channel::<()>();
            let (tell, told) = mpsc::channel();
            queue.give(0, served(move || assert!(stop.recv().is_err())));
            for number in 0..100 {
                let tell = tell.clone();
                queue.give(
                    0,
                    served(move || {
                        tell.send(number).unwrap();
                        assert_ne!(number, 50, "on purpose");
                    }),
                );
            }
            drop(tell);
            assert!(told.try_recv().is_err());
            assert!(pool.threads() == 1 && queue.len() >= 100);
            assert!(queue.waiting_bytes() >= 100 * budgets::WAITING_REQUEST);
            drop(go_on);
            let done: Vec<_> = told.iter().collect();
            assert_eq!(done, (0..100).collect::<Vec<_>>());
        }
        // Idle threads exit.
        let asked = Instant::now();
        while pool.threads() > 0 {
            assert!(asked.elapsed() < Duration::from_secs(30));
            std::thread::yield_now();
        }
        assert_eq!(pool.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_queue_that_is_stuck_delays_no_other() {
        let pool = Arc::new(Offload::default());
        let (stuck, other) = (Queue::new(&pool), Queue::new(&pool));
        let (go_on, stop) = mpsc::channel::<()>();
        stuck.give(0, served(move || assert!(stop.recv().is_err())));
        (0..100).for_each(|_| stuck.give(0, served(|| ())));
        for _ in 0..100 {
            let (tell, told) = mpsc::channel();
            other.give(0, served(move || tell.send(()).unwrap()));
            told.recv_timeout(Duration::from_secs(30)).unwrap();
        }
        assert!(stuck.len() >= 99);
        drop(go_on);
    }

    #[test]
    fn waiters_are_looked_at_in_turn() {
        let pool = Arc::new(Offload::default());
        let queue = Queue::new(&pool);
        let watcher = {
            let pool = Arc::clone(&pool);
            std::thread::spawn(move || pool.wait_for_requests())
        };
        let (go_on, stop) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let waiter = |number| Some(Arc::new(Waiter::new(number, 1, true)));
        let begin = served(move || {
            tell.send(()).unwrap();
            assert!(stop.recv().is_err());
        });
        queue.give_for(waiter(100), 0, begin);
        watcher.join().unwrap();
        told.recv_timeout(Duration::from_secs(30)).unwrap();
        (0..5).for_each(|number| queue.give_for(waiter(number), 0, served(|| ())));
        queue.give(0, served(|| ()));
        let look = || {
            let waiters = queue.waiters(Duration::ZERO, 3);
            waiters
                .iter()
                .map(|waiter| waiter.unique)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            [look(), look(), look()],
            [vec![100, 0, 1], vec![100, 2, 3], vec![100, 4]]
        );
        let all = queue.waiters(Duration::ZERO, 10);
        assert!(all.len() == 6 && all.iter().all(|waiter| waiter.interrupt()));
        assert!(look().is_empty());
        assert!(queue.is_active() && queue.is_in_service());
        drop(go_on);
    }

    #[test]
    fn what_has_no_room_is_refused_at_once() {
        let pool = Arc::new(Offload::default());
        let (full, other) = (Queue::new(&pool), Queue::new(&pool));
        let (go_on, stop) = mpsc::channel::<()>();
        full.give(0, served(move || assert!(stop.recv().is_err())));
        let (tell, told) = mpsc::channel();
        let most = budgets::WAITING_BYTES / budgets::WAITING_REQUEST + 10;
        for _ in 0..most {
            let tell = tell.clone();
            full.give(0, Box::new(move |admitted| tell.send(admitted).unwrap()));
        }
        assert_eq!(told.try_recv(), Ok(Err(Refused)));
        let (tell_other, told_other) = mpsc::channel();
        other.give(0, served(move || tell_other.send(()).unwrap()));
        told_other.recv_timeout(Duration::from_secs(30)).unwrap();
        drop((go_on, tell));
        let served = told.iter().filter(|admitted| admitted.is_ok()).count();
        let room = budgets::WAITING_BYTES / budgets::WAITING_REQUEST;
        assert!((room - 1..=room).contains(&served), "{served} of {room}");
    }
}
