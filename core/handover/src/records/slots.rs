//! Records in slots: assignment of slots, and free slots.
//!
//! A container's head refers to the slots of its records, and a slot refers to its owner. It is in
//! use only when both agree, so a worker killed between the two writes has claimed nothing. Heads
//! and owners change only under the lock `claiming`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use crate::Handover;
use crate::layout::containers::{COUNT, RECORDS, SLOTS};
use crate::layout::record;
use crate::layout::slots::{self, Size};
use crate::region::{pair, unpair};

/// Slots of one size.
#[derive(Debug)]
pub(crate) struct Sized {
    size: Size,
    /// First word of the first block.
    begin: usize,
    /// Number of the first slot.
    first: usize,
    /// No lower slot is free, as far as this process knows.
    lowest: AtomicUsize,
}

impl Sized {
    /// The sizes in a memory with records of this capacity.
    pub(super) fn all(record_bytes: usize) -> Vec<Self> {
        let (mut begin, mut first) = (slots::FIRST, 0);
        let of = |size: &Size| {
            let sized = Self {
                size: *size,
                begin,
                first,
                lowest: AtomicUsize::new(0),
            };
            begin += size.blocks() * size.block_words();
            first += size.count();
            sized
        };
        slots::sizes(record_bytes).iter().map(of).collect()
    }

    /// First word of a block.
    fn block(&self, block: usize) -> usize {
        self.begin + block * self.size.block_words()
    }

    fn words<'h>(&self, handover: &'h Handover, slot: usize) -> &'h [AtomicU64] {
        let (block, at) = (slot / self.size.slots, slot % self.size.slots);
        let words = self.size.slot_words();
        handover.region.words(self.block(block) + at * words, words)
    }
}

impl Handover {
    /// The record of that name.
    pub(super) fn record_in_slot(
        &self,
        sizes: &[Sized],
        container: usize,
        name: u64,
    ) -> Option<(usize, &[AtomicU64])> {
        (0..RECORDS).find_map(|number| {
            let words = self.slot_of(sizes, container, number)?;
            (words[record::NAME].load(Ordering::Relaxed) == name).then_some((number, words))
        })
    }

    /// Claims a slot for a record of this length, lets `fill` write it, and assigns it to that name.
    /// `false`: all slots are in use.
    pub(super) fn move_to_slot(
        &self,
        sizes: &[Sized],
        (container, name): (usize, u64),
        bytes: usize,
        fill: impl FnOnce(&[AtomicU64]),
    ) -> bool {
        let _claiming = self.claiming.lock();
        let had = self.record_in_slot(sizes, container, name);
        let free = || (0..RECORDS).find(|number| self.slot_of(sizes, container, *number).is_none());
        let Some(number) = had.map(|(number, _)| number).or_else(free) else {
            return false;
        };
        // If all slots of the smallest fitting size are in use, the next size is tried.
        let mut fitting = sizes.iter().filter(|sized| sized.size.fits(bytes));
        let found = fitting.find_map(|sized| Some((sized, self.free_slot(sized)?)));
        let Some((sized, slot)) = found else {
            return false;
        };
        let words = sized.words(self, slot);
        for place in super::places(words) {
            place[0].store(0, Ordering::Relaxed);
        }
        words[record::NAME].store(name, Ordering::Relaxed);
        words[record::OWNER].store(owner(container, number), Ordering::Relaxed);
        fence(Ordering::Release);
        fill(words);
        let before = self.told_slot(container, number);
        self.tell_slot(container, number, sized.first + slot + 1);
        sized.lowest.store(slot + 1, Ordering::Relaxed);
        if had.is_some() {
            self.free(sizes, before);
        }
        true
    }

    /// Releases all records of a container, and returns pages without other records to the kernel.
    pub(super) fn clear_slots(&self, sizes: &[Sized], container: usize) {
        for number in 0..RECORDS {
            let told = self.told_slot(container, number);
            let had = self.slot_of(sizes, container, number).is_some();
            self.tell_slot(container, number, 0);
            if had {
                self.free(sizes, told);
            }
        }
    }

    /// The slot of a container's record.
    fn slot_of(&self, sizes: &[Sized], container: usize, number: usize) -> Option<&[AtomicU64]> {
        let (sized, slot) = find(sizes, self.told_slot(container, number))?;
        let words = sized.words(self, slot);
        let of = words[record::OWNER].load(Ordering::Acquire);
        (of == owner(container, number)).then_some(words)
    }

    /// Releases a slot without an owner, and returns its block to the kernel if all of it is free.
    fn free(&self, sizes: &[Sized], told: usize) {
        let Some((sized, slot)) = find(sizes, told) else {
            return;
        };
        sized.words(self, slot)[record::OWNER].store(0, Ordering::Release);
        sized.lowest.fetch_min(slot, Ordering::Relaxed);
        let block = slot / sized.size.slots;
        let mut of_block = (0..sized.size.slots).map(|at| block * sized.size.slots + at);
        if of_block.all(|slot| self.is_free(sized, slot)) {
            // If the kernel cannot do it, the pages stay.
            let _ = self
                .region
                .give_back(sized.block(block), sized.size.block_words());
        }
    }

    fn free_slot(&self, sized: &Sized) -> Option<usize> {
        let (lowest, count) = (sized.lowest.load(Ordering::Relaxed), sized.size.count());
        // The previous worker may have released lower slots while it ended.
        let mut slots = (lowest.min(count)..count).chain(0..lowest.min(count));
        slots.find(|slot| self.is_free(sized, *slot))
    }

    /// Whether no head refers to the slot, whatever its owner word.
    fn is_free(&self, sized: &Sized, slot: usize) -> bool {
        let owner = sized.words(self, slot)[record::OWNER].load(Ordering::Acquire);
        let (container, number) = unpair(owner);
        let (Some(container), Ok(number)) = (
            usize::try_from(container).unwrap_or(0).checked_sub(1),
            usize::try_from(number),
        ) else {
            return true;
        };
        container >= COUNT
            || number >= RECORDS
            || self.told_slot(container, number) != sized.first + slot + 1
    }

    /// The slot number plus 1 in a container's head; 0: none.
    fn told_slot(&self, container: usize, number: usize) -> usize {
        let word = self.head_of(container)[SLOTS + number / 2].load(Ordering::Acquire);
        let halves = unpair(word);
        let half = if number.is_multiple_of(2) {
            halves.0
        } else {
            halves.1
        };
        usize::try_from(half).unwrap_or(0)
    }

    fn tell_slot(&self, container: usize, number: usize, slot: usize) {
        let word = &self.head_of(container)[SLOTS + number / 2];
        let (upper, lower) = unpair(word.load(Ordering::Relaxed));
        let slot = u32::try_from(slot).unwrap_or(0);
        let halves = if number.is_multiple_of(2) {
            pair(slot, lower)
        } else {
            pair(upper, slot)
        };
        word.store(halves, Ordering::Release);
    }
}

/// The owner word of the slot with the record `number` of a container.
fn owner(container: usize, number: usize) -> u64 {
    let half = |half: usize| u32::try_from(half).unwrap_or(u32::MAX);
    pair(half(container + 1), half(number))
}

/// The slot for a number in a head.
fn find(sizes: &[Sized], told: usize) -> Option<(&Sized, usize)> {
    let number = told.checked_sub(1)?;
    let sized = sizes.iter().rfind(|sized| sized.first <= number)?;
    let slot = number - sized.first;
    (slot < sized.size.count()).then_some((sized, slot))
}
