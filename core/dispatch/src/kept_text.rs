//! What has been read of an open file, kept for the next process: so that nobody reads half of one
//! text and half of another.
//!
//! The next process knows how long the text was that was shown: there the file ends, for who has read
//! so far. If a part of it has been read, the text is kept as well, in memory that is bounded: for
//! all, and for each container, so that none can take it from the others. Who reads in pieces what
//! could not be kept gets an error after the process has ended, and begins anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use vistafs_handover::{Handover, OpenHandle, SMALL_TEXT};

/// What a text takes of a budget: a large one as much as 16 small ones.
const SMALL: usize = 1;
const LARGE: usize = 16;
/// What a container may take, and all callers on the host together.
const OF_CONTAINER: usize = 64;
const OF_HOST: usize = 256;

/// How much room those of one container take.
#[derive(Debug)]
pub(crate) struct Budget {
    taken: AtomicUsize,
    most: usize,
}

impl Default for Budget {
    /// A container's.
    fn default() -> Self {
        Self {
            taken: AtomicUsize::new(0),
            most: OF_CONTAINER,
        }
    }
}

impl Budget {
    /// The host's.
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

/// What is kept of one open file. At drop it stays for the next process.
#[derive(Debug)]
pub(crate) struct KeptText {
    handle: OpenHandle,
    budget: Arc<Budget>,
    cost: usize,
}

impl KeptText {
    /// Of a file that nothing has been read from. `None`: there is no room.
    pub(crate) fn open(
        handover: &Arc<Handover>,
        handle: u64,
        budget: impl FnOnce() -> Arc<Budget>,
    ) -> Option<Self> {
        let handle = handover.open_handle(handle)?;
        Some(Self::adopted(handle, budget()))
    }

    /// Of a file of an earlier process.
    pub(crate) fn adopted(handle: OpenHandle, budget: Arc<Budget>) -> Self {
        Self {
            handle,
            budget,
            cost: 0,
        }
    }

    /// Before the first piece of a text is shown: its first `to` bytes, or some that end there.
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
                // It has kept the place that it had.
                self.budget.taken.fetch_add(cost, Ordering::Relaxed);
            }
        } else if may_keep {
            self.budget.give_back(cost);
        }
    }

    /// Before the end of a text is shown, which its reader takes for the end of the file.
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
        // Shown again, it is the same place.
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
