//! Paths of nodes that their numbers alone do not determine: nodes of named containers.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::Handover;
use crate::layout::addresses::{BYTES, COUNT, FIRST, LENGTH, NEIGHBOURS, NUMBER, SUM, TOLD, WORDS};
use crate::region::{WORD, checksum, load_bytes, store_bytes};

impl Handover {
    /// Stores the path of a node number and the kernel's look-up count. `false`: the table is full.
    /// Callers must exclude each other.
    pub fn keep_address(&self, number: u64, address: &[u8], told: u64) -> bool {
        if address.len() > (WORDS - BYTES) * WORD || number == 0 {
            return false;
        }
        let place = self.find_address(number).or_else(|| {
            places(number).find(|place| {
                let owner = &self.address_words(*place)[NUMBER];
                owner
                    .compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            })
        });
        let Some(place) = place else {
            return false;
        };
        let words = self.address_words(place);
        words[TOLD].store(told, Ordering::Relaxed);
        let length = address.len() as u64 + 1;
        if words[LENGTH].load(Ordering::Acquire) != length {
            words[LENGTH].store(0, Ordering::Relaxed);
            fence(Ordering::Release);
            store_bytes(&words[BYTES..], address);
            words[SUM].store(checksum(address), Ordering::Relaxed);
            words[LENGTH].store(length, Ordering::Release);
        }
        true
    }

    /// Appends the path of a node number; returns the kernel's look-up count.
    pub fn address(&self, number: u64, out: &mut Vec<u8>) -> Option<u64> {
        let words = self.address_words(self.find_address(number)?);
        let length = words[LENGTH].load(Ordering::Acquire).checked_sub(1)?;
        let length = usize::try_from(length).ok()?;
        let mut address = Vec::new();
        load_bytes(&words[BYTES..], length, &mut address);
        let is_whole =
            address.len() == length && checksum(&address) == words[SUM].load(Ordering::Relaxed);
        is_whole.then(|| {
            out.extend_from_slice(&address);
            words[TOLD].load(Ordering::Relaxed)
        })
    }

    /// Drops a node that the kernel has forgotten.
    pub fn drop_address(&self, number: u64) {
        if let Some(place) = self.find_address(number) {
            let words = self.address_words(place);
            words[LENGTH].store(0, Ordering::Relaxed);
            words[NUMBER].store(0, Ordering::Release);
        }
    }

    fn find_address(&self, number: u64) -> Option<usize> {
        let is_it =
            |place: &usize| self.address_words(*place)[NUMBER].load(Ordering::Acquire) == number;
        places(number).find(is_it).filter(|_| number != 0)
    }

    fn address_words(&self, place: usize) -> &[AtomicU64] {
        self.region.words(FIRST + place % COUNT * WORDS, WORDS)
    }
}

fn places(number: u64) -> impl Iterator<Item = usize> {
    let home = usize::try_from(number % COUNT as u64).unwrap_or(0);
    (0..NEIGHBOURS).map(move |step| (home + step) % COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_until_it_is_dropped() {
        let handover = Handover::create().unwrap();
        let told = |number| {
            let mut address = Vec::new();
            let told = handover.address(number, &mut address);
            told.map(|told| (told, address))
        };
        let twin = 5 + COUNT as u64;
        assert!(handover.keep_address(5, b"/a", 1));
        assert!(handover.keep_address(twin, b"/b/c", 1));
        assert!(handover.keep_address(5, b"/a", 2));
        assert_eq!(told(5), Some((2, b"/a".to_vec())));
        assert_eq!(told(twin), Some((1, b"/b/c".to_vec())));
        handover.drop_address(5);
        assert_eq!(told(5), None);
        assert_eq!(told(twin), Some((1, b"/b/c".to_vec())));
        assert_eq!(told(0), None);

        let most = (WORDS - BYTES) * WORD;
        assert!(handover.keep_address(7, &vec![1; most], 1));
        assert!(!handover.keep_address(8, &vec![1; most + 1], 1));
        // Half written.
        let words = handover.address_words(handover.find_address(7).unwrap());
        words[BYTES].store(0, Ordering::Relaxed);
        assert_eq!(told(7), None);
        let kept = (100..10_000)
            .filter(|n| handover.keep_address(*n, b"x", 1))
            .count();
        assert!(kept <= COUNT && kept > COUNT / 2);
    }
}
