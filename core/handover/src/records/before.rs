//! Records of layout 1: each container has room for six of the longest, side by side.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Handover;
use crate::layout::before::{BEGUN, of_container};
use crate::layout::containers::{COUNT, RECORDS};
use crate::layout::record;

impl Handover {
    /// The record of that name; with `claim`, allocated if missing.
    pub(super) fn record_before(
        &self,
        container: usize,
        name: u64,
        claim: bool,
    ) -> Option<&[AtomicU64]> {
        // Records are allocated in order: after the first free one there are none, and their pages
        // are not even read.
        let own_or_free = || {
            let mut records = (0..RECORDS).map(|record| self.words_before(container, record));
            let named = |words: &&[AtomicU64]| words[record::NAME].load(Ordering::Acquire);
            let found = records.find(|words| matches!(named(words), 0) || named(words) == name)?;
            Some((found, named(&found) == name))
        };
        match own_or_free()? {
            (found, true) => return Some(found),
            (_, false) if !claim => return None,
            _ => {}
        }
        let _claiming = self.claiming.lock();
        let (found, _) = own_or_free()?;
        found[record::NAME].store(name, Ordering::Release);
        Some(found)
    }

    /// Releases all records of a container and returns their pages to the kernel.
    pub(super) fn clear_before(&self, container: usize) {
        let count = of_container(self.record_bytes);
        if self
            .region
            .give_back(BEGUN + container % COUNT * count, count)
        {
            return;
        }
        for number in 0..RECORDS {
            let words = self.words_before(container, number);
            words[record::NAME].store(0, Ordering::Relaxed);
            for place in super::places(words) {
                place[0].store(0, Ordering::Relaxed);
            }
        }
    }

    fn words_before(&self, container: usize, number: usize) -> &[AtomicU64] {
        let count = record::words(self.record_bytes);
        let first = BEGUN + (container % COUNT * RECORDS + number) * count;
        self.region.words(first, count)
    }
}
