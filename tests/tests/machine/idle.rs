//! A vistafs that nobody asks for anything leaves the processor alone.

use std::time::Duration;

use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::Mounted;

/// How often all threads of both processes went to sleep so far: as often as they were woken.
fn wake_ups(mounted: &Mounted) -> u64 {
    let mut sum = 0;
    for pid in [mounted.supervisor(), mounted.pid()] {
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let line = status
                .lines()
                .find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
            sum += line.unwrap().trim().parse::<u64>().unwrap();
        }
    }
    sum
}

/// The supervisor alone looks for stuck requests, at intervals that grow to `stuck_seconds`; with 0 it
/// does not, and nobody ever wakes up.
#[test]
fn nobody_wakes_up_while_nothing_is_asked() {
    require_privileged!();
    let mounted = Mounted::with(&vistafs_tests::vistafs::MountOptions {
        config: "[worker]\nstuck_seconds = 0\n".into(),
        ..Default::default()
    });
    let _ = mounted.read("proc/meminfo");
    // What the start left to be done.
    std::thread::sleep(Duration::from_secs(2));
    let before = wake_ups(&mounted);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(wake_ups(&mounted), before);
}
