use super::*;

const CGROUP: &[u8] = b"\
12:cpu,cpuacct:/lxc/a
2:name=systemd:/init.scope
0::/user.slice/a b:c
";

#[test]
fn v1_named_and_v2() {
    let found: Result<Vec<_>, _> = memberships(CGROUP).collect();
    let expected: [(u32, &[u8], &[u8]); 3] = [
        (12, b"cpu,cpuacct", b"/lxc/a"),
        (2, b"name=systemd", b"/init.scope"),
        (0, b"", b"/user.slice/a b:c"),
    ];
    let found = found.unwrap();
    assert_eq!(found.len(), expected.len());
    for (one, expected) in found.iter().zip(expected) {
        assert_eq!((one.hierarchy_id, one.controllers, one.path), expected);
    }
}

#[test]
fn one_line() {
    let rows: [(&[u8], Option<&[u8]>); 14] = [
        (b"0::/\n", Some(b"/")),
        (b"0::/", Some(b"/")),
        (b"0::/a (deleted)\n", Some(b"/a (deleted)")),
        (b"0::/../..\n", Some(b"/../..")),
        (b"0::/a\r\n", Some(b"/a\r")),
        (b"0::/\xff\0\n", Some(b"/\xff\0")),
        (b"0::\n", None),
        (b"0::a\n", None),
        (b"0:/a\n", None),
        (b"-1::/a\n", None),
        (b"max::/a\n", None),
        (b"99999999999999999999::/a\n", None),
        (b" 0::/a\n", None),
        (b"\r\n", None),
    ];
    for (text, expected) in rows {
        let found = memberships(text).next().unwrap();
        let path = found.ok().map(|one| one.path);
        assert_eq!(path, expected, "{}", text.escape_ascii());
    }
}

#[test]
fn goes_on_after_a_bad_line() {
    let found: Vec<_> = memberships(b"1:cpu:/a\n\nx\n0::/b").collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[1].as_ref().unwrap_err().line, 3);
    assert_eq!(found[2].as_ref().unwrap().path, b"/b");
    assert_eq!(memberships(b"").count(), 0);
}

#[test]
fn controllers_by_full_name() {
    let found: Vec<_> = memberships(CGROUP).map(Result::unwrap).collect();
    assert!(found[0].has(b"cpu"));
    assert!(found[0].has(b"cpuacct"));
    assert!(!found[0].has(b"acct"));
    assert!(!found[0].has(b"cpu,cpuacct"));
    assert!(found[1].has(b"name=systemd"));
    assert!(!found[2].has(b"cpu"));
}
