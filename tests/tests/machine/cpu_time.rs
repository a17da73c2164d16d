//! CPU time: exact and monotonic.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{Mounted, wait_until};

type Line = (String, Vec<u64>);

/// The label and the columns (ticks) of each CPU line of a stat text.
pub(crate) fn cpu_lines(stat: &str) -> Vec<Line> {
    let cpu = stat.lines().filter(|l| l.starts_with("cpu"));
    cpu.map(|line| {
        let mut words = line.split_whitespace();
        (
            words.next().unwrap().to_owned(),
            words.map(|n| n.parse().unwrap()).collect(),
        )
    })
    .collect()
}

/// user + nice + system of the first line.
fn used(lines: &[Line]) -> u64 {
    lines[0].1[..3].iter().sum()
}

fn check_sum(lines: &[Line]) {
    for column in 0..10 {
        let sum: u64 = lines[1..].iter().map(|(_, columns)| columns[column]).sum();
        assert_eq!(lines[0].1[column], sum, "column {column} of {lines:?}");
    }
}

#[test]
fn what_the_cgroup_used_is_what_is_shown() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    // Burns CPU for a second and then sleeps, so that the kernel's counters stop.
    let mut child = TestContainer::new(&mounted, &cgroup)
        .spawn("timeout 1 sh -c 'while :; do :; done'; echo; read _");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let before = cgroup.cpu_used() / 10_000_000;
    let lines = cpu_lines(&mounted.read(&cgroup.address("proc/stat")));
    let after = cgroup.cpu_used() / 10_000_000;
    check_sum(&lines);
    let shown = used(&lines);
    assert!(before > 10, "it has burnt CPU: {before} ticks");
    // user and system are each rounded down to ticks.
    assert!(
        (before.saturating_sub(1)..=after).contains(&shown),
        "{before} <= {shown} <= {after}: {lines:?}"
    );
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// The start time of an empty cgroup is unknown: it must not follow the reading descriptor's.
#[test]
fn an_empty_cgroup_has_no_age_however_it_is_asked() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let mut kept = File::open(mounted.path(&cgroup.address("proc/stat"))).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let mut text = String::new();
    kept.read_to_string(&mut text).unwrap();
    let fresh = cpu_lines(&mounted.read(&cgroup.address("proc/stat")));
    assert_eq!(cpu_lines(&text), fresh);
    let uptime = mounted.read(&cgroup.address("proc/uptime"));
    assert_eq!(uptime, "0.00 0.00\n");
}

#[test]
fn no_counter_goes_back_when_limits_change_under_load() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let script = "for i in 1 2; do timeout 6 sh -c 'while :; do :; done' & done; wait";
    let mut child = TestContainer::new(&mounted, &cgroup).spawn(script);
    let mut last: Vec<Line> = Vec::new();
    for round in 0..60 {
        match round % 6 {
            0 => cgroup.limit_cpu(Some(50)),
            2 => cgroup.limit_cpu(None),
            3 => cgroup.limit_cpus("0"),
            4 => cgroup.limit_cpus(
                std::fs::read_to_string("/sys/devices/system/cpu/online")
                    .unwrap()
                    .trim(),
            ),
            _ => {}
        }
        let lines = cpu_lines(&mounted.read(&cgroup.address("proc/stat")));
        check_sum(&lines);
        for (name, columns) in &lines {
            let Some((_, was)) = last.iter().find(|(known, _)| known == name) else {
                continue;
            };
            assert!(
                columns.iter().zip(was).all(|(now, was)| now >= was),
                "{name}: {was:?} then {columns:?}"
            );
        }
        last = lines;
        std::thread::sleep(Duration::from_millis(60));
    }
    child.wait().unwrap();
    assert!(used(&last) > 10, "{last:?}");
}

#[test]
fn a_quota_that_holds_back_is_seen_as_steal() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let mut child = TestContainer::new(&mounted, &cgroup)
        .spawn("exec timeout 60 sh -c 'echo; while :; do :; done'");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    // So small that it is used up in each period, even if many others want the CPUs.
    cgroup.limit_cpu(Some(5));
    let lines = || cpu_lines(&mounted.read(&cgroup.address("proc/stat")));
    let before = lines();
    std::thread::sleep(Duration::from_secs(5));
    let after = lines();
    cgroup.kill();
    child.wait().unwrap();
    let grown = |column: usize| after[0].1[column] - before[0].1[column];
    let (busy, idle, steal) = (used(&after) - used(&before), grown(3), grown(7));
    assert!(busy > 10 && steal > busy, "{before:?} {after:?}");
    assert!(steal > idle, "{before:?} {after:?}");
}

#[test]
fn running_threads_are_the_container_s() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let mut child = TestContainer::new(&mounted, &cgroup)
        .spawn("for i in 1 2 3; do timeout 20 sh -c 'while :; do :; done' & done; wait");
    let running = |text: &str| vistafs_tests::container::field(text, "procs_running ");
    let mut text = String::new();
    wait_until("three threads are seen to run", || {
        text = mounted.read(&cgroup.address("proc/stat"));
        (3..=5).contains(&running(&text))
    });
    cgroup.kill();
    child.wait().unwrap();
    let btime = |text: &str| vistafs_tests::container::field(text, "btime ");
    assert_eq!(
        btime(&text),
        btime(&std::fs::read_to_string("/proc/stat").unwrap())
    );
}
