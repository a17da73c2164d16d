//! Records of containers: what views remember of them, a few bytes each.
//!
//! A record has two places. A new one goes into the place of the older one, and counts only when its
//! number is stored after all else; so a worker that is killed meanwhile leaves the one before.
//!
//! Each container has room for [`RECORDS`] records, whoever asks: none can have more. Room that a
//! container has had is given to another when it has ended, or when it has not been written for an
//! hour and room is needed.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::ClockId;
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};

use crate::Handover;
use crate::layout::containers::{
    BEGUN, COUNT, FIRST, KEY, NEIGHBOURS, PLACE_BYTES, RECORD_NAME, RECORD_PLACES, RECORDS, STATE,
    USED_AT, WORDS,
};
use crate::region::{WORD, checksum, load_bytes, pair, store_bytes, unpair};

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

impl Handover {
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
        let Some(words) = self.record(container, name, true) else {
            return false;
        };
        let places = self.places(words);
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
        self.head_of(container)[USED_AT].store(now(), Ordering::Relaxed);
        true
    }

    /// Appends the last record that was saved as a whole. `false`: there is none.
    pub fn load(&self, key: ContainerKey, name: &str, out: &mut Vec<u8>) -> bool {
        let words = self
            .container(key, false)
            .and_then(|container| self.record(container, name, false));
        let Some(words) = words else {
            return false;
        };
        let valid = self.places(words).map(|place| self.valid(place));
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

    /// Takes all records from a container, and gives their pages back to the kernel.
    fn clear(&self, container: usize) {
        let count = RECORDS * crate::layout::containers::record_words(self.record_bytes);
        if self
            .region
            .give_back(BEGUN + container % COUNT * count, count)
        {
            return;
        }
        for record in 0..RECORDS {
            let words = self.record_words(container, record);
            words[RECORD_NAME].store(0, Ordering::Relaxed);
            for place in self.places(words) {
                place[0].store(0, Ordering::Relaxed);
            }
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

    /// The words of a container's record; with `claim`, made if there is none.
    fn record(&self, container: usize, name: &str, claim: bool) -> Option<&[AtomicU64]> {
        let mut hasher = SipHasher13::new();
        hasher.write(name.as_bytes());
        let name = hasher.finish().max(1);
        // They are taken in order: behind the first that is free there is none, and the pages of those are
        // not even looked at.
        let own_or_free = || {
            let mut records = (0..RECORDS).map(|record| self.record_words(container, record));
            let named = |words: &&[AtomicU64]| words[RECORD_NAME].load(Ordering::Acquire);
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
        found[RECORD_NAME].store(name, Ordering::Release);
        Some(found)
    }

    fn head_of(&self, container: usize) -> &[AtomicU64] {
        self.region.words(FIRST + container % COUNT * WORDS, WORDS)
    }

    fn record_words(&self, container: usize, record: usize) -> &[AtomicU64] {
        let count = crate::layout::containers::record_words(self.record_bytes);
        let first = BEGUN + (container % COUNT * RECORDS + record) * count;
        self.region.words(first, count)
    }

    /// The two places of a record.
    fn places<'a>(&self, record: &'a [AtomicU64]) -> [&'a [AtomicU64]; 2] {
        let (first, second) =
            record[RECORD_PLACES..].split_at(PLACE_BYTES + self.record_bytes / WORD);
        [first, second]
    }

    /// The number and the bytes of a place, if it was written as a whole.
    fn valid(&self, place: &[AtomicU64]) -> Option<(u64, Vec<u8>)> {
        let [number, length, sum] = [0, 1, 2].map(|word| place[word].load(Ordering::Acquire));
        let length = usize::try_from(length).ok()?;
        if number == 0 || length > self.record_bytes {
            return None;
        }
        let mut bytes = Vec::new();
        load_bytes(&place[PLACE_BYTES..], length, &mut bytes);
        (checksum(&bytes) == sum).then_some((number, bytes))
    }
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
