//! Persistent state of containers, some bytes for each view.
//!
//! A record has two places. A new record overwrites the older place and becomes valid when its
//! number is stored last; so a worker that is killed meanwhile leaves the previous record.
//!
//! A container has at most six records. Its room is reused after it has ended, or after an hour
//! without a write if room is needed.

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

/// Seconds without a write after which a container may lose its room to another.
const QUIET: u64 = 3600;

/// Key of a container: a hash of its identity within this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContainerKey([u64; 2]);

impl ContainerKey {
    /// Hashes the identity of a container, which is the same bytes in every worker.
    #[must_use]
    pub fn new(identity: &[u8]) -> Self {
        let mut hasher = SipHasher128::new();
        hasher.write(identity);
        let hash = hasher.finish128();
        // 0 means no container.
        Self([hash.h1.max(1), hash.h2])
    }

    /// The hash.
    #[must_use]
    pub fn words(self) -> [u64; 2] {
        self.0
    }
}

/// Location of the records.
#[derive(Debug)]
pub(crate) enum Records {
    /// As in layout 1.
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
    /// Whether the head counts the written state, as since layout 2.
    pub(crate) fn counts_written(&self) -> bool {
        matches!(self.records, Records::InSlots(_))
    }

    /// Replaces a record. `false`: the table is full.
    ///
    /// Callers must exclude each other: the owner of the record holds a lock.
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

    /// Appends the last complete record. `false`: there is none.
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

    /// Releases the room of an ended container.
    pub fn give_up(&self, key: ContainerKey) {
        let _claiming = self.claiming.lock();
        if let Some(container) = self.find(key) {
            self.clear(container);
            let state = &self.head_of(container)[STATE];
            state.store(pair(self.generation(), FREE), Ordering::Release);
            self.give_back_heads(container);
        }
    }

    /// Returns the page of a container's head to the kernel if it has no other head.
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
            // If the kernel cannot do it, the pages stay allocated and free.
            let _ = self.region.give_back(FIRST + page * WORDS, OF_PAGE * WORDS);
        }
    }

    /// The room of a container; with `claim`, allocated if missing.
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
        // Never used: it is all zero, and reading it would allocate pages.
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

    /// Releases all records of a container and returns their memory to the kernel.
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

/// Hash of a record's name in the memory.
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

/// Capacity of a record in bytes.
fn room_of(record: &[AtomicU64]) -> usize {
    let [place, _] = places(record);
    place.len().saturating_sub(PLACE_BYTES) * WORD
}

/// Writes into the older place.
fn write(words: &[AtomicU64], record: &[u8]) {
    let places = places(words);
    let numbers = places.map(|place| place[0].load(Ordering::Relaxed));
    let older = usize::from(numbers[1] < numbers[0]);
    let [number, length, sum] = [0, 1, 2].map(|word| &places[older][word]);
    number.store(0, Ordering::Relaxed);
    // Invalidates the place before it is overwritten, in case of a kill.
    std::sync::atomic::fence(Ordering::Release);
    store_bytes(&places[older][PLACE_BYTES..], record);
    length.store(record.len() as u64, Ordering::Relaxed);
    sum.store(checksum(record), Ordering::Relaxed);
    number.store(
        numbers[0].max(numbers[1]).saturating_add(1),
        Ordering::Release,
    );
}

/// Number and bytes of a place, if it is complete.
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

/// Candidate slots of a container.
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
