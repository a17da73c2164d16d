use super::*;

const STATUS: &[u8] = b"\
Name:\tNSpid:\\n7 PPid: 3
Umask:\t0022
State:\tS (sleeping)
Tgid:\t1200
Ngid:\t0
Pid:\t1201
PPid:\t1100
NStgid:\t1200\t35\t1
NSpid:\t1201\t36\t2
NSpgid:\t1200\t35\t1
";

#[test]
fn a_thread_in_a_nested_namespace() {
    assert_eq!(ns_pid_innermost(STATUS), Ok(Some(2)));
    assert_eq!(ns_pids(STATUS), Ok(vec![1201, 36, 2]));
    assert_eq!(tgid(STATUS), Ok(Some(1200)));
    assert_eq!(ppid(STATUS), Ok(Some(1100)));
}

#[test]
fn namespace_ids() {
    // (text, innermost id and depth)
    type Row = (&'static [u8], Option<(Option<u32>, usize)>);
    let rows: [Row; 13] = [
        (b"", Some((None, 0))),
        (b"Name:\tx\n", Some((None, 0))),
        (b"Name:\t\xff\0\nNSpid:\t5", Some((Some(5), 1))),
        (b"NSpid:\t5\r\n", Some((Some(5), 1))),
        (b"NSpid:\t5\t6\n", Some((Some(6), 2))),
        (b"NSpid:\t5\nNSpid:\t9\t9\n", Some((Some(5), 1))),
        (b" NSpid:\t5\n", Some((None, 0))),
        (b"NSpid:\n", None),
        (b"NSpid:\tmax\n", None),
        (b"NSpid:\t-1\n", None),
        (b"NSpid:\t5\tx\t6\n", None),
        (b"NSpid:\t99999999999999999999\n", None),
        (b"NSpid:\t5\0\n", None),
    ];
    for (text, expected) in rows {
        let innermost = ns_pid_innermost(text).ok();
        let depth = ns_pids(text).map(|all| all.len()).ok();
        assert_eq!(innermost.zip(depth), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn single_ids() {
    let rows: [(&[u8], Option<Option<u32>>); 7] = [
        (b"", Some(None)),
        (b"PPid:\t0\n", Some(Some(0))),
        (b"PPid:\t7", Some(Some(7))),
        (b"PPid:\t7 8\n", None),
        (b"PPid:\n", None),
        (b"PPid:\t-7\n", None),
        (b"PPid:\t4294967296\n", None),
    ];
    for (text, expected) in rows {
        assert_eq!(ppid(text).ok(), expected, "{}", text.escape_ascii());
        let as_tgid = [b"Tgid:", text.get(5..).unwrap_or_default()].concat();
        let expected = if text.is_empty() { None } else { expected };
        assert_eq!(tgid(&as_tgid).ok(), expected);
    }
}

#[test]
fn supplementary_groups() {
    let rows: [(&[u8], Option<&[u32]>); 5] = [
        (b"Gid:\t0 0 0 0\nGroups:\t0 5 100 \n", Some(&[0, 5, 100])),
        (b"Groups:\t \n", Some(&[])),
        (b"Name:\tx\n", Some(&[])),
        (b"Groups:\t0 x\n", None),
        (b"Groups:\t4294967296\n", None),
    ];
    for (text, expected) in rows {
        let shown = text.escape_ascii();
        assert_eq!(groups(text).ok().as_deref(), expected, "{shown}");
    }
}

#[test]
fn errors_name_the_line() {
    assert_eq!(tgid(b"Name:\tx\nTgid:\tx\n").unwrap_err().line, 2);
}

#[test]
fn capabilities_in_effect() {
    type Row = (&'static [u8], Option<Option<u64>>);
    let rows: [Row; 8] = [
        (
            b"CapPrm:\tf\nCapEff:\t000001fffeffffff\nCapBnd:\t0\n",
            Some(Some(0x1ff_feff_ffff)),
        ),
        (b"CapEff:\tffffffffffffffff\n", Some(Some(u64::MAX))),
        (b"CapEff:\t0\n", Some(Some(0))),
        (b"Name:\tx\n", Some(None)),
        (b"CapEff:\n", None),
        (b"CapEff:\t0 1\n", None),
        (b"CapEff:\t10000000000000000\n", None),
        (b"CapEff:\t\xff\n", None),
    ];
    for (text, expected) in rows {
        let shown = text.escape_ascii();
        assert_eq!(effective_capabilities(text).ok(), expected, "{shown}");
    }
}

#[test]
fn signals_that_end_a_thread() {
    let rows: [(&[u8], Option<bool>); 9] = [
        (
            b"SigQ:\t0/1\nSigPnd:\t0000000000000100\nShdPnd:\t0\n",
            Some(true),
        ),
        (b"SigPnd:\t0\nShdPnd:\t0000000000000100\n", Some(true)),
        // SIGTERM alone is blocked, or handled.
        (b"ShdPnd:\t4000\nSigBlk:\t4000\n", Some(false)),
        (b"ShdPnd:\t4000\nSigCgt:\t4000\n", Some(false)),
        (b"ShdPnd:\t4\nSigCgt:\t0\n", Some(true)),
        (b"ShdPnd:\t4\nSigCgt:\t4\n", Some(false)),
        (b"ShdPnd:\t4\nSigIgn:\t4\n", Some(false)),
        (b"Name:\tx\n", Some(false)),
        (b"SigPnd:\tx\n", None),
    ];
    for (text, expected) in rows {
        assert_eq!(is_ending(text).ok(), expected, "{}", text.escape_ascii());
    }
}
