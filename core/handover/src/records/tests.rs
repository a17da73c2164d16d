use std::os::fd::AsFd;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::layout::containers::RECORDS;

fn adopted(handover: &Handover) -> Arc<Handover> {
    Handover::adopt(handover.as_fd().try_clone_to_owned().unwrap()).unwrap()
}

fn key(number: u64) -> ContainerKey {
    ContainerKey::new(&number.to_le_bytes())
}

fn loaded(handover: &Handover, key: ContainerKey, name: &str) -> Option<Vec<u8>> {
    let mut record = Vec::new();
    handover.load(key, name, &mut record).then_some(record)
}

proptest! {
    #[test]
    fn the_last_record_is_found_by_the_next_worker(
        saves in proptest::collection::vec((0..3_u64, 0..3_u8, proptest::collection::vec(any::<u8>(), 0..200)), 1..40)
    ) {
        let handover = Handover::with_records(1024).unwrap();
        let mut last = std::collections::HashMap::new();
        for (container, name, record) in saves {
            prop_assert!(handover.save(key(container), &name.to_string(), &record));
            last.insert((container, name), record);
        }
        let next = adopted(&handover);
        for container in 0..3 {
            for name in 0..3 {
                let found = loaded(&next, key(container), &name.to_string());
                prop_assert_eq!(found.as_ref(), last.get(&(container, name)));
            }
        }
    }
}

#[test]
fn an_incomplete_record_is_skipped() {
    let handover = Handover::with_records(1024).unwrap();
    let words_of = || {
        let container = handover.container(key(1), false).unwrap();
        handover.record(container, hash_of("a")).unwrap()
    };
    for round in 0..10_u8 {
        assert!(handover.save(key(1), "a", &[round; 100]));
        // As save does, but for the last step.
        let places = places(words_of());
        let older = if places[0][0].load(Ordering::Relaxed) < places[1][0].load(Ordering::Relaxed) {
            0
        } else {
            1
        };
        places[older][0].store(0, Ordering::Relaxed);
        store_bytes(&places[older][PLACE_BYTES..], &[99; 50]);
        assert_eq!(loaded(&handover, key(1), "a"), Some(vec![round; 100]));
    }
    // Implausible contents are skipped too.
    for place in places(words_of()) {
        place[0].store(77, Ordering::Relaxed);
        place[1].store(u64::MAX, Ordering::Relaxed);
    }
    assert_eq!(loaded(&handover, key(1), "a"), None);
}

#[test]
fn the_number_of_records_is_bounded() {
    let handover = Handover::with_records(1024).unwrap();
    assert!(!handover.save(key(1), "a", &[0; 1025]));
    for record in 0..RECORDS {
        assert!(handover.save(key(1), &record.to_string(), b"x"));
    }
    assert!(!handover.save(key(1), "one more", b"x"));
    handover.give_up(key(1));
    assert_eq!(loaded(&handover, key(1), "0"), None);
    assert!(
        handover.save(key(1), "one more", b"x"),
        "the room is free again"
    );

    // Containers beyond the capacity do not displace existing ones.
    let kept: Vec<u64> = (0..10_000)
        .filter(|n| handover.save(key(*n), "a", &n.to_le_bytes()))
        .collect();
    assert!(
        kept.len() > COUNT * 9 / 10 && kept.len() <= COUNT,
        "{}",
        kept.len()
    );
    for number in &kept {
        assert_eq!(
            loaded(&handover, key(*number), "a"),
            Some(number.to_le_bytes().to_vec())
        );
    }
    // Until these have not been written for an hour.
    let refused = (0..10_000).find(|n| !kept.contains(n)).unwrap();
    for container in 0..COUNT {
        handover.head_of(container)[USED_AT].store(0, Ordering::Relaxed);
    }
    assert_eq!(handover.save(key(refused), "a", b"x"), now() > QUIET);
}

/// Pages that the memory has.
fn pages(handover: &Handover) -> u64 {
    let blocks = rustix::fs::fstat(handover.as_fd()).unwrap().st_blocks;
    u64::try_from(blocks).unwrap() * 512 / PAGE as u64
}

#[test]
fn records_lie_side_by_side_and_their_pages_are_given_back() {
    const CONTAINERS: u64 = 1000;
    let handover = Handover::with_records(1280).unwrap();
    let begun = pages(&handover);
    let sizes = [8, 40, 336];
    let save = |number: u64| {
        for size in sizes {
            let record = vec![u8::try_from(number % 251).unwrap(); size];
            assert!(handover.save(key(number), &size.to_string(), &record));
        }
    };
    (0..CONTAINERS).for_each(save);
    let each = (pages(&handover) - begun) * PAGE as u64 / CONTAINERS;
    // Twice what is in them, and what says where they are.
    assert!(each < 2 * 8 + 2 * 40 + 2 * 336 + 700, "{each} bytes each");
    let next = adopted(&handover);
    for number in 0..CONTAINERS {
        for size in sizes {
            let record = vec![u8::try_from(number % 251).unwrap(); size];
            assert_eq!(loaded(&next, key(number), &size.to_string()), Some(record));
        }
    }
    // Every second one ends, and others come in their places.
    let full = pages(&handover);
    (0..CONTAINERS)
        .step_by(2)
        .for_each(|n| handover.give_up(key(n)));
    (0..CONTAINERS / 2).for_each(|n| save(CONTAINERS + n));
    assert!(pages(&handover) <= full + 40, "{} {full}", pages(&handover));
    let there = (0..CONTAINERS + CONTAINERS / 2).filter(|n| *n >= CONTAINERS || n % 2 == 1);
    there.for_each(|n| handover.give_up(key(n)));
    // A search for a container allocates the pages of the heads nearby.
    let left = pages(&handover) - begun;
    assert!(left <= 8, "{left}");
    save(7);
    assert_eq!(loaded(&next, key(7), "8"), Some(vec![7; 8]));
}

#[test]
fn a_record_that_grows_moves_and_stays_whole() {
    let handover = Handover::with_records(4096).unwrap();
    for size in [1, 24, 25, 500, 4096, 3] {
        assert!(handover.save(key(1), "a", &vec![7; size]));
        assert!(handover.save(key(1), "b", &[8; 5]));
        let next = adopted(&handover);
        assert_eq!(loaded(&next, key(1), "a"), Some(vec![7; size]));
        assert_eq!(loaded(&next, key(1), "b"), Some(vec![8; 5]));
    }
    assert!(!handover.save(key(1), "a", &[7; 4097]));
    assert_eq!(loaded(&handover, key(1), "a"), Some(vec![7; 3]));
}

#[test]
fn slots_of_killed_workers_are_free() {
    let handover = Handover::with_records(1024).unwrap();
    let Records::InSlots(sizes) = &handover.records else {
        unreachable!("it is of this layout");
    };
    assert!(handover.save(key(1), "a", b"x"));
    let container = handover.container(key(1), false).unwrap();
    let (number, words) = handover
        .record_in_slot(sizes, container, hash_of("a"))
        .unwrap();
    let first: *const [AtomicU64] = words;
    // The slot has its owner word, and the worker was killed before it wrote the head.
    handover.head_of(container)[crate::layout::containers::SLOTS + number / 2]
        .store(0, Ordering::Relaxed);
    let next = adopted(&handover);
    assert_eq!(loaded(&next, key(1), "a"), None);
    let Records::InSlots(sizes) = &next.records else {
        unreachable!("it is of this layout");
    };
    assert!(next.save(key(2), "b", b"y"));
    let container = next.container(key(2), false).unwrap();
    let (_, words) = next.record_in_slot(sizes, container, hash_of("b")).unwrap();
    let place = |of: &Handover, words: *const [AtomicU64]| {
        words.cast::<u8>() as usize - of.region.words(0, 1).as_ptr() as usize
    };
    assert_eq!(place(&next, words), place(&handover, first));
}

#[test]
fn where_one_size_is_full_the_next_does() {
    let handover = Handover::with_records(1024).unwrap();
    let few = 4096 / 6;
    for number in 0..few {
        for name in 0..6 {
            assert!(handover.save(key(number), &name.to_string(), &[1; 20]));
        }
    }
    let more = (few..few + 200).filter(|number| handover.save(key(*number), "a", &[1; 20]));
    assert_eq!(more.count(), 200);
}
