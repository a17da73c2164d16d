//! A worker that hangs in the kernel, where it is told apart from one that waits.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted, wait_for};

use crate::outlives::{LONG, stop_process};

/// Lets a process go on that was stopped, however the test ends.
struct GoesOn(Pid);

impl Drop for GoesOn {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// Threads of a process that no signal reaches (state D).
fn hangs(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let stats = tasks.flatten().flatten();
    let stats = stats.map(|task| std::fs::read_to_string(task.path().join("stat")));
    let hanging = stats.flatten().filter(|stat| {
        let (_, state) = stat.rsplit_once(") ").unwrap();
        state.starts_with('D')
    });
    hanging.count()
}

/// Whoever is the first to look up a name waits for the answer of the file system, and a signal ends
/// that; the second waits for the first, and no signal does.
#[test]
fn a_worker_that_hangs_in_the_kernel_is_told_apart() {
    require_privileged!();
    let other = Mounted::new();
    let _ = other.read("proc/uptime");
    let nothing = other.path("proc/nothing");
    let config = format!(
        "[worker]\nstuck_seconds = 12\n[[file]]\npath = \"proc/site/hangs\"\nsource = \"{}\"\n",
        nothing.display()
    );
    let mut mounted = Mounted::with(&MountOptions {
        config,
        ..MountOptions::default()
    });
    let asleep = Pid::from_raw(other.pid().cast_signed());
    stop_process(asleep);
    let goes_on = GoesOn(asleep);
    let worker = mounted.pid();
    // What may take long is done by one thread for each container.
    let cgroup = TestCgroup::new();
    let file = "proc/site/hangs";
    let paths = [file.to_owned(), cgroup.address(file)].map(|path| mounted.path(&path));
    std::thread::scope(|scope| {
        for path in &paths {
            scope.spawn(move || {
                let mut text = [0; 16];
                // Asked again by the next worker, they hang until the other file system answers.
                let got = File::open(path).and_then(|file| file.read_at(&mut text, 0));
                assert!(got.is_err());
            });
        }
        wait_for(LONG, "a thread hangs", || hangs(worker) > 0);
        wait_for(LONG, "the worker is replaced", || mounted.pid() != worker);
        assert!(!mounted.read("proc/uptime").is_empty());
        // Before the next one is found stuck as well.
        drop(goes_on);
    });
    wait_for(Duration::from_secs(10), "the kernel lets it go", || {
        !std::path::Path::new(&format!("/proc/{worker}")).exists()
    });
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{status}");
    assert!(
        messages.contains("wait in the kernel, where a kill does not end them"),
        "{messages}"
    );
}
