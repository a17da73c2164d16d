//! vistafs as the packages' services: one mount for the containers of all tests, and one that replaces lxcfs.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::vistafs::{children, printed, wait_until};

use crate::container::{device, report};
use crate::run;

/// A lock that is held while a test changes shared state; the other tests are other processes.
pub(crate) struct SetUp {
    _lock: File,
}

impl SetUp {
    pub(crate) fn begin() -> SetUp {
        let lock = File::create("/run/vistafs-tests-set-up").unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        SetUp { _lock: lock }
    }
}

/// A service; the guest has the program at /usr/bin/vistafs.
pub(crate) struct Service {
    name: &'static str,
}

impl Service {
    /// `vistafs.service`, started: the mount is at /var/lib/vistafs.
    pub(crate) fn vistafs() -> Service {
        let unit = include_str!("../../../contrib/systemd/vistafs.service");
        Service::start("vistafs", unit)
    }

    /// `lxcfs.service`, started: the mount is at /var/lib/lxcfs. Debian's lxcfs, which Incus depends on, has
    /// never run.
    pub(crate) fn lxcfs() -> Service {
        let _ = run(&["ln", "-sf", "vistafs", "/usr/bin/lxcfs"]);
        let unit = include_str!("../../../contrib/systemd/lxcfs.service");
        Service::start("lxcfs", unit)
    }

    fn start(name: &'static str, unit: &str) -> Service {
        let _alone = SetUp::begin();
        let place = format!("/etc/systemd/system/{name}.service");
        if !Path::new(&place).exists() {
            std::fs::write(place, unit).unwrap();
            let _ = run(&["systemctl", "daemon-reload"]);
            let _ = run(&["systemctl", "start", name]);
        }
        Service { name }
    }

    /// The device number of its mount.
    pub(crate) fn device(&self) -> String {
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        device(&mountinfo, &format!("/var/lib/{}", self.name))
    }

    fn worker(&self) -> u32 {
        let supervisor = main_pid(self.name);
        let mut worker = 0;
        // A repair process ends by itself; a worker that another test killed is replaced.
        wait_until("the worker is the only child", || {
            let children = children(supervisor);
            worker = children.last().copied().unwrap_or_default();
            children.len() == 1
        });
        worker
    }

    /// Kills the supervisor, and waits until the service is up again.
    pub(crate) fn kill_supervisor(&self) {
        let supervisor = main_pid(self.name);
        kill(Pid::from_raw(supervisor.cast_signed()), Signal::SIGKILL).unwrap();
        wait_until("another supervisor runs", || {
            let state = [
                "systemctl",
                "show",
                "--property=ActiveState",
                "--value",
                self.name,
            ];
            ![0, supervisor].contains(&main_pid(self.name)) && run(&state).trim() == "active"
        });
    }

    /// Stops the service, which unmounts, and starts it again.
    pub(crate) fn restart(&self) {
        let _ = run(&["systemctl", "stop", self.name]);
        let _ = run(&["systemctl", "start", self.name]);
    }

    /// Upgrades supervisor and worker to the program file.
    pub(crate) fn upgrade(&self) {
        let mount = format!("/var/lib/{}", self.name);
        let _ = run(&["vistafs", "upgrade", "--mount", &mount]);
    }

    /// Kills the worker and waits for its successor.
    pub(crate) fn kill_worker(&self) {
        let worker = self.worker();
        let killed = kill(Pid::from_raw(worker.cast_signed()), Signal::SIGKILL);
        // Another test may have killed it first.
        assert!(matches!(killed, Ok(()) | Err(Errno::ESRCH)), "{killed:?}");
        wait_until("another worker serves", || self.worker() != worker);
    }
}

/// The PID of a unit's main process; 0 if there is none.
pub(crate) fn main_pid(unit: &str) -> u32 {
    let pid = run(&["systemctl", "show", "--property=MainPID", "--value", unit]);
    pid.trim().parse().unwrap()
}

/// Starts a unit, and prints its log if it fails.
#[track_caller]
pub(crate) fn start(unit: &str) {
    let started = Instant::now();
    let output = Command::new("systemctl").args(["start", unit]).output();
    let output = output.unwrap();
    report(unit, "its service is up", started);
    if !output.status.success() {
        eprintln!("{}", run(&["journalctl", "--no-pager", "-u", unit]));
    }
    let _ = printed(&output);
}
