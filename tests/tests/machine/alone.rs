//! Tests that need an otherwise idle machine; in the VMs they run alone.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::vistafs::{Mounted, wait_for};
use vistafs_tests::{require, require_privileged};

/// The kernel's samples and ours are taken at different instants, so one side may have one sample more. After
/// this time, one sample of one thread at the beginning contributes at most 0.02.
const LOAD: Duration = Duration::from_secs(90);

/// The contribution of one sample of one thread to each average, plus rounding: a thread that wakes up
/// briefly may be in one of our samples and in none of the kernel's.
const ONE_SAMPLE: [f64; 3] = [0.10, 0.03, 0.02];

fn averages(text: &str) -> [f64; 3] {
    let mut words = text.split(' ');
    std::array::from_fn(|_| words.next().unwrap().parse().unwrap())
}

fn of_host() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap()
}

/// Whether no other thread wanted to run during the check.
fn nothing_else_runs() -> bool {
    (0..100).all(|_| {
        std::thread::sleep(Duration::from_millis(20));
        of_host().split(' ').nth(3).unwrap().starts_with("1/")
    })
}

/// If the container is the only load, its averages equal the host's, minus what remains of earlier load.
#[test]
fn the_load_is_the_kernel_s_own() {
    require_privileged!();
    require!(
        vistafs_tests::require::alone(),
        "needs a machine that nothing else loads (VISTAFS_ALONE=1 says that it is one)"
    );
    let mounted = Mounted::new();
    wait_for(
        Duration::from_secs(300),
        "nothing else runs",
        nothing_else_runs,
    );
    let cgroup = TestCgroup::new();
    let host_before = averages(&of_host());
    let started = Instant::now();
    let script = format!(
        "cat /proc/loadavg\n\
         timeout {} sh -c 'while :; do :; done' &\n\
         while read _; do cat /proc/loadavg; done; wait",
        LOAD.as_secs() + 60,
    );
    let mut child = TestContainer::new(&mounted, &cgroup).spawn(&script);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = averages(&lines.next().unwrap().unwrap());
    std::thread::sleep(LOAD.saturating_sub(started.elapsed()));
    // Read once: a reader that polls is itself load.
    let host_after = averages(&of_host());
    let seconds = started.elapsed().as_secs_f64();
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    let last = averages(&lines.next().unwrap().unwrap());
    cgroup.kill();
    child.wait().unwrap();
    let kernel_s: [f64; 3] = std::array::from_fn(|index| {
        let seconds_of = [60.0, 300.0, 900.0][index];
        host_after[index] - host_before[index] * (-seconds / seconds_of).exp()
    });
    let told = format!(
        "after {seconds:.0} s: {last:?}, the kernel's {kernel_s:.3?}; before {first:?}, the host \
         {host_before:?}"
    );
    println!("{told}");
    // Starts at zero, with only the reader in the container.
    assert_eq!(first, [0.0; 3], "{told}");
    for ((ours, kernel_s), most) in std::iter::zip(last, kernel_s).zip(ONE_SAMPLE) {
        assert!((ours - kernel_s).abs() <= most, "{told}");
    }
}
