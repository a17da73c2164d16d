use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[test]
fn blocks_follow_each_other() {
    let mut expected = 0;
    for block in 0..6 {
        for within in 0..(FIRST_BLOCK as usize) << block {
            assert_eq!(block_of(expected), (block, within));
            expected += 1;
        }
    }
    assert_eq!(block_of(MOST - 1).0, BLOCKS - 1);
    const { assert!(MOST <= 1 << SLOT_BITS) };
}

#[test]
fn numbers_are_not_reused() {
    let slots = Slots::new(u32::MAX - 3);
    let first = slots.open(Arc::new(1)).unwrap();
    assert_eq!(slots.close(first).as_deref(), Some(&1));
    let second = slots.open(Arc::new(2)).unwrap();
    assert_ne!(first, second);
    assert_eq!(
        first % (1 << SLOT_BITS),
        second % (1 << SLOT_BITS),
        "in the same slot"
    );
    assert_eq!((slots.get(first), slots.close(first)), (None, None));
    assert_eq!(slots.get(second).as_deref(), Some(&2));
    assert_eq!(slots.len(), 1);
}

#[test]
fn slots_are_as_many_as_things_were_open_at_once() {
    let slots = Slots::new(0);
    for _ in 0..100 {
        let numbers: Vec<u64> = (0..200).map(|n| slots.open(Arc::new(n)).unwrap()).collect();
        numbers
            .iter()
            .for_each(|number| assert!(slots.close(*number).is_some()));
    }
    assert_eq!(slots.made.load(Ordering::Relaxed), 200);
    assert!(slots.is_empty());
}

proptest! {
    #[test]
    fn any_number_is_of_what_was_opened_or_of_nothing(
        first_number in any::<u32>(),
        steps in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 0..300),
        others in prop::collection::vec(any::<u64>(), 0..20),
    ) {
        let (slots, mut open) = (Slots::new(first_number), HashMap::new());
        for (thing, step) in steps.into_iter().enumerate() {
            match step {
                Some(which) if !open.is_empty() => {
                    let mut numbers: Vec<u64> = open.keys().copied().collect();
                    numbers.sort_unstable();
                    let number = *which.get(&numbers);
                    prop_assert_eq!(slots.close(number).as_deref().copied(), open.remove(&number));
                }
                _ => {
                    let number = slots.open(Arc::new(thing)).unwrap();
                    prop_assert!(number < 1 << Slots::<usize>::BITS);
                    prop_assert_eq!(open.insert(number, thing), None);
                }
            }
            prop_assert_eq!(slots.len(), open.len());
        }
        for number in others.iter().chain(open.keys()) {
            let thing = slots.get(*number);
            prop_assert_eq!(thing.as_deref(), open.get(number));
        }
    }
}

/// Each thread finds and closes its own values, and no two threads get the same slot.
#[test]
fn many_may_open_and_close_at_once() {
    let slots = Slots::new(7);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let slots = &slots;
            scope.spawn(move || {
                let mut open = Vec::new();
                for round in 0..20_000_usize {
                    let thing = (thread, round);
                    open.push((slots.open(Arc::new(thing)).unwrap(), thing));
                    if open.len() > round % 7 {
                        let (number, thing) = open.swap_remove(round % open.len());
                        assert_eq!(slots.get(number).as_deref(), Some(&thing));
                        assert_eq!(slots.close(number).as_deref(), Some(&thing));
                    }
                }
                for (number, thing) in open {
                    assert_eq!(slots.close(number).as_deref(), Some(&thing));
                }
            });
        }
    });
    assert!(slots.is_empty());
    assert!(slots.made.load(Ordering::Relaxed) <= 4 * 8);
}
