//! Without requests, vistafs uses no CPU time.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{self, MountOptions, Mounted, wait_until};

use crate::outlives::{kill_worker, stop_process};

/// Longer than the longest wait of a supervisor that is not asleep, in the default configuration.
const LONGER_THAN_A_LOOK: Duration = Duration::from_secs(12);

/// The number of times that the threads of both processes have gone to sleep, which equals the wake-ups.
fn wake_ups(mounted: &Mounted) -> u64 {
    [mounted.supervisor(), mounted.pid()]
        .map(vistafs::wake_ups)
        .iter()
        .sum()
}

/// Waits until there was no wake-up for this long.
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
    // Requests schedule checks, a second apart.
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

/// The supervisor sleeps, and must still notice the only request.
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
    // The other file system replies ENOENT.
    assert!(file.read_at(&mut [0; 64], 0).is_err());
    wait_until_asleep(&mounted, Duration::from_secs(5));
    let worker = mounted.pid();
    let asleep = Pid::from_raw(other.pid().cast_signed());
    stop_process(asleep);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each next worker repeats the request until the other file system replies.
            let _ = file.read_at(&mut [0; 64], 0);
        });
        wait_until("the worker is replaced", || mounted.pid() != worker);
        kill(asleep, Signal::SIGCONT).unwrap();
    });
    assert!(!mounted.read("proc/uptime").is_empty());
}
