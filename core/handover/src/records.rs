//! Records of containers: what views remember of them, a few bytes each.
//!
//! A record has two places. A new one goes into the place of the older one, and counts only when its
//! number is stored after all else; so a worker that is killed meanwhile leaves the one before.
//!
//! Each container may have six records, whoever asks. Room that a container has had is given to
//! another when it has ended, or when it has not been written for an hour and room is needed.

mod before;
mod slots;

use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::ClockId;
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};

use crate::Handover;
use crate::layout::PAGE;
use crate::layout::containers::{
    COUNT, FIRST, FIRST_BEFORE, KEY, NEIGHBOURS, STATE, USED_AT, WORDS,
};
use crate::layout::record::{PLACE_BYTES, PLACES};
use crate::region::{WORD, checksum, load_bytes, pair, store_bytes, unpair};
use slots::Sized;

const FREE: u32 = 0;
const FILLING: u32 = 1;
const TAKEN: u32 = 2;

/// Seconds without a new record after which a container may lose its room to another.
const QUIET: u64 = 3600;

/// Which container a record is of: a hash of what tells it from all others of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContainerKey([u64; 2]);

impl ContainerKey {
    /// Of what tells the container from all others; the same bytes in every worker.
    #[must_use]
    pub fn new(identity: &[u8]) -> Self {
        let mut hasher = SipHasher128::new();
        hasher.write(identity);
        let hash = hasher.finish128();
        // 0 is no container.
        Self([hash.h1.max(1), hash.h2])
    }

    /// The hash.
    #[must_use]
    pub fn words(self) -> [u64; 2] {
        self.0
    }
}

/// Where records are.
#[derive(Debug)]
pub(crate) enum Records {
    /// As layout 1 has them.
    Before,
    /// In slots of these sizes.
    InSlots(Vec<Sized>),
}

impl Records {
    pub(crate) fn in_slots(record_bytes: usize) -> Self {
        Self::InSlots(Sized::all(record_bytes))
    }
}

impl Handover {
    /// Whether the head tells how much was written, as it does since layout 2.
    pub(crate) fn counts_written(&self) -> bool {
        matches!(self.records, Records::InSlots(_))
    }

    /// Keeps a record in the place of the one before. `false`: there is no room for it.
    ///
    /// Whoever saves a record is alone in that: its owner holds a lock of its own.
    pub fn save(&self, key: ContainerKey, name: &str, record: &[u8]) -> bool {
        if record.len() > self.record_bytes {
            return false;
        }
        let Some(container) = self.container(key, true) else {
            return false;
        };
        let name = hash_of(name);
        let saved = match (self.record(container, name), &self.records) {
            (Some(words), _) if room_of(words) >= record.len() => {
                write(words, record);
                true
            }
            (_, Records::InSlots(sizes)) => {
                let to = (container, name);
                self.move_to_slot(sizes, to, record.len(), |words| write(words, record))
            }
            (_, Records::Before) => {
                let words = self.record_before(container, name, true);
                words.map(|words| write(words, record)).is_some()
            }
        };
        if !saved {
            return false;
        }
        self.head_of(container)[USED_AT].store(now(), Ordering::Relaxed);
        true
    }

    /// Appends the last record that was saved as a whole. `false`: there is none.
    pub fn load(&self, key: ContainerKey, name: &str, out: &mut Vec<u8>) -> bool {
        let words = self
            .container(key, false)
            .and_then(|container| self.record(container, hash_of(name)));
        let Some(words) = words else {
            return false;
        };
        let valid = places(words).map(valid);
        match valid
            .into_iter()
            .flatten()
            .max_by_key(|(number, _)| *number)
        {
            Some((_, record)) => {
                out.extend_from_slice(&record);
                true
            }
            None => false,
        }
    }

    /// A container has ended: its room is for others.
    pub fn give_up(&self, key: ContainerKey) {
        let _claiming = self.claiming.lock();
        if let Some(container) = self.find(key) {
            self.clear(container);
            let state = &self.head_of(container)[STATE];
            state.store(pair(self.generation(), FREE), Ordering::Release);
            self.give_back_heads(container);
        }
    }

    /// Gives the page of a container's head back when no container has a head there.
    fn give_back_heads(&self, container: usize) {
        const OF_PAGE: usize = PAGE / (WORDS * WORD);
        if matches!(self.records, Records::Before) {
            return;
        }
        let page = container / OF_PAGE * OF_PAGE;
        let is_taken = |container: usize| {
            unpair(self.head_of(container)[STATE].load(Ordering::Acquire)).1 == TAKEN
        };
        if !(page..page + OF_PAGE).any(is_taken) {
            // Where the kernel cannot do it, they stay as they are: free.
            let _ = self.region.give_back(FIRST + page * WORDS, OF_PAGE * WORDS);
        }
    }

    /// The room of a container; with `claim`, made if there is none.
    fn container(&self, key: ContainerKey, claim: bool) -> Option<usize> {
        if let Some(found) = self.find(key) {
            return Some(found);
        }
        if !claim {
            return None;
        }
        let _claiming = self.claiming.lock();
        if let Some(found) = self.find(key) {
            return Some(found);
        }
        let generation = self.generation();
        let is_free = |container: &usize| {
            let (of, status) = unpair(self.head_of(*container)[STATE].load(Ordering::Acquire));
            status == FREE || (status == FILLING && of != generation)
        };
        let quiet = || {
            let used =
                |container: &usize| self.head_of(*container)[USED_AT].load(Ordering::Relaxed);
            let eldest = neighbours(key).min_by_key(used)?;
            (used(&eldest).saturating_add(QUIET) < now()).then_some(eldest)
        };
        let container = neighbours(key).find(is_free).or_else(quiet)?;
        let head = self.head_of(container);
        // Nobody has had it yet: all of it is zeros, and looking at them would make pages of them.
        let is_fresh = head[STATE].load(Ordering::Relaxed) == 0;
        head[STATE].store(pair(generation, FILLING), Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::Release);
        head[KEY].store(key.0[0], Ordering::Relaxed);
        head[KEY + 1].store(key.0[1], Ordering::Relaxed);
        head[USED_AT].store(now(), Ordering::Relaxed);
        if !is_fresh {
            self.clear(container);
        }
        head[STATE].store(pair(generation, TAKEN), Ordering::Release);
        Some(container)
    }

    /// Takes all records from a container, and gives their memory back to the kernel.
    fn clear(&self, container: usize) {
        match &self.records {
            Records::Before => self.clear_before(container),
            Records::InSlots(sizes) => self.clear_slots(sizes, container),
        }
    }

    fn find(&self, key: ContainerKey) -> Option<usize> {
        neighbours(key).find(|container| {
            let head = self.head_of(*container);
            let is_taken = unpair(head[STATE].load(Ordering::Acquire)).1 == TAKEN;
            is_taken
                && head[KEY].load(Ordering::Relaxed) == key.0[0]
                && head[KEY + 1].load(Ordering::Relaxed) == key.0[1]
        })
    }

    /// The words of a container's record.
    fn record(&self, container: usize, name: u64) -> Option<&[AtomicU64]> {
        match &self.records {
            Records::Before => self.record_before(container, name, false),
            Records::InSlots(sizes) => {
                let found = self.record_in_slot(sizes, container, name);
                found.map(|(_, words)| words)
            }
        }
    }

    fn head_of(&self, container: usize) -> &[AtomicU64] {
        let first = match &self.records {
            Records::Before => FIRST_BEFORE,
            Records::InSlots(_) => FIRST,
        };
        self.region.words(first + container % COUNT * WORDS, WORDS)
    }
}

/// What a record of this name is called in the memory.
fn hash_of(name: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(name.as_bytes());
    hasher.finish().max(1)
}

/// The two places of a record.
fn places(record: &[AtomicU64]) -> [&[AtomicU64]; 2] {
    let places = &record[PLACES..];
    let (first, second) = places.split_at(places.len() / 2);
    [first, second]
}

/// For how many bytes a record has room.
fn room_of(record: &[AtomicU64]) -> usize {
    let [place, _] = places(record);
    place.len().saturating_sub(PLACE_BYTES) * WORD
}

/// Writes into the place of the older one.
fn write(words: &[AtomicU64], record: &[u8]) {
    let places = places(words);
    let numbers = places.map(|place| place[0].load(Ordering::Relaxed));
    let older = usize::from(numbers[1] < numbers[0]);
    let [number, length, sum] = [0, 1, 2].map(|word| &places[older][word]);
    number.store(0, Ordering::Relaxed);
    // The place is nobody's from here on, for whoever comes after a kill.
    std::sync::atomic::fence(Ordering::Release);
    store_bytes(&places[older][PLACE_BYTES..], record);
    length.store(record.len() as u64, Ordering::Relaxed);
    sum.store(checksum(record), Ordering::Relaxed);
    number.store(
        numbers[0].max(numbers[1]).saturating_add(1),
        Ordering::Release,
    );
}

/// The number and the bytes of a place, if it was written as a whole.
fn valid(place: &[AtomicU64]) -> Option<(u64, Vec<u8>)> {
    let [number, length, sum] = [0, 1, 2].map(|word| place[word].load(Ordering::Acquire));
    let length = usize::try_from(length).ok()?;
    let bytes = place.get(PLACE_BYTES..)?;
    if number == 0 || length > bytes.len() * WORD {
        return None;
    }
    let mut found = Vec::new();
    load_bytes(bytes, length, &mut found);
    (checksum(&found) == sum).then_some((number, found))
}

/// Where the room of a container can be.
fn neighbours(key: ContainerKey) -> impl Iterator<Item = usize> {
    let home = usize::try_from(key.0[1] % COUNT as u64).unwrap_or(0);
    (0..NEIGHBOURS).map(move |step| (home + step) % COUNT)
}

/// Seconds.
fn now() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::MonotonicCoarse);
    u64::try_from(now.tv_sec).unwrap_or(0)
}

#[cfg(test)]
mod tests;
