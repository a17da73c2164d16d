use super::*;

const REST: &[u8] = b" S 1 42 42 0 -1 4194560 523 0 7 0 12 9 0 0 20 0 3 0 86400 170 5 184467";

fn text(head: &[u8], rest: &[u8]) -> Vec<u8> {
    [head, rest].concat()
}

#[test]
fn the_name_may_hold_anything() {
    let rows: [(&[u8], &[u8]); 8] = [
        (b"42 (init)", b"init"),
        (b"42 ()", b""),
        (b"42 (a b)", b"a b"),
        (b"42 (a) S 9 (b)", b"a) S 9 (b"),
        (b"42 ())", b")"),
        (b"42 (()", b"("),
        (b"42 (a\n1 (x) R 2)", b"a\n1 (x) R 2"),
        (b"42 (\xff\0)", b"\xff\0"),
    ];
    for (head, comm) in rows {
        for ending in [&b"\n"[..], b"", b"\r\n"] {
            let text = text(&text(head, REST), ending);
            let expected = PidStat {
                pid: 42,
                comm,
                state: b'S',
                ppid: 1,
                num_threads: 3,
                start_time: 86_400,
            };
            assert_eq!(parse(&text), Ok(expected), "{}", text.escape_ascii());
        }
    }
}

#[test]
fn malformed() {
    let rows: [(&[u8], &[u8]); 13] = [
        (b"", b""),
        (b"42", REST),
        (b"42 (init", REST),
        (b"42 init)", REST),
        (b"42 )init(", REST),
        (b"(init)", REST),
        (b"-42 (init)", REST),
        (b"99999999999999999999 (init)", REST),
        (b"42 (init)", b""),
        (b"42 (init)", b" S"),
        (b"42 (init)", b" SS 1 2 3"),
        (b"42 (init)", b" S -1 2 3"),
        (
            b"42 (init)",
            b" S 1 42 42 0 -1 4194560 523 0 7 0 12 9 0 0 20 0 3 0 99999999999999999999",
        ),
    ];
    for (head, rest) in rows {
        let text = text(head, rest);
        assert!(parse(&text).is_err(), "{}", text.escape_ascii());
    }
}

#[test]
fn fields_after_the_start_time_may_be_missing() {
    let short = b"1 (a) R 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 18446744073709551615";
    assert_eq!(parse(short).unwrap().start_time, u64::MAX);
}
