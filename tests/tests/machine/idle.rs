//! A vistafs that nobody asks for anything leaves the processor alone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{self, MountOptions, Mounted, wait_until};

use crate::outlives::{kill_worker, stop_process};

/// Longer than a supervisor that is not asleep ever waits, by its default configuration.
const LONGER_THAN_A_LOOK: Duration = Duration::from_secs(12);

/// How often all threads of both processes went to sleep so far: as often as they were woken.
fn wake_ups(mounted: &Mounted) -> u64 {
    [mounted.supervisor(), mounted.pid()]
        .map(vistafs::wake_ups)
        .iter()
        .sum()
}

/// Waits until nobody has been woken for so long.
fn wait_until_asleep(mounted: &Mounted, quiet: Duration) {
    wait_until("nobody is woken", || {
        let before = wake_ups(mounted);
        std::thread::sleep(quiet);
        wake_ups(mounted) == before
    });
}

#[test]
fn nobody_wakes_up_while_nothing_is_asked() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    for file in ["proc/meminfo", "proc/stat", "proc/uptime"] {
        assert!(!mounted.read(&cgroup.address(file)).is_empty());
    }
    // What was asked leaves looks to be taken, a second apart.
    wait_until_asleep(&mounted, Duration::from_secs(3));
    let before = wake_ups(&mounted);
    std::thread::sleep(LONGER_THAN_A_LOOK);
    assert_eq!(wake_ups(&mounted), before);
    // The next worker's requests wake the supervisor as well, and it falls asleep again.
    let worker = mounted.pid();
    kill_worker(&mounted, Signal::SIGKILL);
    wait_until("another worker serves", || mounted.pid() != worker);
    assert!(!mounted.read("proc/uptime").is_empty());
    wait_until_asleep(&mounted, LONGER_THAN_A_LOOK);
}

/// The supervisor sleeps, and has to hear of the one request that there is.
#[test]
fn a_request_that_is_stuck_is_found_after_a_long_rest() {
    require_privileged!();
    let other = Mounted::with(&MountOptions {
        config: "[worker]\nstuck_seconds = 0\n".into(),
        ..MountOptions::default()
    });
    let source = other.path("proc/nothing");
    let config = format!(
        "[worker]\nstuck_seconds = 2\n[[file]]\npath = \"proc/site/hangs\"\nsource = \"{}\"\n",
        source.display()
    );
    let mounted = Mounted::with(&MountOptions {
        config,
        ..MountOptions::default()
    });
    let cgroup = TestCgroup::new();
    let file = File::open(mounted.path(&cgroup.address("proc/site/hangs"))).unwrap();
    // The other file system answers that there is no such file.
    assert!(file.read_at(&mut [0; 64], 0).is_err());
    wait_until_asleep(&mounted, Duration::from_secs(5));
    let worker = mounted.pid();
    let asleep = Pid::from_raw(other.pid().cast_signed());
    stop_process(asleep);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Asked again by each next worker until the other file system answers.
            let _ = file.read_at(&mut [0; 64], 0);
        });
        wait_until("the worker is replaced", || mounted.pid() != worker);
        kill(asleep, Signal::SIGCONT).unwrap();
    });
    assert!(!mounted.read("proc/uptime").is_empty());
}
