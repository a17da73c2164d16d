use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Insert(u8, u16),
    OrInsert(u8, u16),
    Replace(u8, u16),
    Remove(u8),
    RetainAbove(u16),
    MakeAnew,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (any::<u8>(), any::<u16>()).prop_map(|(k, v)| Step::Insert(k, v)),
        (any::<u8>(), any::<u16>()).prop_map(|(k, v)| Step::OrInsert(k, v)),
        (any::<u8>(), any::<u16>()).prop_map(|(k, v)| Step::Replace(k, v)),
        any::<u8>().prop_map(Step::Remove),
        (0..2000_u16).prop_map(Step::RetainAbove),
        Just(Step::MakeAnew),
    ];
    prop::collection::vec(step, 0..200)
}

fn is_as_a_map<const PARTS: usize>(steps: &[Step]) {
    let (map, mut model) = (RcuMap::<u8, u16, PARTS>::default(), BTreeMap::new());
    for step in steps {
        match *step {
            Step::Insert(k, v) => {
                let known = model.insert(k, v);
                assert!(map.insert_if(k, v, |seen| seen.copied() == known));
            }
            Step::OrInsert(k, v) => {
                assert_eq!(
                    map.get_or_insert_with(k, || v),
                    *model.entry(k).or_insert(v)
                );
            }
            Step::Replace(k, v) => {
                let before = model.get_mut(&k).map(|known| std::mem::replace(known, v));
                assert_eq!(map.insert_if(k, v, |seen| seen.is_some()), before.is_some());
            }
            Step::Remove(k) => assert_eq!(map.remove(&k), model.remove(&k)),
            Step::MakeAnew => map.make_anew(),
            Step::RetainAbove(least) => {
                map.retain(|_, v| *v > least);
                model.retain(|_, v| *v > least);
            }
        }
    }
    let mut entries = map.entries();
    entries.sort_unstable();
    assert_eq!(entries, Vec::from_iter(model.clone()));
    assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
    assert!(!map.any(|k, v| model.get(k) != Some(v)));
    for key in 0..=u8::MAX {
        assert_eq!(map.any(|k, _| *k == key), model.contains_key(&key));
        assert_eq!(map.get(&key), model.get(&key).copied());
    }
}

proptest! {
    #[test]
    fn it_is_as_a_map(steps in steps()) {
        is_as_a_map::<1>(&steps);
        is_as_a_map::<16>(&steps);
    }
}

/// Readers always find each key that stays while other threads insert and remove.
#[test]
fn stable_keys_are_found_during_changes() {
    let map = RcuMap::<u32, Arc<u32>, 4>::default();
    for key in (0..64).step_by(2) {
        map.get_or_insert_with(key, || Arc::new(key));
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let changing: Vec<_> = [1, 33]
            .into_iter()
            .map(|first| {
                let map = &map;
                scope.spawn(move || {
                    for key in (first..first + 32).step_by(2).cycle().take(20_000) {
                        match map.remove(&key) {
                            Some(before) => assert_eq!(*before, key),
                            None => {
                                assert!(map.insert_if(key, Arc::new(key), |seen| seen.is_none()))
                            }
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for key in 0..64 {
                    let found = map.get(&key);
                    assert!(
                        found.as_deref().is_some_and(|v| *v == key)
                            || (found.is_none() && key % 2 == 1)
                    );
                }
            }
        });
        changing
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn removed_values_are_dropped() {
    let map = RcuMap::<u32, Arc<()>, 2>::default();
    let value = Arc::new(());
    (0..10).for_each(|key| drop(map.get_or_insert_with(key, || Arc::clone(&value))));
    (0..5).for_each(|key| drop(map.remove(&key)));
    map.retain(|key, _| *key == 7);
    assert_eq!(Arc::strong_count(&value), 2);
}

#[test]
fn it_is_swept_when_it_has_doubled() {
    let map = RcuMap::<u32, u32, 2>::default();
    let is_large = |_: &u32, v: &u32| *v > 0;
    for key in 0..1000 {
        map.sweep(is_large);
        map.get_or_insert_with(key, || u32::from(key == 7));
        assert!(map.len() <= 2 * FEW);
    }
    assert_eq!(map.get(&7), Some(1));
}
