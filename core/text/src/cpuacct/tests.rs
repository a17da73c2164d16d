use super::*;

#[test]
fn usage_of_each_cpu_with_and_without_header() {
    let expected = [
        Usage {
            cpu: 0,
            user: 10,
            system: 20,
        },
        Usage {
            cpu: 3,
            user: 0,
            system: u64::MAX,
        },
    ];
    let body = "0 10 20\n3 0 18446744073709551615\n";
    for text in [format!("cpu user system\n{body}"), body.to_owned()] {
        let found: Result<Vec<_>, _> = usage_all(text.as_bytes()).collect();
        assert_eq!(found.unwrap(), expected);
    }
}

#[test]
fn one_line_of_usage_all() {
    let rows: [(&[u8], bool); 11] = [
        (b"0 1 2\n", true),
        (b"0 1 2", true),
        (b"0 1 2\r\n", true),
        (b"0 1 2 3\n", false),
        (b"0 1\n", false),
        (b"0 -1 2\n", false),
        (b"0 max 2\n", false),
        (b"0 1 18446744073709551616\n", false),
        (b"4294967296 1 2\n", false),
        (b"0 1 2\0\n", false),
        (b"\xff 1 2\n", false),
    ];
    for (text, good) in rows {
        let found = usage_all(text).next().unwrap();
        assert_eq!(found.is_ok(), good, "{}", text.escape_ascii());
    }
}

#[test]
fn goes_on_after_a_bad_line() {
    let found: Vec<_> = usage_all(b"cpu user system\n0 1 2\n\ncpu\n2 3 4\n").collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[1].as_ref().unwrap_err().line, 4);
    assert_eq!(found[2].as_ref().unwrap().cpu, 2);
    assert_eq!(usage_all(b"").count(), 0);
    assert_eq!(usage_all(b"cpu user system\n").count(), 0);
}

#[test]
fn columns_are_numbered_also_after_a_bad_one() {
    let found: Vec<_> = usage_percpu(b"5 x 18446744073709551615 -1 \n").collect();
    assert_eq!(found.len(), 4);
    assert_eq!(found[0], Ok((0, 5)));
    assert!(found[1].is_err());
    assert_eq!(found[2], Ok((2, u64::MAX)));
    assert!(found[3].is_err());
    assert_eq!(usage_percpu(b"").count(), 0);
    assert_eq!(usage_percpu(b" \n").count(), 0);
    assert!(
        usage_percpu(b"18446744073709551616")
            .next()
            .unwrap()
            .is_err()
    );
}
