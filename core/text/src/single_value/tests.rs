use super::*;

#[test]
fn numbers() {
    let rows: [(&[u8], Option<u64>); 13] = [
        (b"4096\n", Some(4096)),
        (b"4096", Some(4096)),
        (b"4096\r\n", Some(4096)),
        (b"18446744073709551615\n", Some(u64::MAX)),
        (b"18446744073709551616\n", None),
        (b"100000000000000000000000\n", None),
        (b"", None),
        (b"\n", None),
        (b"max\n", None),
        (b"-1\n", None),
        (b"1 2\n", None),
        (b"1\0\n", None),
        (b"\xfe\n", None),
    ];
    for (text, expected) in rows {
        assert_eq!(number(text).ok(), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn signed_numbers() {
    assert_eq!(signed(b"-1\n"), Ok(-1));
    assert_eq!(signed(b"100000\n"), Ok(100_000));
    assert!(signed(b"9223372036854775808\n").is_err());
    assert!(signed(b"-\n").is_err());
}

#[test]
fn limits_of_v2() {
    let rows: [(&[u8], Option<Limit>); 9] = [
        (b"max\n", Some(Limit::Max)),
        (b"max", Some(Limit::Max)),
        (b"0\n", Some(Limit::Value(0))),
        (b"18446744073709551615\n", Some(Limit::Value(u64::MAX))),
        (b"18446744073709551616\n", None),
        (b"-1\n", None),
        (b"MAX\n", None),
        (b"maximum\n", None),
        (b"", None),
    ];
    for (text, expected) in rows {
        assert_eq!(limit_v2(text).ok(), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn limits_of_v1_depend_on_the_page_size() {
    let rows: [(&[u8], u64, Option<Limit>); 11] = [
        (b"1073741824\n", 4096, Some(Limit::Value(1 << 30))),
        (b"9223372036854771712\n", 4096, Some(Limit::Max)),
        (
            b"9223372036854771711\n",
            4096,
            Some(Limit::Value(9_223_372_036_854_771_711)),
        ),
        (b"9223372036854710272\n", 65536, Some(Limit::Max)),
        (
            b"9223372036854710272\n",
            4096,
            Some(Limit::Value(9_223_372_036_854_710_272)),
        ),
        (b"18446744073709551615\n", 4096, Some(Limit::Max)),
        (b"-1\n", 4096, Some(Limit::Max)),
        (b"9223372036854775807\n", 0, Some(Limit::Max)),
        (b"-2\n", 4096, None),
        (b"max\n", 4096, None),
        (b"18446744073709551616\n", 4096, None),
    ];
    for (text, page_size, expected) in rows {
        let limit = limit_v1(text, page_size).ok();
        assert_eq!(limit, expected, "{} {page_size}", text.escape_ascii());
    }
}

#[test]
fn errors_quote_what_was_found() {
    let error = number(b"  abc\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1: expected a decimal number, found \"abc\""
    );
}
