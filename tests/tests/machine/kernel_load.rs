//! A container's load averages, compared with the kernel's.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::Mounted;

/// Long enough that one sample is a small part of the average of one minute.
const LOAD: Duration = Duration::from_secs(60);
/// The sampling interval, rounded up: the kernel's samples and ours are taken at different instants.
const SAMPLE: f64 = 5.1;
/// Two averages are rounded to hundredths.
const ROUNDED: f64 = 0.02;
/// The time constants of the three averages in seconds.
const CONSTANTS: [f64; 3] = [60.0, 300.0, 900.0];

fn averages(text: &str) -> [f64; 3] {
    let mut words = text.split(' ');
    std::array::from_fn(|_| words.next().unwrap().parse().unwrap())
}

fn of_host() -> [f64; 3] {
    averages(&std::fs::read_to_string("/proc/loadavg").unwrap())
}

/// A container with one busy thread has the averages of the kernel's formula, and the host's have grown by at least
/// as much: other programs only add to them.
#[test]
fn the_load_of_one_thread_is_part_of_the_kernel_s() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let script = format!(
        "cat /proc/loadavg\n\
         timeout {} sh -c 'echo; while :; do :; done' &\n\
         while read _; do cat /proc/loadavg; done; wait",
        LOAD.as_secs() + 60,
    );
    let created = Instant::now();
    let mut child = TestContainer::new(&mounted, &cgroup).spawn(&script);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    let first = averages(&line());
    assert_eq!(line(), "", "the thread is busy from now on");
    let (started, host_before) = (Instant::now(), of_host());
    let start_up = created.elapsed().as_secs_f64();
    std::thread::sleep(LOAD);
    let host_after = of_host();
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    let last = averages(&line());
    let seconds = started.elapsed().as_secs_f64();
    cgroup.kill();
    child.wait().unwrap();
    let shown = format!(
        "after {seconds:.1} s: {last:?}, before {first:?}; the host's {host_after:?}, before {host_before:?}"
    );
    for (index, constant) in CONSTANTS.into_iter().enumerate() {
        let after = |seconds: f64| 1.0 - (-seconds.max(0.0) / constant).exp();
        // Its start may have kept a CPU busy: in a slow guest for seconds.
        assert!(first[index] <= after(start_up) + ROUNDED, "{shown}");
        let least = after(seconds - 2.0 * SAMPLE) - ROUNDED;
        let most = after(start_up + seconds + SAMPLE) + ROUNDED;
        assert!(
            (least..=most).contains(&last[index]),
            "{least} to {most}: {shown}"
        );
        let remembered = host_before[index] * (-(seconds + SAMPLE) / constant).exp();
        let grown = host_after[index] - remembered;
        assert!(
            grown + ROUNDED >= after(seconds - 2.0 * SAMPLE),
            "{grown}: {shown}"
        );
    }
}
