//! State written into open files that the next worker writes again, because the descriptor ends
//! with the worker: triggers of pressure files.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::layout::head;
use crate::layout::written::{BYTES, COUNT, HANDLE, LENGTH, NEIGHBOURS, OF, SUM, WORDS};
use crate::region::{WORD, checksum, load_bytes, store_bytes};
use crate::{ContainerKey, Handover};

/// Maximum length of the stored state of an open file, in bytes.
pub const MOST_WRITTEN: usize = (WORDS - BYTES) * WORD;

impl Handover {
    /// Replaces the written state of an open file of a container. `false`: the table is full, or the
    /// memory's version has no such table.
    pub fn keep_written(&self, handle: u64, of: ContainerKey, bytes: &[u8]) -> bool {
        if bytes.len() > MOST_WRITTEN || handle == 0 {
            return false;
        }
        let had = self.find_written(handle);
        let Some(words) = had.or_else(|| self.claim_written(handle)) else {
            return false;
        };
        words[LENGTH].store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, key) in words[OF..].iter().zip(of.words()) {
            word.store(key, Ordering::Relaxed);
        }
        store_bytes(&words[BYTES..], bytes);
        words[SUM].store(checksum(bytes), Ordering::Relaxed);
        words[LENGTH].store(bytes.len() as u64 + 1, Ordering::Release);
        true
    }

    /// Returns the written state of an open file, if the container is the same.
    #[must_use]
    pub fn written(&self, handle: u64, of: ContainerKey) -> Option<Vec<u8>> {
        let words = self.find_written(handle)?;
        let length = words[LENGTH].load(Ordering::Acquire).checked_sub(1)?;
        let length = usize::try_from(length).ok()?;
        let is_of = [0, 1].map(|word| words[OF + word].load(Ordering::Relaxed)) == of.words();
        let mut bytes = Vec::new();
        load_bytes(&words[BYTES..], length, &mut bytes);
        let is_whole =
            bytes.len() == length && checksum(&bytes) == words[SUM].load(Ordering::Relaxed);
        (is_of && is_whole).then_some(bytes)
    }

    /// Drops the state: the file is closed, or the state is no longer valid.
    pub fn forget_written(&self, handle: u64) {
        if let Some(words) = self.find_written(handle) {
            words[LENGTH].store(0, Ordering::Relaxed);
            words[HANDLE].store(0, Ordering::Release);
            self.count_one_less();
        }
    }

    /// Increments the counter in the head, if the layout has it.
    fn count_one_more(&self) {
        if self.counts_written() {
            self.count_of_written().fetch_add(1, Ordering::AcqRel);
        }
    }

    fn count_one_less(&self) {
        if self.counts_written() {
            self.count_of_written().fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn count_of_written(&self) -> &AtomicU64 {
        &self.region.words(0, head::WORDS)[head::WRITTEN]
    }

    fn has_written(&self) -> bool {
        !self.counts_written() || self.count_of_written().load(Ordering::Acquire) > 0
    }

    fn claim_written(&self, handle: u64) -> Option<&[AtomicU64]> {
        // Before the claim: a worker killed in between leaves the counter one too high, which only
        // costs a search.
        self.count_one_more();
        let claimed = self.near_written(handle).find(|words| {
            words[HANDLE]
                .compare_exchange(0, handle, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        if claimed.is_none() {
            self.count_one_less();
        }
        claimed
    }

    fn find_written(&self, handle: u64) -> Option<&[AtomicU64]> {
        // Every close searches here, and a search would allocate untouched pages.
        if !self.has_written() {
            return None;
        }
        let is_it = |words: &&[AtomicU64]| words[HANDLE].load(Ordering::Acquire) == handle;
        self.near_written(handle)
            .find(is_it)
            .filter(|_| handle != 0)
    }

    fn near_written(&self, handle: u64) -> impl Iterator<Item = &[AtomicU64]> {
        let home = usize::try_from(handle % COUNT as u64).unwrap_or(0);
        let places = (0..NEIGHBOURS).map(move |step| (home + step) % COUNT);
        places.filter_map(|place| Some(self.region.words(self.written? + place * WORDS, WORDS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unneeded_search_allocates_no_page() {
        use std::os::fd::AsFd;
        let handover = Handover::create().unwrap();
        let blocks = || rustix::fs::fstat(handover.as_fd()).unwrap().st_blocks;
        let (before, key) = (blocks(), ContainerKey::new(b"one"));
        (1..10_000).for_each(|handle| handover.forget_written(handle));
        assert_eq!(handover.written(7, key), None);
        assert_eq!(blocks(), before);
        // The same holds after all files are closed.
        assert!(handover.keep_written(7, key, b"a trigger"));
        assert!(handover.written(7, key).is_some());
        handover.forget_written(7);
        let one = blocks();
        (1..10_000).for_each(|handle| handover.forget_written(handle));
        assert_eq!(blocks(), one);
    }

    #[test]
    fn what_was_written_is_kept_until_the_file_is_closed() {
        let handover = Handover::create().unwrap();
        let [one, other] = [b"one", b"two"].map(|name| ContainerKey::new(name));
        let twin = 5 + COUNT as u64;
        assert!(handover.keep_written(5, one, b"a trigger"));
        assert!(handover.keep_written(twin, other, b""));
        assert_eq!(handover.written(5, one), Some(b"a trigger".to_vec()));
        assert_eq!(handover.written(twin, other), Some(Vec::new()));
        // Another container has the descriptor.
        assert_eq!(handover.written(5, other), None);
        assert!(handover.keep_written(5, one, b"another"));
        assert_eq!(handover.written(5, one), Some(b"another".to_vec()));
        handover.forget_written(5);
        assert_eq!(handover.written(5, one), None);
        assert_eq!(handover.written(twin, other), Some(Vec::new()));
        assert_eq!(
            (handover.written(0, one), handover.written(7, one)),
            (None, None)
        );
        assert!(!handover.keep_written(0, one, b"x"));

        assert!(handover.keep_written(7, one, &[1; MOST_WRITTEN]));
        assert!(!handover.keep_written(8, one, &[1; MOST_WRITTEN + 1]));
        // Half written.
        handover.find_written(7).unwrap()[BYTES].store(0, Ordering::Relaxed);
        assert_eq!(handover.written(7, one), None);
        let kept = (100..100_000).filter(|n| handover.keep_written(*n, one, b"x"));
        let kept = kept.count();
        assert!(kept <= COUNT && kept > COUNT / 2);
    }
}
