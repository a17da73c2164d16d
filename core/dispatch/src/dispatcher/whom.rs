//! Caches the caller of the request that this thread serves.

use std::cell::RefCell;

use vistafs_container::{Caller, ContainerError, Containers};

thread_local! {
    static KNOWN: RefCell<Option<(u32, Caller)>> = const { RefCell::new(None) };
}

/// A guard: this thread caches the caller until it is dropped.
#[must_use]
pub(crate) struct Known;

impl Known {
    pub(crate) fn set(tid: u32, caller: Caller) -> Self {
        KNOWN.set(Some((tid, caller)));
        Self
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        KNOWN.take();
    }
}

/// Returns the cached caller of this thread, or resolves it.
pub(crate) fn caller(containers: &Containers, tid: u32) -> Result<Caller, ContainerError> {
    let known = KNOWN.with_borrow(|known| {
        let is_it = |known: &&(u32, Caller)| known.0 == tid;
        known
            .as_ref()
            .filter(is_it)
            .map(|(_, caller)| caller.clone())
    });
    known.map_or_else(|| containers.caller(tid), Ok)
}
