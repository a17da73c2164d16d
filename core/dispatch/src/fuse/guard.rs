//! The scope of a request: its record in the shared state, its queue, its cost, and its panics.
//!
//! A panic would end fuser's event loop. So all work for a request, including the look-ups before
//! it and the drops after it, runs inside `catch_unwind`; fuser replies EIO for a dropped reply.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fuser::{FileHandle, INodeNo, Request};
use vistafs_container::{Caller, Queue, Waiter};
use vistafs_handover::{InFlight, Request as Noted};
use vistafs_view::Asker;

use super::{VistaFs, asker, report_panic};
use crate::abi::opcode;
use crate::dispatcher::schedule::{Admitted, Asks, Target, Turn};
use crate::{DispatchError, Dispatcher};

/// Requests per queue that are recorded while they wait. More would use the slots of requests in
/// service; a request is recorded when it is served at the latest.
const NOTED_WAITING: usize = 32;

/// The admission of a request, or its error.
pub(super) type Admission = Result<Admitted, DispatchError>;

/// Returns the record of a request with only a node.
pub(super) fn of_node(opcode: u32, node: INodeNo) -> Noted<'static> {
    of_file(opcode, node, FileHandle(0))
}

/// Returns the record of a request to an open file.
pub(super) fn of_file(opcode: u32, node: INodeNo, handle: FileHandle) -> Noted<'static> {
    Noted {
        opcode,
        node: node.0,
        handle: handle.0,
        ..Noted::default()
    }
}

/// Returns the record of a request about a name in a directory.
pub(super) fn of_name(opcode: u32, parent: INodeNo, name: &OsStr) -> Noted<'_> {
    Noted {
        opcode,
        node: parent.0,
        name: name.as_encoded_bytes(),
        ..Noted::default()
    }
}

/// A record that can wait with its request.
struct KeptNote {
    noted: Noted<'static>,
    name: Vec<u8>,
}

impl KeptNote {
    fn new(noted: &Noted<'_>) -> Self {
        Self {
            name: noted.name.to_vec(),
            noted: Noted {
                name: &[],
                view_name: "",
                ..*noted
            },
        }
    }

    fn begin(&self, dispatcher: &Dispatcher) -> Option<InFlight> {
        note(
            dispatcher,
            Noted {
                name: &self.name,
                ..self.noted
            },
        )
    }
}

/// Returns whether a lost reply leaks nothing: no handle, and no look-up that the kernel counts.
fn gives_nothing(opcode: u32) -> bool {
    matches!(
        opcode,
        opcode::READ | opcode::GETATTR | opcode::READLINK | opcode::READDIR | opcode::WRITE
    )
}

/// Records that a request is in flight, until the result is dropped: after the reply.
fn note(dispatcher: &Dispatcher, noted: Noted<'_>) -> Option<InFlight> {
    let handover = dispatcher.handover()?;
    let view = if noted.name.is_empty() {
        dispatcher.view_of(noted.node)
    } else {
        dispatcher.view_of_name(noted.node, OsStr::from_bytes(noted.name))
    };
    let (view, view_name) = view.unwrap_or_default();
    handover.begin(&Noted {
        view,
        view_name,
        ..noted
    })
}

/// A request until its reply.
struct RequestGuard<A> {
    target: Target,
    asker: Asker,
    in_flight: Option<InFlight>,
    answer: A,
    // Set while it waits, or has waited.
    waiter: Option<Arc<Waiter>>,
    // The open file of the request.
    handle: u64,
    // Dropped last.
    kept: Option<KeptNote>,
}

impl<A: FnOnce(&Dispatcher, Admission) + Send + 'static> RequestGuard<A> {
    fn run(mut self, dispatcher: &Dispatcher, caller: Option<Caller>) {
        // A crash is not charged to a container if no view serves the request.
        if let Some(tag) = dispatcher.tag(&self.target, caller.as_ref()) {
            self.begin_service(dispatcher, tag);
        }
        let answer = self.answer;
        dispatcher.serve(self.target, caller, self.asker, |admitted| {
            answer(dispatcher, Ok(admitted));
        });
        if self.waiter.is_some_and(|waiter| waiter.is_interrupted()) {
            dispatcher.served_for_nobody(self.handle);
        }
        drop(self.in_flight);
    }

    /// Runs the request at once, or queues it.
    fn place(mut self, dispatcher: &Arc<Dispatcher>, noted: &Noted<'_>, data: usize, turn: Turn) {
        // The tag of a caller whose container must be resolved.
        let mut tag = 0;
        let (queue, account, caller, lock) = match turn {
            Turn::Now(caller) => return self.run(dispatcher, caller),
            Turn::Refused(error) => return (self.answer)(dispatcher, Err(error)),
            Turn::Later(queue, account, caller) => (queue, account, Some(caller), None),
            Turn::Discover(account, lock) => {
                tag = account.tag();
                (Arc::clone(&account.work), account, None, lock)
            }
        };
        self.wait(&queue, noted);
        let Some(waiter) = self.waiter(noted) else {
            return (self.answer)(dispatcher, Err(DispatchError::Busy));
        };
        let waits = Arc::clone(&waiter);
        let dispatcher = Arc::clone(dispatcher);
        let serve = move |admitted: Result<(), _>| {
            if admitted.is_err() || !waits.begin_service() {
                (self.answer)(&dispatcher, Err(DispatchError::Busy));
                return;
            }
            // Keeps the account as long as its request waits or runs. Otherwise the next request of
            // an unresolved tenant would get a new account with its own queue and thread.
            let _account = account;
            if let Some(caller) = caller {
                self.run(&dispatcher, caller);
                return;
            }
            self.begin_service(&dispatcher, tag);
            let turn = dispatcher.discovered(&self.target, self.asker);
            let kept = self.kept.take();
            let noted = kept.as_ref().map(|kept| Noted {
                name: &kept.name,
                ..kept.noted
            });
            self.place(&dispatcher, &noted.unwrap_or_default(), data, turn);
            drop(lock);
        };
        queue.give_for(Some(waiter), data, Box::new(serve));
    }

    /// Returns the waiter by which the request can be interrupted. `None`: it was interrupted.
    fn waiter(&mut self, noted: &Noted<'_>) -> Option<Arc<Waiter>> {
        if let Some(waiter) = &self.waiter {
            return waiter.wait_again().then(|| Arc::clone(waiter));
        }
        let waiter = Waiter::new(noted.unique, self.asker.tid, gives_nothing(noted.opcode));
        let waiter = Arc::new(waiter);
        self.waiter = Some(Arc::clone(&waiter));
        Some(waiter)
    }

    fn wait(&mut self, queue: &Queue, noted: &Noted<'_>) {
        self.kept = Some(KeptNote::new(noted));
        if queue.len() >= NOTED_WAITING {
            self.in_flight = None;
        }
        self.in_flight.iter().for_each(InFlight::wait);
    }

    fn begin_service(&mut self, dispatcher: &Dispatcher, tag: u32) {
        if self.in_flight.is_none() {
            self.in_flight = self.kept.as_ref().and_then(|kept| kept.begin(dispatcher));
        }
        if let Some(in_flight) = &self.in_flight {
            in_flight.begin_service(tag);
        }
    }
}

impl VistaFs {
    /// Serves a request on the thread that may run it. `data`: bytes that it holds while it waits.
    pub(super) fn serve(
        &self,
        request: &Request,
        noted: Noted<'_>,
        (asks, data): (Asks, usize),
        answer: impl FnOnce(&Dispatcher, Admission) + Send + 'static,
    ) {
        let asker = asker(request);
        let noted = Noted {
            unique: request.unique().0,
            tid: asker.tid,
            uid: asker.uid,
            gid: asker.gid,
            ..noted
        };
        contained(|| {
            let in_flight = note(&self.dispatcher, noted);
            let target = self.dispatcher.target(asks);
            let turn = self.dispatcher.turn(&target, asker);
            let guard = RequestGuard {
                target,
                asker,
                in_flight,
                answer,
                waiter: None,
                handle: noted.handle,
                kept: None,
            };
            guard.place(&self.dispatcher, &noted, data, turn);
        });
    }

    /// Serves a request that gets a reply at once, for any caller.
    pub(super) fn serve_at_once(
        &self,
        request: &Request,
        noted: Noted<'_>,
        answer: impl FnOnce(&Dispatcher) + Send + 'static,
    ) {
        let answer = |dispatcher: &Dispatcher, _: Admission| answer(dispatcher);
        self.serve(request, noted, (Asks::Nothing, 0), answer);
    }
}

/// Runs `work` and logs a panic.
pub(super) fn contained(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        report_panic();
    }
}
