//! The caller of a queued request, so that a killed caller need not wait for its turn.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

const WAITING: u8 = 0;
const IN_SERVICE: u8 = 1;
const INTERRUPTED: u8 = 2;

/// A request that waits or is in service, and its caller.
#[derive(Debug)]
pub struct Waiter {
    /// The FUSE `unique` ID of the request.
    pub unique: u64,
    /// The thread that issued the request.
    pub tid: u32,
    since: Instant,
    stage: AtomicU8,
    // The reply carries no resource that would leak if it were lost, such as a file handle.
    gives_nothing: bool,
}

impl Waiter {
    /// `gives_nothing`: losing the reply leaks nothing, so it may be interrupted in service too.
    #[must_use]
    pub fn new(unique: u64, tid: u32, gives_nothing: bool) -> Self {
        Self {
            unique,
            tid,
            since: Instant::now(),
            stage: AtomicU8::new(WAITING),
            gives_nothing,
        }
    }

    /// Returns the time at which the request was queued.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// Marks the request as in service. `false`: it was interrupted and must not be served.
    #[must_use]
    pub fn begin_service(&self) -> bool {
        self.change(WAITING, IN_SERVICE)
    }

    /// Marks the request as waiting in another queue. `false`: it was interrupted.
    #[must_use]
    pub fn wait_again(&self) -> bool {
        self.change(IN_SERVICE, WAITING)
    }

    /// Interrupts the request if that is possible now. On `true`, the calling function replies.
    #[must_use]
    pub fn interrupt(&self) -> bool {
        self.change(WAITING, INTERRUPTED)
            || self.gives_nothing && self.change(IN_SERVICE, INTERRUPTED)
    }

    /// Returns whether it was interrupted.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.stage.load(Ordering::Acquire) == INTERRUPTED
    }

    fn change(&self, from: u8, to: u8) -> bool {
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        self.stage.compare_exchange(from, to, set, fetch).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_a_handle_out_is_interrupted_before_its_service_only() {
        for gives_nothing in [false, true] {
            let waiter = Waiter::new(2, 1, gives_nothing);
            assert!(waiter.begin_service() && waiter.wait_again() && waiter.begin_service());
            assert_eq!(waiter.interrupt(), gives_nothing);
            assert_eq!(waiter.is_interrupted(), gives_nothing);
            assert_eq!(waiter.wait_again(), !gives_nothing);
        }
        let waiter = Waiter::new(2, 1, false);
        assert!(waiter.interrupt() && !waiter.begin_service() && !waiter.interrupt());
    }
}
