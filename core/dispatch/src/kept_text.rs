//! Persists the contents that an open file has returned, so that a reader never gets parts of two
//! renderings after a restart of the worker.
//!
//! The successor knows the length of the contents at which a reader has reached the end of the
//! file. If only a part was read, the contents are stored too, in memory that is bounded in total
//! and per container. If they do not fit, a reader that continues after the process has ended gets
//! an error and must start again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use vistafs_handover::{Handover, OpenHandle, SMALL_TEXT};

/// Cost of stored contents in a budget: a large one costs as much as 16 small ones.
const SMALL: usize = 1;
const LARGE: usize = 16;
/// Budgets of a container, and of all callers on the host together.
const OF_CONTAINER: usize = 64;
const OF_HOST: usize = 256;

/// A budget for the stored contents of one container.
#[derive(Debug)]
pub(crate) struct Budget {
    taken: AtomicUsize,
    most: usize,
}

impl Default for Budget {
    /// The budget of a container.
    fn default() -> Self {
        Self {
            taken: AtomicUsize::new(0),
            most: OF_CONTAINER,
        }
    }
}

impl Budget {
    /// Returns the budget of the host.
    pub(crate) fn of_host() -> Self {
        Self {
            most: OF_HOST,
            ..Self::default()
        }
    }

    fn take(&self, cost: usize) -> bool {
        let within = |taken: usize| taken.checked_add(cost).filter(|taken| *taken <= self.most);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.taken.fetch_update(set, fetch, within).is_ok()
    }

    fn give_back(&self, cost: usize) {
        self.taken.fetch_sub(cost, Ordering::Relaxed);
    }
}

/// The persisted state of one open file. It is not removed on drop, so that a successor finds it.
#[derive(Debug)]
pub(crate) struct KeptText {
    handle: OpenHandle,
    budget: Arc<Budget>,
    cost: usize,
}

impl KeptText {
    /// Creates the state of a file before its first read. `None`: there is no room.
    pub(crate) fn open(
        handover: &Arc<Handover>,
        handle: u64,
        budget: impl FnOnce() -> Arc<Budget>,
    ) -> Option<Self> {
        let handle = handover.open_handle(handle)?;
        Some(Self::adopted(handle, budget()))
    }

    /// Continues the state of an earlier process.
    pub(crate) fn adopted(handle: OpenHandle, budget: Arc<Budget>) -> Self {
        Self {
            handle,
            budget,
            cost: 0,
        }
    }

    /// Stores the contents before their first part, which ends at `to`, is returned.
    pub(crate) fn show(&mut self, text: &[u8], to: usize) {
        if to >= text.len() {
            self.show_whole(text.len(), false);
            return;
        }
        let cost = if text.len() <= SMALL_TEXT {
            SMALL
        } else {
            LARGE
        };
        let before = std::mem::take(&mut self.cost);
        self.budget.give_back(before);
        let may_keep = self.budget.take(cost);
        if self.handle.show_part(text, may_keep) {
            self.cost = cost;
            if !may_keep {
                // It has kept the slot that it had.
                self.budget.taken.fetch_add(cost, Ordering::Relaxed);
            }
        } else if may_keep {
            self.budget.give_back(cost);
        }
    }

    /// Stores the length before a reader gets the end of the file.
    pub(crate) fn end(&mut self, length: usize) {
        self.show_whole(length, true);
    }

    fn show_whole(&mut self, length: usize, ended: bool) {
        self.handle.show_whole(length, ended);
        self.budget.give_back(std::mem::take(&mut self.cost));
    }
}

impl Drop for KeptText {
    fn drop(&mut self) {
        self.budget.give_back(self.cost);
    }
}

#[cfg(test)]
mod tests {
    use vistafs_handover::Shown;

    use super::*;

    #[test]
    fn a_container_has_no_more_than_its_share() {
        let handover = Handover::create().unwrap();
        let budget = Arc::new(Budget::default());
        let taken = || budget.taken.load(Ordering::Relaxed);
        let open = |handle| KeptText::open(&handover, handle, || Arc::clone(&budget)).unwrap();
        let mut files: Vec<_> = (1..=100).map(open).collect();
        let is_kept = |handle: u64| {
            let (_, shown) = handover.adopt_handle(handle).unwrap();
            matches!(shown, Some(Shown::Part(_)))
        };
        files.iter_mut().for_each(|file| file.show(b"a text", 3));
        assert_eq!((1..=100).filter(|n| is_kept(*n)).count(), OF_CONTAINER);
        assert_eq!(taken(), OF_CONTAINER);
        // Stored again, it uses the same slot.
        files[0].show(b"another text", 3);
        assert!(is_kept(1) && taken() == OF_CONTAINER);
        files[1].end(6);
        assert_eq!(taken(), OF_CONTAINER - 1);
        files[99].show(b"a text", 3);
        assert!(is_kept(100) && taken() == OF_CONTAINER);
        files[2].show(&vec![7; SMALL_TEXT + 1], 3);
        assert!(!is_kept(3), "it costs more than what was given back");
        files.clear();
        assert_eq!(taken(), 0);
    }
}
