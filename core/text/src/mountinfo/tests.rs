use super::*;

const MOUNTINFO: &[u8] = br"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:26 /a\040b /mnt/x\011y\012z\134 rw master:1 propagate_from:2 - cgroup none rw,cpu,cpuacct
31 22 0:27 / /sys/fs/cgroup/unified rw - cgroup2  rw,nsdelegate
";

fn all(text: &[u8]) -> Vec<Result<Mount<'_>, ParseError>> {
    mounts(text).collect()
}

#[test]
fn columns_escapes_and_an_empty_source() {
    let found = all(MOUNTINFO);
    let root = Mount {
        id: 22,
        parent: 1,
        device: Device { major: 8, minor: 1 },
        root: Cow::Borrowed(b"/"),
        mount_point: Cow::Borrowed(b"/"),
        options: b"rw,relatime",
        fs_type: b"ext4",
        source: b"/dev/sda1",
        super_options: b"rw,errors=remount-ro",
    };
    assert_eq!(found[0], Ok(root));
    let escaped = found[1].as_ref().unwrap();
    assert_eq!(&*escaped.root, b"/a b");
    assert_eq!(&*escaped.mount_point, b"/mnt/x\ty\nz\\");
    let unified = found[2].as_ref().unwrap();
    assert_eq!(
        (unified.fs_type, unified.source),
        (&b"cgroup2"[..], &b""[..])
    );
    assert_eq!(unified.super_options, b"rw,nsdelegate");
    assert_eq!(found.len(), 3);
}

#[test]
fn options_by_full_text() {
    let found = all(MOUNTINFO);
    let v1 = found[1].as_ref().unwrap();
    assert!(v1.has_option(b"cpu"));
    assert!(v1.has_option(b"cpuacct"));
    assert!(!v1.has_option(b"acct"));
    assert!(!v1.has_option(b"relatime"));
}

#[test]
fn allocates_only_to_unescape() {
    assert!(matches!(unescape(b"/a"), Cow::Borrowed(b"/a")));
    let rows: [(&[u8], &[u8]); 7] = [
        (br"\040", b" "),
        (br"a\0434", b"a#4"),
        (br"\04", br"\04"),
        (br"\049", br"\049"),
        (br"\400", br"\400"),
        (br"\\040", b"\\ "),
        (b"\xff\0\\377", b"\xff\0\xff"),
    ];
    for (escaped, plain) in rows {
        assert_eq!(&*unescape(escaped), plain, "{}", escaped.escape_ascii());
    }
}

#[test]
fn one_line() {
    let rows: [(&[u8], Option<&[u8]>); 15] = [
        (b"1 0 0:1 / / rw - tmpfs tmpfs rw\n", Some(b"rw")),
        (b"1 0 0:1 / / rw - tmpfs tmpfs rw", Some(b"rw")),
        (b"1 0 0:1 / / rw - tmpfs tmpfs rw more\n", Some(b"rw")),
        (
            b"1 0 0:4 net:[4026531992] /a rw - nsfs nsfs rw\n",
            Some(b"rw"),
        ),
        (b"1 0 0:1 / /\xff\0 rw - tmpfs - rw\n", Some(b"rw")),
        (b"\r\n", None),
        (b"-1 0 0:1 / / rw - tmpfs tmpfs rw\n", None),
        (b"1 max 0:1 / / rw - tmpfs tmpfs rw\n", None),
        (b"99999999999999999999 0 0:1 / / rw - t t rw\n", None),
        (b"1 0 01 / / rw - tmpfs tmpfs rw\n", None),
        (b"1 0 0:-1 / / rw - tmpfs tmpfs rw\n", None),
        (b"1 0 0:1 / / rw tmpfs tmpfs rw\n", None),
        (b"1 0 0:1 / / rw -\n", None),
        (b"1 0 0:1 / / rw - tmpfs tmpfs\n", None),
        (b"1\n", None),
    ];
    for (text, expected) in rows {
        let found = mounts(text).next().unwrap();
        let options = found.ok().map(|mount| mount.super_options);
        assert_eq!(options, expected, "{}", text.escape_ascii());
    }
}

#[test]
fn goes_on_after_a_bad_line() {
    let found = all(b"x\n\n1 0 0:1 / / rw - tmpfs tmpfs rw\n");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].as_ref().unwrap_err().line, 1);
    assert!(found[1].is_ok());
    assert!(all(b"").is_empty());
}
