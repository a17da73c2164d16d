use std::os::fd::AsFd;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

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
fn what_is_half_written_leaves_the_record_before() {
    let handover = Handover::with_records(1024).unwrap();
    let words_of = || {
        handover
            .record(handover.container(key(1), true).unwrap(), "a", true)
            .unwrap()
    };
    for round in 0..10_u8 {
        assert!(handover.save(key(1), "a", &[round; 100]));
        // As save does, but for the last step.
        let places = handover.places(words_of());
        let older = if places[0][0].load(Ordering::Relaxed) < places[1][0].load(Ordering::Relaxed) {
            0
        } else {
            1
        };
        places[older][0].store(0, Ordering::Relaxed);
        store_bytes(&places[older][PLACE_BYTES..], &[99; 50]);
        assert_eq!(loaded(&handover, key(1), "a"), Some(vec![round; 100]));
    }
    // What nobody has written like this is passed over, too.
    for place in handover.places(words_of()) {
        place[0].store(77, Ordering::Relaxed);
        place[1].store(u64::MAX, Ordering::Relaxed);
    }
    assert_eq!(loaded(&handover, key(1), "a"), None);
}

#[test]
fn room_is_bounded_and_given_up() {
    let handover = Handover::with_records(1024).unwrap();
    assert!(!handover.save(key(1), "a", &[0; 1025]));
    for record in 0..RECORDS {
        assert!(handover.save(key(1), &record.to_string(), b"x"));
    }
    assert!(!handover.save(key(1), "one more", b"x"));
    handover.give_up(key(1));
    assert_eq!(loaded(&handover, key(1), "0"), None);
    assert!(handover.save(key(1), "one more", b"x"), "it begins anew");

    // Containers beyond all room do not take that of those who are there.
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
    // Until they have been quiet for long.
    let refused = (0..10_000).find(|n| !kept.contains(n)).unwrap();
    for container in 0..COUNT {
        handover.head_of(container)[USED_AT].store(0, Ordering::Relaxed);
    }
    assert_eq!(handover.save(key(refused), "a", b"x"), now() > QUIET);
}
