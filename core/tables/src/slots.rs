//! A table of values that are opened and closed frequently, each known by a number.
//!
//! A number encodes the slot and how often the slot was used, so that the number of a closed value
//! never refers to a later one. Each slot has its own lock. The slot freed last is reused first, so
//! there are hardly more slots than values were open at once. Slots are never freed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

/// Slots are allocated in blocks, each twice as large as its predecessor.
const FIRST_BLOCK: u32 = 64;
const BLOCKS: usize = 18;
/// Maximum number of open values: 16,777,152.
const MOST: u32 = FIRST_BLOCK * ((1 << BLOCKS) - 1);
const SLOT_BITS: u32 = 24;
const ROUND_BITS: u32 = 16;

#[derive(Debug)]
struct Slot<T> {
    held: Mutex<Held<T>>,
    // While the slot is free: the slot freed before it, counted from 1.
    freed_before: AtomicU32,
}

#[derive(Debug)]
struct Held<T> {
    round: u16,
    thing: Option<Arc<T>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            held: Mutex::new(Held {
                round: 0,
                thing: None,
            }),
            freed_before: AtomicU32::new(0),
        }
    }
}

/// Open things.
#[derive(Debug)]
pub struct Slots<T> {
    blocks: [OnceLock<Box<[Slot<T>]>>; BLOCKS],
    // Number of slots ever used.
    made: AtomicU32,
    // The slot freed last, counted from 1; in the upper half, how often this field was changed.
    freed: AtomicU64,
    open: AtomicU32,
    first_number: u32,
}

impl<T> Slots<T> {
    /// Number of bits of a number.
    pub const BITS: u32 = SLOT_BITS + ROUND_BITS;

    /// Creates an empty table. The lower bits of the numbers start at `first_number`'s.
    #[must_use]
    pub fn new(first_number: u32) -> Self {
        Self {
            blocks: std::array::from_fn(|_| OnceLock::new()),
            made: AtomicU32::new(0),
            freed: AtomicU64::new(0),
            open: AtomicU32::new(0),
            first_number,
        }
    }

    /// Opens a value and returns its number. `None`: the table is full.
    pub fn open(&self, thing: Arc<T>) -> Option<u64> {
        let index = self.take_freed().or_else(|| self.make())?;
        let mut held = self.slot(index)?.held.lock();
        // No number is 0.
        held.round = held.round.wrapping_add(1).max(1);
        held.thing = Some(thing);
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(self.number(index, held.round))
    }

    /// Returns the value of a number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<T>> {
        let (index, round) = self.place(number)?;
        let held = self.slot(index)?.held.lock();
        held.thing.as_ref().filter(|_| held.round == round).cloned()
    }

    /// Closes a value.
    pub fn close(&self, number: u64) -> Option<Arc<T>> {
        let (index, round) = self.place(number)?;
        let closed = {
            let mut held = self.slot(index)?.held.lock();
            let is_it = held.round == round;
            held.thing.take_if(|_| is_it)?
        };
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.free(index);
        Some(closed)
    }

    /// Number of open values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.load(Ordering::Relaxed) as usize
    }

    /// Whether no value is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn number(&self, index: u32, round: u16) -> u64 {
        let low = index.wrapping_add(self.first_number) % (1 << SLOT_BITS);
        u64::from(round) << SLOT_BITS | u64::from(low)
    }

    /// Decodes slot and round of a number, which may be invented.
    fn place(&self, number: u64) -> Option<(u32, u16)> {
        let round = u16::try_from(number >> SLOT_BITS).ok()?;
        let low = u32::try_from(number % (1 << SLOT_BITS)).ok()?;
        Some((
            low.wrapping_sub(self.first_number) % (1 << SLOT_BITS),
            round,
        ))
    }

    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let (block, within) = block_of(index);
        self.blocks.get(block)?.get()?.get(within)
    }

    fn make(&self) -> Option<u32> {
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let next = |made: u32| (made < MOST).then_some(made + 1);
        let index = self.made.fetch_update(set, fetch, next).ok()?;
        let (block, _) = block_of(index);
        let size = (FIRST_BLOCK as usize) << block;
        self.blocks
            .get(block)?
            .get_or_init(|| std::iter::repeat_with(Slot::default).take(size).collect());
        Some(index)
    }

    /// The count in the upper half shows a concurrent caller that the list changed (ABA).
    fn take_freed(&self) -> Option<u32> {
        let mut freed = self.freed.load(Ordering::Acquire);
        loop {
            let index = last_freed(freed)?;
            let before = self.slot(index)?.freed_before.load(Ordering::Relaxed);
            match self.exchange_freed(freed, before) {
                Ok(()) => return Some(index),
                Err(now) => freed = now,
            }
        }
    }

    fn free(&self, index: u32) {
        let Some(slot) = self.slot(index) else {
            return;
        };
        let mut freed = self.freed.load(Ordering::Acquire);
        loop {
            let before = last_freed(freed).map_or(0, |index| index + 1);
            slot.freed_before.store(before, Ordering::Relaxed);
            match self.exchange_freed(freed, index + 1) {
                Ok(()) => return,
                Err(now) => freed = now,
            }
        }
    }

    fn exchange_freed(&self, seen: u64, slot: u32) -> Result<(), u64> {
        let next = (seen >> 32).wrapping_add(1) << 32 | u64::from(slot);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        self.freed
            .compare_exchange_weak(seen, next, set, fetch)
            .map(drop)
    }
}

fn last_freed(freed: u64) -> Option<u32> {
    u32::try_from(freed & u64::from(u32::MAX))
        .ok()?
        .checked_sub(1)
}

/// The block of a slot, and its index there.
fn block_of(index: u32) -> (usize, usize) {
    let block = (index / FIRST_BLOCK + 1).ilog2();
    let first = FIRST_BLOCK * ((1 << block) - 1);
    (block as usize, (index - first) as usize)
}

#[cfg(test)]
mod tests;
