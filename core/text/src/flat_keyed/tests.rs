use super::*;

const CPU_STAT: &[u8] = b"usage_usec 3405\nuser_usec 2270\n\nsystem_usec 1135\nnr_periods 0\n";

#[test]
fn entries_come_in_order() {
    let found: Result<Vec<_>, _> = entries(CPU_STAT).collect();
    let expected = [
        (&b"usage_usec"[..], 3405),
        (b"user_usec", 2270),
        (b"system_usec", 1135),
        (b"nr_periods", 0),
    ];
    assert_eq!(found.unwrap(), expected);
}

#[test]
fn one_line() {
    let rows: [(&[u8], Option<u64>); 12] = [
        (b"k 1\n", Some(1)),
        (b"k 1", Some(1)),
        (b"k 1\r\n", Some(1)),
        (b"k\t1\n", Some(1)),
        (b"k 18446744073709551615\n", Some(u64::MAX)),
        (b"k 18446744073709551616\n", None),
        (b"k max\n", None),
        (b"k -1\n", None),
        (b"k\n", None),
        (b"k 1 2\n", None),
        (b"k 1\0\n", None),
        (b"k \xff\n", None),
    ];
    for (text, expected) in rows {
        let entry = entries(text).next().unwrap();
        let expected_entry = expected.map(|value| (&b"k"[..], value));
        assert_eq!(entry.ok(), expected_entry, "{}", text.escape_ascii());
        assert_eq!(find(text, b"k").ok(), expected.map(Some));
    }
}

#[test]
fn goes_on_after_a_bad_line() {
    let found: Vec<_> = entries(b"a 1\nb\n\n\xff\0 2\nc 3 4\nd 5").collect();
    assert_eq!(found.len(), 5);
    assert_eq!(found[0], Ok((&b"a"[..], 1)));
    assert_eq!(found[1].as_ref().unwrap_err().line, 2);
    assert_eq!(found[2], Ok((&b"\xff\0"[..], 2)));
    assert_eq!(
        found[3],
        Err(ParseError::new("the end of the line", 5, b"4"))
    );
    assert_eq!(found[4], Ok((&b"d"[..], 5)));
}

#[test]
fn nothing_in_an_empty_file() {
    assert_eq!(entries(b"").count(), 0);
    assert_eq!(entries(b"\n \n").count(), 0);
    assert_eq!(find(b"", b"k"), Ok(None));
}

#[test]
fn finds_whole_keys_first_of_each() {
    assert_eq!(find(CPU_STAT, b"user_usec"), Ok(Some(2270)));
    assert_eq!(find(CPU_STAT, b"user"), Ok(None));
    assert_eq!(find(b"k 1\nk 2\n", b"k"), Ok(Some(1)));
    assert_eq!(find(b"junk\nk 2\n", b"k"), Ok(Some(2)));
}

#[test]
fn zeroed() {
    let mut out = Vec::new();
    push_zeroed(b"numa_hit 12\nnuma_miss 0\n", &mut out).unwrap();
    assert_eq!(out, b"numa_hit 0\nnuma_miss 0\n");
    assert!(push_zeroed(b"numa_hit many\n", &mut out).is_err());
}
