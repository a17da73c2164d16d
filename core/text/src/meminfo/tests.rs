use proptest::prelude::*;

use super::*;

/// Lines of x86-64 kernels, among them every shape there is: wide numbers, counts without unit,
/// labels of 15, 16 and 18 columns.
const MEMINFO: &[u8] = b"\
MemTotal:       24684092 kB
MemFree:         1301132 kB
Buffers:             440 kB
Active(anon):       1520 kB
Inactive(anon):     3648 kB
SwapTotal:             0 kB
Committed_AS:   1234567890 kB
VmallocTotal:   34359738367 kB
HardwareCorrupted:     0 kB
ShmemHugePages:        0 kB
HugePages_Total:       0
HugePages_Free:    123456
Hugepagesize:       2048 kB
DirectMap4k:       26624 kB
";

const NODE_MEMINFO: &[u8] = b"\
Node 0 MemTotal:       24684092 kB
Node 0 MemFree:         1301132 kB
Node 0 HugePages_Total:     0
Node 12 MemTotal:      24684092 kB
";

fn only(text: &[u8]) -> Line<'_> {
    lines(text).next().unwrap().unwrap()
}

fn rewritten(text: &[u8], value: u64) -> String {
    let mut out = Vec::new();
    only(text).push_with(value, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn one_line() {
    // (text, key, value and whether in KiB)
    type Row = (&'static [u8], &'static [u8], Option<(u64, bool)>);
    let rows: [Row; 15] = [
        (b"MemFree:  12 kB\n", b"MemFree", Some((12, true))),
        (b"MemFree:  12 kB", b"MemFree", Some((12, true))),
        (b"MemFree:  12 kB\r\n", b"MemFree", Some((12, true))),
        (b"HugePages_Free: 3\n", b"HugePages_Free", Some((3, false))),
        (b"Active(anon):\t1 kB\n", b"Active(anon)", Some((1, true))),
        (b"\xff\0: 1\n", b"\xff\0", Some((1, false))),
        (b"A: 18446744073709551615\n", b"A", Some((u64::MAX, false))),
        (b"A: 18446744073709551616\n", b"A", None),
        (b"A: -1 kB\n", b"A", None),
        (b"A: max\n", b"A", None),
        (b"A:\n", b"A", None),
        (b"A 1 kB\n", b"A", None),
        (b": 1 kB\n", b"", None),
        (b"A: 1 MB\n", b"A", None),
        (b"A: 1 kB 2\n", b"A", None),
    ];
    for (text, key, expected) in rows {
        let found = lines(text).next().unwrap().ok();
        let expected_line = expected.map(|(value, kib)| (text, key, value, kib));
        assert_eq!(
            found.map(|line| (line.text, line.key, line.value, line.kib)),
            expected_line,
            "{}",
            text.escape_ascii()
        );
        assert_eq!(get(text, key), expected.map(|(value, _)| value));
    }
}

#[test]
fn goes_on_after_a_bad_line_and_over_blank_ones() {
    let found: Vec<_> = lines(b"A: 1\n\nB\nC: 2").collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[1].as_ref().unwrap_err().line, 3);
    assert_eq!(found[2].as_ref().unwrap().value, 2);
    assert_eq!(lines(b"").count(), 0);
}

#[test]
fn get_takes_whole_keys() {
    assert_eq!(get(MEMINFO, b"MemFree"), Some(1_301_132));
    assert_eq!(get(MEMINFO, b"Mem"), None);
    assert_eq!(get(MEMINFO, b""), None);
    assert_eq!(get(b"A: 1\nA: 2\n", b"A"), Some(1));
}

#[test]
fn the_same_number_gives_the_same_line() {
    for text in [MEMINFO, NODE_MEMINFO] {
        let mut out = Vec::new();
        for line in lines(text) {
            let line = line.unwrap();
            line.push_with(line.value, &mut out);
        }
        assert_eq!(
            out.escape_ascii().to_string(),
            text.escape_ascii().to_string()
        );
    }
}

#[test]
fn other_numbers_stand_where_the_kernel_puts_them() {
    let rows: [(&[u8], u64, &str); 10] = [
        (
            b"MemTotal:       24684092 kB\n",
            0,
            "MemTotal:              0 kB\n",
        ),
        (
            b"MemTotal:              0 kB\n",
            24_684_092,
            "MemTotal:       24684092 kB\n",
        ),
        (
            b"MemTotal:              0 kB\n",
            123_456_789,
            "MemTotal:       123456789 kB\n",
        ),
        (
            b"VmallocTotal:   34359738367 kB\n",
            5,
            "VmallocTotal:          5 kB\n",
        ),
        (
            b"VmallocTotal:   34359738367 kB",
            12_345_678,
            "VmallocTotal:   12345678 kB",
        ),
        (
            b"HugePages_Total:       0\n",
            99_999,
            "HugePages_Total:   99999\n",
        ),
        (
            b"HugePages_Total:       0\n",
            123_456,
            "HugePages_Total:   123456\n",
        ),
        (
            b"HardwareCorrupted:     0 kB\n",
            123_456,
            "HardwareCorrupted: 123456 kB\n",
        ),
        (
            b"Node 0 MemTotal:              0 kB\n",
            24_684_092,
            "Node 0 MemTotal:       24684092 kB\n",
        ),
        (b"A:1 kB\n", 20, "A: 20 kB\n"),
    ];
    for (text, value, expected) in rows {
        assert_eq!(rewritten(text, value), expected);
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(
        row in 0..14_usize,
        value: u64,
        shift in 0..64_u32,
    ) {
        let value = value >> shift;
        let line = lines(MEMINFO).nth(row).unwrap().unwrap();
        let mut out = Vec::new();
        line.push_with(value, &mut out);
        let again = only(&out);
        prop_assert_eq!(again.value, value);
        prop_assert_eq!((again.key, again.kib), (line.key, line.kib));
        prop_assert_eq!(again.text, &out[..]);
    }

    #[test]
    fn the_columns_are_those_of_printf(value: u64, shift in 0..64_u32, first: u64) {
        let value = value >> shift;
        let with_unit = format!("{:<16}{first:8} kB\n", "MemTotal:");
        prop_assert_eq!(
            rewritten(with_unit.as_bytes(), value),
            format!("{:<16}{value:8} kB\n", "MemTotal:")
        );
        let count = format!("{:<19}{first:5}\n", "HugePages_Rsvd:");
        prop_assert_eq!(
            rewritten(count.as_bytes(), value),
            format!("{:<19}{value:5}\n", "HugePages_Rsvd:")
        );
    }
}
