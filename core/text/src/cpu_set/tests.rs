use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn members(text: &[u8]) -> Option<Vec<u32>> {
    CpuSet::parse(text).ok().map(|set| set.iter().collect())
}

#[test]
fn lists() {
    let rows: [(&[u8], Option<Vec<u32>>); 24] = [
        (b"", Some(vec![])),
        (b"\n", Some(vec![])),
        (b" \n", Some(vec![])),
        (b"0\n", Some(vec![0])),
        (b"0-3,8\n", Some(vec![0, 1, 2, 3, 8])),
        (b"0-3,8", Some(vec![0, 1, 2, 3, 8])),
        (b"0-3,8\r\n", Some(vec![0, 1, 2, 3, 8])),
        (b"63-64,127", Some(vec![63, 64, 127])),
        (b"8,1-2,2", Some(vec![1, 2, 8])),
        (b"5-5", Some(vec![5])),
        (b"65535", Some(vec![65_535])),
        (b"65536", None),
        (b"0-65536", None),
        (b"0-4294967295", None),
        (b"99999999999999999999", None),
        (b"3-0", None),
        (b"-1", None),
        (b"1-", None),
        (b"1-2-3", None),
        (b"0,,1", None),
        (b"0,", None),
        (b"0 1", None),
        (b"0\0", None),
        (b"max\xff", None),
    ];
    for (text, expected) in rows {
        assert_eq!(members(text), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn the_largest_set_fits() {
    let all = CpuSet::parse(b"0-65535").unwrap();
    assert_eq!(all.len(), 65_536);
    assert_eq!(all.to_string(), "0-65535");
}

#[test]
fn numbers_that_no_cpu_has_are_left_out() {
    let set: CpuSet = [1, MAX_CPUS, u32::MAX].into_iter().collect();
    assert_eq!(set.to_string(), "1");
    assert!(!set.contains(u32::MAX));
}

#[test]
fn equality_is_that_of_the_members() {
    let mut far: CpuSet = [1, 1000].into_iter().collect();
    let near: CpuSet = [1].into_iter().collect();
    assert_ne!(far, near);
    assert_eq!(far.intersection(&near), near);
    far.keep_first(1);
    assert_eq!(far, near);
    far.clear();
    assert_eq!(far, CpuSet::default());
    assert!(far.is_empty());
    assert_eq!(far.first(), None);
}

fn cpus() -> impl Strategy<Value = BTreeSet<u32>> {
    // Close together, for ranges, and over the whole width.
    proptest::collection::btree_set(prop_oneof![4 => 0..200_u32, 1 => 0..MAX_CPUS], 0..80)
}

proptest! {
    #[test]
    fn a_set_reads_as_it_was_written(model in cpus()) {
        let set: CpuSet = model.iter().copied().collect();
        let mut list = Vec::new();
        set.push_list(&mut list);
        prop_assert_eq!(CpuSet::parse(&list), Ok(set.clone()));
        prop_assert_eq!(set.to_string().into_bytes(), list);
    }

    #[test]
    fn behaves_like_a_set(model in cpus(), probe in 0..200_u32) {
        let set: CpuSet = model.iter().copied().collect();
        prop_assert_eq!(set.len(), model.len());
        prop_assert_eq!(set.is_empty(), model.is_empty());
        prop_assert_eq!(set.first(), model.first().copied());
        prop_assert_eq!(set.contains(probe), model.contains(&probe));
        prop_assert!(set.iter().eq(model));
    }

    #[test]
    fn intersects_like_a_set(a in cpus(), b in cpus()) {
        let expected: CpuSet = a.intersection(&b).copied().collect();
        let a: CpuSet = a.into_iter().collect();
        let b: CpuSet = b.into_iter().collect();
        prop_assert_eq!(a.intersection(&b), expected.clone());
        prop_assert_eq!(b.intersection(&a), expected);
    }

    #[test]
    fn keeps_the_lowest(model in cpus(), n in 0..100_usize) {
        let mut set: CpuSet = model.iter().copied().collect();
        set.keep_first(n);
        let expected: CpuSet = model.into_iter().take(n).collect();
        prop_assert_eq!(set, expected);
    }
}

#[test]
fn positions() {
    let set = CpuSet::parse(b"1,63-64,130").unwrap();
    for (position, cpu) in (0..).zip(&set) {
        assert_eq!(set.position(cpu), Some(position));
    }
    for none in [0, 2, 65, 131, 1000] {
        assert_eq!(set.position(none), None);
    }
}
