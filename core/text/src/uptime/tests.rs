use proptest::prelude::*;

use super::*;

#[test]
fn two_columns_of_seconds() {
    // (text, milliseconds since the start and of idle time)
    type Row = (&'static [u8], Option<(u64, u64)>);
    let rows: [Row; 15] = [
        (b"12.34 56.78\n", Some((12_340, 56_780))),
        (b"12.34 56.78", Some((12_340, 56_780))),
        (b"12.34 56.78\r\n", Some((12_340, 56_780))),
        (b"12 0.5\n", Some((12_000, 500))),
        (b"0.00 0.00\n", Some((0, 0))),
        (b"", None),
        (b"12.34\n", None),
        (b"12.34 56.78 9\n", None),
        (b"-1.00 0.00\n", None),
        (b"1. 0.00\n", None),
        (b".5 0.00\n", None),
        (b"1.0000000001 0.00\n", None),
        (b"99999999999999999999.00 0.00\n", None),
        (b"1.+1 0.00\n", None),
        (b"1.00\0 \xff\n", None),
    ];
    for (text, expected) in rows {
        let found = parse(text).ok();
        let milliseconds =
            expected.map(|(up, idle)| (Duration::from_millis(up), Duration::from_millis(idle)));
        assert_eq!(found, milliseconds, "{}", text.escape_ascii());
    }
}

#[test]
fn cuts_off_after_hundredths() {
    let mut out = Vec::new();
    push(&mut out, Duration::new(1, 59_999_999), Duration::MAX);
    assert_eq!(out, b"1.05 18446744073709551615.99\n");
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(
        up: u64,
        idle: u64,
        up_part in 0..1_000_000_000_u32,
        idle_part in 0..1_000_000_000_u32,
    ) {
        let mut out = Vec::new();
        push(&mut out, Duration::new(up, up_part), Duration::new(idle, idle_part));
        let cut = |part| part / NANOSECONDS_PER_HUNDREDTH * NANOSECONDS_PER_HUNDREDTH;
        let expected = (
            Duration::new(up, cut(up_part)),
            Duration::new(idle, cut(idle_part)),
        );
        prop_assert_eq!(parse(&out), Ok(expected));
    }
}
