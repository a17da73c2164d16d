use super::*;

const STAT: &[u8] = b"\
cpu  9021 1 2258 165850 436 2 34 13 3 4
cpu0 4105 0 956 83712 31 0 9 4 0 0
cpu1 4916 1 1302 82138 405 2 25 9 3 4
intr 12 0 9
ctxt 1990473
btime 1062191376
";

const SUM: CpuTimes = CpuTimes {
    user: 9021,
    nice: 1,
    system: 2258,
    idle: 165_850,
    iowait: 436,
    irq: 2,
    softirq: 34,
    steal: 13,
    guest: 3,
    guest_nice: 4,
};

#[test]
fn lines_are_the_text_with_its_keys() {
    let found: Vec<_> = lines(STAT).collect();
    let keys: Vec<_> = found.iter().map(|line| line.key).collect();
    let expected: [&[u8]; 6] = [b"cpu", b"cpu0", b"cpu1", b"intr", b"ctxt", b"btime"];
    assert_eq!(keys, expected);
    let text: Vec<u8> = found.iter().flat_map(|line| line.text.to_vec()).collect();
    assert_eq!(text, STAT);
    assert_eq!(lines(b"\n").next().unwrap().key, b"");
    assert_eq!(lines(b"").count(), 0);
}

#[test]
fn writes_as_the_kernel_does() {
    let mut out = Vec::new();
    let found: Result<Vec<_>, _> = cpu_times(STAT).collect();
    let found = found.unwrap();
    assert_eq!(found[0], (Label::Sum, SUM));
    for (label, times) in found {
        push_cpu_line(&mut out, label, &times);
    }
    assert!(STAT.starts_with(&out));
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 3);
}

#[test]
fn one_line() {
    type Row = (&'static [u8], Option<(Label, CpuTimes)>);
    let four = CpuTimes {
        user: 1,
        nice: 2,
        system: 3,
        idle: 4,
        ..CpuTimes::default()
    };
    let rows: [Row; 13] = [
        (b"cpu 1 2 3 4\n", Some((Label::Sum, four))),
        (b"cpu12 1 2 3 4", Some((Label::Cpu(12), four))),
        (b"cpu12 1 2 3 4\r\n", Some((Label::Cpu(12), four))),
        (
            b"cpu 9021 1 2258 165850 436 2 34 13 3 4 77 new\n",
            Some((Label::Sum, SUM)),
        ),
        (b"cpu 1 2 3\n", None),
        (b"cpu\n", None),
        (b"cpu 1 2 3 -4\n", None),
        (b"cpu 1 2 3 max\n", None),
        (b"cpu 1 2 3 18446744073709551616\n", None),
        (b"cpu 1 2 3 4 x\n", None),
        (b"cpu99999999999999999999 1 2 3 4\n", None),
        (b"cpu1x 1 2 3 4\n", None),
        (b"cpu 1 2 3\0 \xff\n", None),
    ];
    for (text, expected) in rows {
        let found = cpu_times(text).next().unwrap().ok();
        assert_eq!(found, expected, "{}", text.escape_ascii());
    }
}

#[test]
fn passes_over_other_lines_and_goes_on_after_a_bad_one() {
    let found: Vec<_> = cpu_times(b"cpufreq 1\n\ncpu 1\n\xff\ncpu1 1 2 3 4\n").collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].as_ref().unwrap_err().line, 3);
    assert_eq!(found[1].as_ref().unwrap().0, Label::Cpu(1));
    assert_eq!(cpu_times(b"").count(), 0);
}

#[test]
fn numbers_are_replaced_by_zeros() {
    let text = b"ctxt 7\nsoftirq 12 5 0 7\n\nlast 1";
    let mut out = Vec::new();
    lines(text).for_each(|line| push_zeroed(&line, &mut out));
    assert_eq!(out, b"ctxt 0\nsoftirq 0 0 0 0\n\nlast 0\n");
}
