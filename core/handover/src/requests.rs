//! Requests in flight: read from /dev/fuse, and not answered yet.
//!
//! A slot is free (`FREE`), being filled by a thread (`FILLING`), or holds a request (`IN_FLIGHT`).
//! A slot that a killed worker was filling, or left with a request, is reused when a worker two
//! generations later needs room.

use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::time::Duration;

use rustix::time::ClockId;

use crate::Handover;
use crate::layout::requests::{
    CALLER, COUNT, FIRST, GROUP, HANDLE, LENGTHS, NAME, NAME_BYTES, NODE, OFFSET, OPCODE, SERVER,
    STARTED, STATE, TAKEN_OVER, UNIQUE, VIEW, VIEW_NAME, VIEW_NAME_BYTES, WORDS,
};
use crate::region::{load_bytes, pair, store_bytes, unpair};

const FREE: u32 = 0;
const FILLING: u32 = 1;
const IN_FLIGHT: u32 = 2;

/// Replaces the start of service of a request that is not served yet.
const WAITING: u64 = u64::MAX;

/// The kernel sets this bit in the number of a request that it resends.
pub const SENT_AGAIN: u64 = 1 << 63;

/// A request from the kernel, as far as needed to serve it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request<'a> {
    /// Its number.
    pub unique: u64,
    /// Opcode (FUSE_READ, ...).
    pub opcode: u32,
    /// Node.
    pub node: u64,
    /// Open handle; 0: none.
    pub handle: u64,
    /// Offset in bytes or entries.
    pub offset: u64,
    /// Size in bytes.
    pub size: u32,
    /// Flags of open(2).
    pub flags: u32,
    /// Thread ID of the caller.
    pub tid: u32,
    /// User ID of the caller.
    pub uid: u32,
    /// Group ID of the caller.
    pub gid: u32,
    /// Number of the view, the same in every worker; 0: none.
    pub view: u64,
    /// Name of the view, for processes that do not know the number.
    pub view_name: &'a str,
    /// Name to look up.
    pub name: &'a [u8],
}

/// A request that a worker has read and not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its number.
    pub unique: u64,
    /// Opcode.
    pub opcode: u32,
    /// Node.
    pub node: u64,
    /// Open handle.
    pub handle: u64,
    /// Offset in bytes or entries.
    pub offset: u64,
    /// Size in bytes.
    pub size: u32,
    /// Flags of open(2).
    pub flags: u32,
    /// Thread ID of the caller.
    pub tid: u32,
    /// User ID of the caller.
    pub uid: u32,
    /// Group ID of the caller.
    pub gid: u32,
    /// Number of the view.
    pub view: u64,
    /// Name of the view; empty: none.
    pub view_name: String,
    /// Name to look up. `None`: it was too long to be recorded.
    pub name: Option<OsString>,
    /// The worker that read it.
    pub generation: u32,
    /// Start of service, CLOCK_MONOTONIC. `None`: the container is not known yet, or the request
    /// waits in the container's queue.
    pub started: Option<Duration>,
    /// Thread ID of the worker's thread that serves it.
    pub server: u32,
    /// Number of workers that took the request over.
    pub taken_over: u32,
    /// Tag of the charged container; 0: none.
    pub container: u32,
    slot: usize,
}

/// A request is in flight until this is dropped.
#[derive(Debug)]
#[must_use = "the request is noted for as long as this is kept"]
pub struct InFlight {
    handover: Arc<Handover>,
    slot: usize,
    state: u64,
}

impl InFlight {
    /// Marks the request as waiting for other requests of its container. It then does not count as
    /// stuck, nor as served at a crash.
    pub fn wait(&self) {
        // A later worker may own the slot by now: its request is then not detected as stuck.
        self.words()[STARTED].store(WAITING, Ordering::Relaxed);
    }

    /// Marks the request as served for a container with this tag (0: none).
    pub fn begin_service(&self, container: u32) {
        let words = self.words();
        words[TAKEN_OVER].store(pair(container, 0), Ordering::Relaxed);
        store_server(words);
    }

    fn words(&self) -> &[AtomicU64] {
        self.handover.slot(self.slot)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // After the reply: a worker killed in between leaves a request that is answered twice, and
        // the kernel refuses the second reply. A worker that coexists with two later ones may have
        // lost the slot.
        let free = self.state & !u64::from(u32::MAX) | u64::from(FREE);
        let state = &self.handover.slot(self.slot)[STATE];
        let _ = state.compare_exchange(self.state, free, Ordering::Release, Ordering::Relaxed);
    }
}

thread_local! {
    /// Slot that this thread used last.
    static HINT: Cell<usize> = Cell::new({
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // Spread out, so that a few threads do not collide.
        NEXT.fetch_add(16, Ordering::Relaxed) % COUNT
    });
}

impl Handover {
    /// Records a request, not served yet. `None`: the table is full, and it is served unrecorded.
    #[must_use]
    pub fn begin(self: &Arc<Self>, request: &Request<'_>) -> Option<InFlight> {
        // Before the request is visible: a worker that is stopped with a request has woken its
        // supervisor.
        self.wake();
        let slot = self.take_slot()?;
        let words = self.slot(slot);
        let store = |word: usize, value: u64| words[word].store(value, Ordering::Relaxed);
        let view_name = shortened(request.view_name, VIEW_NAME_BYTES).as_bytes();
        // A name that does not fit is dropped: a part of it is useless.
        let name = Some(request.name).filter(|name| name.len() <= NAME_BYTES);
        let name_length = name.map_or(u32::MAX, length);
        store(UNIQUE, request.unique);
        store(STARTED, WAITING);
        store(OPCODE, pair(request.opcode, request.size));
        store(NODE, request.node);
        store(HANDLE, request.handle);
        store(OFFSET, request.offset);
        store(CALLER, pair(request.tid, request.uid));
        store(GROUP, pair(request.gid, request.flags));
        store(VIEW, request.view);
        store(TAKEN_OVER, 0);
        store(LENGTHS, pair(length(view_name), name_length));
        store_bytes(&words[VIEW_NAME..NAME], view_name);
        store_bytes(&words[NAME..SERVER], name.unwrap_or_default());
        let state = pair(self.generation(), IN_FLIGHT);
        words[STATE].store(state, Ordering::Release);
        // The supervisor may have fallen asleep meanwhile.
        self.wake();
        Some(InFlight {
            handover: Arc::clone(self),
            slot,
            state,
        })
    }

    /// Requests that were read and not answered, of dead and of living workers.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Unfinished> {
        (0..COUNT).filter_map(|slot| self.read_slot(slot)).collect()
    }

    /// Whether a worker has an unanswered request, read or taken over, or is recording one.
    #[must_use]
    pub fn has_request(&self, generation: u32) -> bool {
        (0..COUNT).any(|slot| {
            let (of, status) = unpair(self.slot(slot)[STATE].load(Ordering::SeqCst));
            of == generation && status != FREE
        })
    }

    /// Highest number of all recorded requests, answered or not.
    #[must_use]
    pub fn highest_unique(&self) -> u64 {
        let unique = |slot| self.slot(slot)[UNIQUE].load(Ordering::Relaxed) & !SENT_AGAIN;
        (0..COUNT).map(unique).max().unwrap_or(0)
    }

    /// Takes over the requests of earlier workers. To be called before reading requests, when the
    /// earlier workers are dead.
    #[must_use]
    pub fn take_over_unfinished(&self) -> Vec<Unfinished> {
        let mut taken = self.unfinished();
        taken.retain_mut(|request| {
            let generation = self.generation();
            if request.generation == generation {
                return false;
            }
            request.taken_over = request.taken_over.saturating_add(1);
            let words = self.slot(request.slot);
            let taken_over = pair(request.container, request.taken_over);
            words[TAKEN_OVER].store(taken_over, Ordering::Relaxed);
            words[STARTED].store(WAITING, Ordering::Relaxed);
            words[STATE].store(pair(generation, IN_FLIGHT), Ordering::Release);
            request.generation = generation;
            request.started = None;
            true
        });
        taken
    }

    /// Marks a taken-over request as served by this thread for a container, whose tag this is (0: for none).
    pub fn begin_again(&self, request: &Unfinished, container: u32) {
        let words = self.slot(request.slot);
        words[TAKEN_OVER].store(pair(container, request.taken_over), Ordering::Relaxed);
        store_server(words);
    }

    /// A request that was taken over is answered, or the kernel will resend it.
    pub fn settle(&self, request: &Unfinished) {
        let [taken, free] = [IN_FLIGHT, FREE].map(|status| pair(request.generation, status));
        let state = &self.slot(request.slot)[STATE];
        // Unless another request has the slot by now.
        let _ = state.compare_exchange(taken, free, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Takes over requests that the kernel resends: frees their slots and returns them for the log.
    #[must_use]
    pub fn leave_unfinished(&self) -> Vec<Unfinished> {
        let left = self.take_over_unfinished();
        left.iter().for_each(|request| self.settle(request));
        left
    }

    fn slot(&self, slot: usize) -> &[AtomicU64] {
        self.region.words(FIRST + slot % COUNT * WORDS, WORDS)
    }

    fn take_slot(&self) -> Option<usize> {
        let hint = HINT.get();
        let generation = self.generation();
        let free = |slot: &usize| {
            let state = &self.slot(*slot)[STATE];
            let seen = state.load(Ordering::Relaxed);
            let (of, status) = unpair(seen);
            // The previous worker is dead or ending; its requests are answered, or searched for in
            // its slots. Workers before it have no unanswered requests.
            let is_old = generation.wrapping_sub(of) >= 2 && of != 0;
            (status == FREE || is_old)
                && state
                    .compare_exchange(
                        seen,
                        pair(generation, FILLING),
                        // One of the four accesses of `asleep.rs`.
                        Ordering::SeqCst,
                        Ordering::Relaxed,
                    )
                    .is_ok()
        };
        let slot = (0..COUNT).map(|step| (hint + step) % COUNT).find(free)?;
        HINT.set(slot);
        Some(slot)
    }

    fn read_slot(&self, slot: usize) -> Option<Unfinished> {
        let words = self.slot(slot);
        let before = words[STATE].load(Ordering::Acquire);
        let (generation, status) = unpair(before);
        if status != IN_FLIGHT {
            return None;
        }
        let load = |word: usize| words[word].load(Ordering::Relaxed);
        // Before the container, which is stored before this.
        let started = words[STARTED].load(Ordering::Acquire);
        let (opcode, size) = unpair(load(OPCODE));
        let (tid, uid) = unpair(load(CALLER));
        let (gid, flags) = unpair(load(GROUP));
        let (view_length, name_length) = unpair(load(LENGTHS));
        let (container, taken_over) = unpair(load(TAKEN_OVER));
        let mut view_name = Vec::new();
        load_bytes(
            &words[VIEW_NAME..NAME],
            size_of(view_length),
            &mut view_name,
        );
        let name = (size_of(name_length) <= NAME_BYTES).then(|| {
            let mut name = Vec::new();
            load_bytes(&words[NAME..SERVER], size_of(name_length), &mut name);
            OsString::from_vec(name)
        });
        let request = Unfinished {
            unique: load(UNIQUE),
            opcode,
            node: load(NODE),
            handle: load(HANDLE),
            offset: load(OFFSET),
            size,
            flags,
            tid,
            uid,
            gid,
            view: load(VIEW),
            view_name: String::from_utf8_lossy(&view_name).into_owned(),
            name,
            generation,
            started: Some(started)
                .filter(|started| *started != WAITING)
                .map(Duration::from_nanos),
            server: u32::try_from(load(SERVER)).unwrap_or(0),
            taken_over,
            container,
            slot,
        };
        // A living worker may have reused the slot by now.
        fence(Ordering::Acquire);
        (words[STATE].load(Ordering::Relaxed) == before).then_some(request)
    }
}

/// This thread serves the request of a slot from now on.
fn store_server(words: &[AtomicU64]) {
    thread_local! {
        static THREAD: u64 = u64::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap_or(0);
    }
    words[SERVER].store(THREAD.with(|tid| *tid), Ordering::Relaxed);
    // Last: a request that is served has its container and its thread.
    words[STARTED].store(now(), Ordering::Release);
}

fn now() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let rest = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn size_of(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn shortened(name: &str, most: usize) -> &str {
    let mut end = name.len().min(most);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests;
