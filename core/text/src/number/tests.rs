use proptest::prelude::*;

use super::*;

#[test]
fn reads_digits_and_nothing_else() {
    let rows: [(&[u8], Option<u64>); 14] = [
        (b"0", Some(0)),
        (b"007", Some(7)),
        (b"18446744073709551615", Some(u64::MAX)),
        (b"18446744073709551616", None),
        (b"99999999999999999999999999", None),
        (b"", None),
        (b"-1", None),
        (b"+1", None),
        (b" 1", None),
        (b"1\n", None),
        (b"1\0", None),
        (b"0x1", None),
        (b"\xff", None),
        (b"\xd9\xa1", None),
    ];
    for (text, expected) in rows {
        assert_eq!(parse_u64(text), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn reads_the_ends_of_each_range() {
    assert_eq!(parse_u32(b"4294967295"), Some(u32::MAX));
    assert_eq!(parse_u32(b"4294967296"), None);
    assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
    assert_eq!(parse_i64(b"-9223372036854775809"), None);
    assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
    assert_eq!(parse_i64(b"9223372036854775808"), None);
    for junk in [&b""[..], b"-", b"--1", b"+1", b"- 1"] {
        assert_eq!(parse_i64(junk), None, "{}", junk.escape_ascii());
    }
}

#[test]
fn trims_white_space_only() {
    assert_eq!(trim(b" \t a b \r\n"), b"a b");
    assert_eq!(trim(b"\0 "), b"\0");
    assert_eq!(trim(b" \n"), b"");
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(n: u64) {
        let mut out = Vec::new();
        push_u64(&mut out, n);
        prop_assert_eq!(String::from_utf8_lossy(&out), n.to_string());
        prop_assert_eq!(parse_u64(&out), Some(n));
        prop_assert_eq!(digits(n), out.len());
    }

    #[test]
    fn numbers_of_all_lengths_align_as_format_does(n: u64, shift in 0_u32..64, width in 0_usize..30) {
        let n = n >> shift;
        let mut out = b"x".to_vec();
        push_u64_right(&mut out, n, width);
        prop_assert_eq!(String::from_utf8_lossy(&out), format!("x{n:width$}"));
    }

    #[test]
    fn signed_numbers_read_as_written(n: i64) {
        prop_assert_eq!(parse_i64(n.to_string().as_bytes()), Some(n));
    }
}
