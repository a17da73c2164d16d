//! Contents shown through each open handle, so that the next worker does not continue one text with
//! another.
//!
//! The length of the contents is stored for every handle that was read: it is the end of file for
//! its reader. The contents are stored only while a part of them has been read, which is rare.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::Handover;
use crate::layout::handles;
use crate::layout::texts::{
    COUNT, FIRST, HANDLE, LARGE_BYTES, LENGTH, SMALL, SMALL_BYTES, SUM, WORDS, bytes_of,
};
use crate::region::{checksum, load_bytes, pair, store_bytes, unpair};

/// All of it has been read.
const WHOLE: u32 = u32::MAX;
/// All of it and the end of file have been read.
const ENDED: u32 = u32::MAX - 1;
/// A part of it has been read, and the rest is not stored.
const LOST: u32 = 0;

/// Maximum length of a small text; there is room for many small texts.
pub const SMALL_TEXT: usize = SMALL_BYTES;

/// Contents that an earlier worker showed through a handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Complete contents of this length. `ended`: the end of file was read, too.
    Whole {
        /// In bytes.
        length: u64,
        /// Whether the reader has seen the end of file.
        ended: bool,
    },
    /// A part of these contents.
    Part(Vec<u8>),
    /// A part of contents that were not stored.
    Lost,
}

/// The stored state of an open handle. Drop releases nothing: the handle may outlive the process.
#[derive(Debug)]
pub struct OpenHandle {
    handover: Arc<Handover>,
    handle: u64,
    entry: usize,
}

impl Handover {
    /// Starts to store the state of a new handle. `None`: the table is full.
    #[must_use]
    pub fn open_handle(self: &Arc<Self>, handle: u64) -> Option<OpenHandle> {
        let entry = entries(handle).find(|entry| {
            self.handle(*entry)[handles::HANDLE]
                .compare_exchange(0, handle, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        })?;
        self.handle(entry)[handles::SHOWN].store(pair(0, LOST), Ordering::Release);
        Some(self.opened(handle, entry))
    }

    /// Adopts a handle of an earlier worker with the contents shown through it; inner `None`: it was
    /// about to show some. Outer `None`: no read was recorded.
    #[must_use]
    pub fn adopt_handle(self: &Arc<Self>, handle: u64) -> Option<(OpenHandle, Option<Shown>)> {
        let entry = self.find_handle(handle)?;
        let (length, text) = unpair(self.handle(entry)[handles::SHOWN].load(Ordering::Acquire));
        let shown = match text {
            LOST if length == 0 => None,
            WHOLE | ENDED => Some(Shown::Whole {
                length: length.into(),
                ended: text == ENDED,
            }),
            text => Some(match self.text(handle, length, text) {
                Some(text) => Shown::Part(text),
                None => Shown::Lost,
            }),
        };
        Some((self.opened(handle, entry), shown))
    }

    /// Releases a closed handle of any worker.
    pub fn close_handle(self: &Arc<Self>, handle: u64) {
        if let Some(entry) = self.find_handle(handle) {
            self.opened(handle, entry).close();
        }
    }

    fn opened(self: &Arc<Self>, handle: u64, entry: usize) -> OpenHandle {
        OpenHandle {
            handover: Arc::clone(self),
            handle,
            entry,
        }
    }

    fn find_handle(&self, handle: u64) -> Option<usize> {
        let is_it =
            |entry: &usize| self.handle(*entry)[handles::HANDLE].load(Ordering::Acquire) == handle;
        entries(handle).find(is_it).filter(|_| handle != 0)
    }

    fn handle(&self, entry: usize) -> &[AtomicU64] {
        let first = handles::FIRST + entry % handles::COUNT * handles::WORDS;
        self.region.words(first, handles::WORDS)
    }

    fn text_head(&self, text: usize) -> &[AtomicU64] {
        self.region.words(FIRST + text % COUNT * WORDS, WORDS)
    }

    /// The text of a handle, if it is stored completely.
    fn text(&self, handle: u64, length: u32, text: u32) -> Option<Vec<u8>> {
        let text = usize::try_from(text).ok()?.checked_sub(1)?;
        if text >= COUNT {
            return None;
        }
        let head = self.text_head(text);
        if head[HANDLE].load(Ordering::Acquire) != handle
            || head[LENGTH].load(Ordering::Acquire) != u64::from(length)
        {
            return None;
        }
        let (first, count) = bytes_of(text);
        let mut bytes = Vec::new();
        let length = usize::try_from(length).ok()?;
        load_bytes(self.region.words(first, count), length, &mut bytes);
        (bytes.len() == length && checksum(&bytes) == head[SUM].load(Ordering::Relaxed))
            .then_some(bytes)
    }

    /// Claims a free place for a text of this length.
    fn claim_text(&self, handle: u64, length: usize) -> Option<usize> {
        let places = if length <= SMALL_BYTES {
            0..SMALL
        } else if length <= LARGE_BYTES {
            SMALL..COUNT
        } else {
            return None;
        };
        let is_claimed = |text: &usize| {
            let owner = &self.text_head(*text)[HANDLE];
            owner
                .compare_exchange(0, handle, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let claimed = places.clone().find(is_claimed);
        claimed.or_else(|| {
            // A place that a killed worker claimed or did not release is free. If another thread is
            // searching, this one does not wait.
            let _claiming = self.claiming.try_lock()?;
            places.clone().for_each(|text| self.give_back_orphan(text));
            places.clone().find(is_claimed)
        })
    }

    fn give_back_orphan(&self, text: usize) {
        let owner = &self.text_head(text)[HANDLE];
        let handle = owner.load(Ordering::Acquire);
        // A thread of this worker may be about to store it in its entry.
        if self.is_of_this_worker(handle) {
            return;
        }
        let points_here = |entry| {
            let (_, told) = unpair(self.handle(entry)[handles::SHOWN].load(Ordering::Acquire));
            usize::try_from(told) == Ok(text + 1)
        };
        if !self.find_handle(handle).is_some_and(points_here) {
            let _ = owner.compare_exchange(handle, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// The part of a handle number that identifies the worker.
    #[must_use]
    pub fn handle_mark(&self) -> u64 {
        u64::from(self.generation()) << 40
    }

    fn is_of_this_worker(&self, handle: u64) -> bool {
        handle >> 40 == self.handle_mark() >> 40
    }
}

impl OpenHandle {
    /// Records that all contents are about to be shown. `ended`: the end of file, too.
    pub fn show_whole(&self, length: usize, ended: bool) {
        self.tell(length, if ended { ENDED } else { WHOLE });
    }

    /// Records that a part is about to be shown. `may_keep`: the rest may take room. Returns
    /// whether it does.
    pub fn show_part(&self, text: &[u8], may_keep: bool) -> bool {
        let had = self.text();
        let fits = |place: &usize| text.len() <= bytes_of(*place).1 * crate::region::WORD;
        let place = match had.filter(fits) {
            Some(had) => Some(had),
            None if may_keep => self.handover.claim_text(self.handle, text.len()),
            None => None,
        };
        let Some(place) = place else {
            self.tell(text.len(), LOST);
            return false;
        };
        let head = self.handover.text_head(place);
        head[LENGTH].store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        let (first, count) = bytes_of(place);
        store_bytes(self.handover.region.words(first, count), text);
        head[SUM].store(checksum(text), Ordering::Relaxed);
        head[LENGTH].store(text.len() as u64, Ordering::Release);
        self.tell(text.len(), u32::try_from(place + 1).unwrap_or(LOST));
        true
    }

    /// The handle is closed.
    pub fn close(self) {
        let had = self.text();
        let words = self.handover.handle(self.entry);
        words[handles::SHOWN].store(0, Ordering::Relaxed);
        self.give_back(had);
        let _ = words[handles::HANDLE].compare_exchange(
            self.handle,
            0,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    /// Place of the stored text.
    fn text(&self) -> Option<usize> {
        let shown = self.handover.handle(self.entry)[handles::SHOWN].load(Ordering::Acquire);
        let text = usize::try_from(unpair(shown).1).ok()?.checked_sub(1)?;
        (text < COUNT).then_some(text)
    }

    fn tell(&self, length: usize, text: u32) {
        let had = self.text();
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let shown = &self.handover.handle(self.entry)[handles::SHOWN];
        shown.store(pair(length, text), Ordering::Release);
        if had.is_some() && had != self.text() {
            self.give_back(had);
        }
    }

    fn give_back(&self, text: Option<usize>) {
        if let Some(text) = text {
            let owner = &self.handover.text_head(text)[HANDLE];
            let _ = owner.compare_exchange(self.handle, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

/// Candidate entries of a handle. Handle numbers are sequential, so collisions are rare.
fn entries(handle: u64) -> impl Iterator<Item = usize> {
    let home = usize::try_from(handle % handles::COUNT as u64).unwrap_or(0);
    (0..handles::NEIGHBOURS).map(move |step| (home + step) % handles::COUNT)
}

#[cfg(test)]
mod tests;
