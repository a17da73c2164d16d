use proptest::prelude::*;

use super::*;

#[test]
fn offsets_of_boottime() {
    let some = |seconds, nanoseconds| {
        Some(Offset {
            seconds,
            nanoseconds,
        })
    };
    let rows: [(&[u8], Option<Offset>); 14] = [
        (b"monotonic  1  2\nboottime  -86400  5\n", some(-86_400, 5)),
        (b"1 1 2\n7 3 4\n", some(3, 4)),
        (b"boottime 1 0", some(1, 0)),
        (b"boottime 1 0\r\n", some(1, 0)),
        (b"boottime -9223372036854775808 0\n", some(i64::MIN, 0)),
        (b"", some(0, 0)),
        (b"monotonic 1 2\n", some(0, 0)),
        (b"boottimes 1 2\n\xff\0\n", some(0, 0)),
        (b"boottime\n", None),
        (b"boottime 1\n", None),
        (b"boottime 1 2 3\n", None),
        (b"boottime max 0\n", None),
        (b"boottime 99999999999999999999 0\n", None),
        (b"boottime 1\0 0\n", None),
    ];
    for (text, expected) in rows {
        assert_eq!(boottime(text).ok(), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn applies_without_leaving_the_range() {
    let offset = |seconds, nanoseconds| Offset {
        seconds,
        nanoseconds,
    };
    let t = Duration::new(100, 5);
    assert_eq!(offset(0, 0).apply(t), t);
    assert_eq!(offset(-40, 0).apply(t), Duration::new(60, 5));
    assert_eq!(offset(-40, -6).apply(t), Duration::new(59, 999_999_999));
    assert_eq!(offset(1, 999_999_999).apply(t), Duration::new(102, 4));
    assert_eq!(offset(-101, 0).apply(t), Duration::ZERO);
    assert_eq!(offset(i64::MIN, i64::MIN).apply(t), Duration::ZERO);
    assert_eq!(
        offset(i64::MAX, i64::MAX).apply(Duration::MAX),
        Duration::MAX
    );
}

proptest! {
    #[test]
    fn there_and_back(seconds in 0..1_i64 << 40, t in 0..1_u64 << 40) {
        let t = Duration::from_secs(t);
        let there = Offset { seconds, nanoseconds: 0 };
        let back = Offset { seconds: -seconds, nanoseconds: 0 };
        prop_assert_eq!(back.apply(there.apply(t)), t);
    }
}
