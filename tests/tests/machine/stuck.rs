//! A worker that hangs in the kernel is distinguished from one that waits.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted, thread_states, wait_until};

use crate::outlives::stop_process;

/// Continues a stopped process on drop, however the test ends.
struct GoesOn(Pid);

impl Drop for GoesOn {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// How long the kernel caches the attributes of a directory.
const ATTRIBUTES: Duration = Duration::from_secs(1);
/// Shorter than the time until the worker is replaced.
const SOON: Duration = Duration::from_secs(3);

/// Makes the worker look up the same name twice in a file system that sleeps. The first thread waits for the
/// answer, and a signal interrupts it; the second waits for the first, uninterruptibly. If the cached
/// attributes of the path have expired, both wait for those instead.
fn hangs_soon(worker: u32, other: &Mounted, asleep: Pid, read: impl FnOnce()) -> Option<GoesOn> {
    std::thread::sleep(ATTRIBUTES + Duration::from_millis(100));
    for directory in [other.root(), other.path("proc")] {
        assert!(std::fs::metadata(directory).unwrap().is_dir());
    }
    stop_process(asleep);
    let goes_on = GoesOn(asleep);
    read();
    let asked = Instant::now();
    while asked.elapsed() < SOON {
        // In uninterruptible sleep.
        if thread_states(worker).contains(&'D') {
            return Some(goes_on);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

#[test]
fn a_worker_that_hangs_in_the_kernel_is_told_apart() {
    const ATTEMPTS: usize = 10;
    require_privileged!();
    let other = Mounted::with(&MountOptions {
        config: "[worker]\nstuck_seconds = 0\n".into(),
        ..MountOptions::default()
    });
    let nothing = other.path("proc/nothing");
    let config = format!(
        "[worker]\nstuck_seconds = 10\n[[file]]\npath = \"proc/site/hangs\"\nsource = \"{}\"\n",
        nothing.display()
    );
    let mut mounted = Mounted::with(&MountOptions {
        config,
        ..MountOptions::default()
    });
    let asleep = Pid::from_raw(other.pid().cast_signed());
    let worker = mounted.pid();
    // Slow requests are served by one thread for each container.
    let cgroup = TestCgroup::new();
    let file = "proc/site/hangs";
    let paths = [file.to_owned(), cgroup.address(file)].map(|path| mounted.path(&path));
    let files = paths.map(|path| File::open(path).unwrap());
    std::thread::scope(|scope| {
        let read_both = || {
            for file in &files {
                scope.spawn(move || {
                    // Repeated by the next worker, they hang until the other file system answers.
                    assert!(file.read_at(&mut [0; 16], 0).is_err());
                });
            }
        };
        let mut attempts = (0..ATTEMPTS).map(|_| hangs_soon(worker, &other, asleep, read_both));
        let goes_on = attempts.find_map(|hangs| hangs);
        assert!(goes_on.is_some(), "no thread hangs");
        wait_until("the worker is replaced", || mounted.pid() != worker);
        assert!(!mounted.read("proc/uptime").is_empty());
        // Before the next worker is found stuck as well.
        drop(goes_on);
    });
    wait_until("the kernel lets it go", || {
        !std::path::Path::new(&format!("/proc/{worker}")).exists()
    });
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{status}");
    assert!(
        messages.contains("wait in the kernel, where a kill does not end them"),
        "{messages}"
    );
}
