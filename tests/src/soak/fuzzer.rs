//! Containers that make random system calls, and check everything that they are shown.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{FlockOperation, Mode, OFlags};
use vistafs_tests::arena::Arena;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer};
use vistafs_tests::raw::{self, Lease};
use vistafs_tests::role::{Running, Start, report};

const MIB: u64 = 1 << 20;
const CONTAINERS: usize = 3;
/// With CAP_LEASE on the host the kernel grants leases on files that belong to others.
const WITHOUT_CAP_LEASE: &str =
    "exec setpriv --bounding-set=-lease --inh-caps=-lease \"$ROLE_PROGRAM\" $ROLE_ARGS";
/// How many descriptors one of them holds.
const HELD: usize = 64;
/// How often one reports how far it is, and how long none of its system calls may take.
const REPORTS: Duration = Duration::from_millis(200);
const HANGS: Duration = Duration::from_secs(20);

/// One container, from outside.
struct Fuzzer {
    running: Running,
    cgroup: TestCgroup,
    limit: u64,
    operations: u64,
}

/// All of them.
pub(crate) struct Fuzzers {
    all: Vec<Fuzzer>,
    limits: Vec<u64>,
    // Of those that were killed.
    operations: u64,
    faults: Vec<String>,
    next: usize,
}

impl Fuzzers {
    /// Starts them, each with a limit that no other one has.
    pub(crate) fn start(arena: &Arena, rng: &mut Rng) -> Self {
        // Far from each other: what is free of one limit is not the total of another.
        let limits: Vec<u64> = (0..CONTAINERS as u64)
            .map(|number| ((200 + 150 * number) + rng.u64(0..50)) * MIB)
            .collect();
        let mut fuzzers = Self {
            all: Vec::new(),
            limits,
            operations: 0,
            faults: Vec::new(),
            next: 0,
        };
        for number in 0..CONTAINERS {
            let cgroup = arena.attackers(&format!("fuzz{number}"));
            cgroup.limit_memory(fuzzers.limits[number]);
            let cpus = if number == 1 { "1" } else { "0" };
            // A machine of one CPU has the same for all.
            if number < 2 && std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
                cgroup.limit_cpus(cpus);
            }
            let limit = fuzzers.limits[number];
            let running = fuzzers.run(arena, rng, &cgroup, limit);
            fuzzers.all.push(Fuzzer {
                running,
                cgroup,
                limit,
                operations: 0,
            });
        }
        fuzzers
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    fn run(&self, arena: &Arena, rng: &mut Rng, cgroup: &TestCgroup, limit: u64) -> Running {
        let others = self.limits.iter().filter(|other| **other != limit);
        let root = arena.mounted().root();
        let own = root.join(cgroup.below_mount());
        let args = [
            rng.u64(..).to_string(),
            limit.to_string(),
            root.display().to_string(),
            own.display().to_string(),
        ];
        let start = Start {
            script: WITHOUT_CAP_LEASE,
            args: args.into_iter().chain(others.map(u64::to_string)).collect(),
            ..Start::default()
        };
        let container = TestContainer::with(arena.mounted(), cgroup, Namespaces::Both);
        let mut running = Running::start(&container, "fuzzer", start);
        running.expect("ready");
        running
    }

    /// Hears how far they are, and what is wrong.
    pub(crate) fn check(&mut self) -> Vec<String> {
        for fuzzer in &mut self.all {
            fuzzer.hear(&mut self.faults);
        }
        std::mem::take(&mut self.faults)
    }

    /// Kills the next one in turn with all of its processes, and starts it again.
    pub(crate) fn replace_one(&mut self, arena: &Arena, rng: &mut Rng) {
        let number = self.next % self.all.len();
        self.next += 1;
        let before = self.all.remove(number);
        self.operations += before.operations;
        before.cgroup.kill();
        drop(before.running);
        let (cgroup, limit) = (before.cgroup, before.limit);
        let running = self.run(arena, rng, &cgroup, limit);
        self.all.insert(
            number,
            Fuzzer {
                running,
                cgroup,
                limit,
                operations: 0,
            },
        );
    }

    /// Ends them. Returns how many system calls they have made, and what was wrong.
    pub(crate) fn end(mut self) -> (u64, Vec<String>) {
        let mut faults = self.check();
        for fuzzer in self.all {
            self.operations += fuzzer.operations;
            fuzzer.cgroup.kill();
            drop(fuzzer.running);
        }
        faults.append(&mut self.faults);
        (self.operations, faults)
    }
}

impl Fuzzer {
    fn hear(&mut self, faults: &mut Vec<String>) {
        // Drains older messages, then waits for one more: the process must be alive.
        let mut most = HANGS;
        loop {
            let Some(line) = self.running.line_within(most) else {
                if most == HANGS {
                    faults.push(format!(
                        "a container of {} MiB has hung in a system call for {HANGS:?}",
                        self.limit / MIB
                    ));
                }
                return;
            };
            most = Duration::ZERO;
            match line.strip_prefix("operations ") {
                Some(number) => self.operations = number.parse().unwrap(),
                None => faults.push(line),
            }
        }
    }
}

/// Actions of one container.
struct Calls {
    rng: Rng,
    own: u64,
    others: Vec<u64>,
    root: PathBuf,
    group: PathBuf,
    held: Vec<(PathBuf, File)>,
    namespace: File,
    watches: OwnedFd,
    // Each fault once.
    faults: BTreeMap<String, u64>,
}

/// The role: `SEED LIMIT MOUNT CGROUP OTHER-LIMIT...`.
pub(crate) fn role(args: &[String], _: &Receiver<String>) {
    let number = |index: usize| args[index].parse::<u64>().unwrap();
    SigSet::from(Signal::SIGIO).thread_block().unwrap();
    let mut calls = Calls {
        rng: Rng::with_seed(number(0)),
        own: number(1),
        others: (4..args.len()).map(number).collect(),
        root: PathBuf::from(&args[2]),
        group: PathBuf::from(&args[3]),
        held: Vec::new(),
        namespace: File::open("/proc/thread-self/ns/cgroup").unwrap(),
        watches: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap(),
        faults: BTreeMap::new(),
    };
    report("ready");
    let (mut operations, mut reported) = (0_u64, Instant::now());
    loop {
        calls.any();
        operations += 1;
        if reported.elapsed() > REPORTS {
            reported = Instant::now();
            report(&format!("operations {operations}"));
        }
    }
}

const BELOW_MOUNT: &[&str] = &[
    "",
    "proc",
    "proc/meminfo",
    "proc/uptime",
    "proc/stat",
    "proc/cpuinfo",
    "proc/loadavg",
    "proc/swaps",
    "proc/vmstat",
    "proc/diskstats",
    "proc/pressure/cpu",
    "proc/pressure/memory",
    "proc/site/slow",
    "proc/nothing",
    "sys/devices/system/cpu",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/cpu0/topology",
    "sys/devices/system/node/node0/meminfo",
    "cgroup",
    "self",
    "self/proc/meminfo",
    "c",
    "at",
    "metrics",
];
const IN_GROUP: &[&str] = &[
    "",
    "cgroup.procs",
    "cpu.shares",
    "cpu.weight",
    "a",
    "b",
    "a/cgroup.procs",
];

impl Calls {
    fn path(&mut self) -> PathBuf {
        match self.rng.u32(0..10) {
            0..=5 => self.root.join(self.rng.choice(BELOW_MOUNT).unwrap()),
            6 => PathBuf::from("/proc/meminfo"),
            7 => self.group.join("../victim/cgroup.procs"),
            _ => self.group.join(self.rng.choice(IN_GROUP).unwrap()),
        }
    }

    fn any(&mut self) {
        let path = self.path();
        match self.rng.u32(0..100) {
            0..30 => self.open(path),
            30..60 => self.read(),
            60..65 => drop(std::fs::symlink_metadata(path)),
            65..68 => drop(std::fs::read_dir(path).map(Iterator::count)),
            68..70 => self.lock(),
            70..73 => {
                let _ = inotify::add_watch(&self.watches, &path, WatchFlags::ALL_EVENTS);
                let _ = rustix::io::read(&self.watches, &mut [0; 4096]);
            }
            73..76 => self.poll(),
            76..86 => self.change(path),
            86..90 => drop(unshare(CloneFlags::CLONE_NEWCGROUP)),
            90..92 => drop(setns(&self.namespace, CloneFlags::CLONE_NEWCGROUP)),
            92..93 => self.kill(path),
            _ => {
                let held = self.held.len();
                if held > 0 {
                    self.held.swap_remove(self.rng.usize(0..held));
                }
            }
        }
    }

    fn open(&mut self, path: PathBuf) {
        let kinds = [
            OFlags::RDONLY,
            OFlags::RDONLY,
            OFlags::RDONLY | OFlags::NONBLOCK,
            OFlags::RDWR,
            OFlags::RDONLY | OFlags::DIRECTORY,
            OFlags::RDONLY | OFlags::DIRECT,
        ];
        let flags = *self.rng.choice(&kinds).unwrap() | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open(&path, flags, Mode::empty()) {
            if self.held.len() == HELD {
                self.held.swap_remove(self.rng.usize(0..HELD));
            }
            self.held.push((path, file.into()));
        }
    }

    fn some(&mut self) -> Option<usize> {
        (!self.held.is_empty()).then(|| self.rng.usize(0..self.held.len()))
    }

    fn read(&mut self) {
        let Some(index) = self.some() else {
            return;
        };
        let (path, file) = &self.held[index];
        let mut buffer = vec![0; self.rng.usize(1..8192)];
        let (way, text) = match self.rng.u32(0..10) {
            0 => ("splice", raw::by_splice(file)),
            1 => ("sendfile", raw::by_sendfile(file)),
            2 => ("mmap", raw::by_mmap(file, self.rng.bool())),
            _ => {
                let offsets = [0, 0, 0, 1, 100, 4096, 1 << 40];
                let offset = *self.rng.choice(&offsets).unwrap();
                let got = rustix::io::pread(file, &mut buffer, offset);
                let text = got.map(|got| buffer[..got].to_vec());
                ("pread", text.map_err(Into::into))
            }
        };
        if let Ok(text) = text {
            let what = format!("{way} of {}", path.display());
            self.check(&what, &text);
        }
    }

    /// The model: the limits of others are nowhere, and the total is one's own.
    fn check(&mut self, what: &str, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let mut wrong = None;
        if let Some(total) = text.strip_prefix("MemTotal:") {
            let total = total
                .split_whitespace()
                .next()
                .and_then(|n| n.parse::<u64>().ok());
            // A short read may end within the number.
            let is_whole = text.contains(" kB");
            wrong = total.filter(|total| is_whole && total << 10 != self.own);
        }
        let is_foreign = |word: &str| {
            let number = word.parse::<u64>().ok();
            number.filter(|number| self.others.contains(number))
        };
        let foreign = text
            .split(|c: char| !c.is_ascii_digit())
            .find_map(is_foreign);
        if let Some(number) = wrong.or(foreign) {
            self.fault(format!(
                "{what} shows {number} in a container of {}",
                self.own
            ));
        }
    }

    fn fault(&mut self, fault: String) {
        let times = self.faults.entry(fault.clone()).or_default();
        *times += 1;
        if *times == 1 {
            report(&fault);
        }
    }

    fn lock(&mut self) {
        let Some(index) = self.some() else {
            return;
        };
        let file = &self.held[index].1;
        match self.rng.u32(0..4) {
            // Let go at once: one that it holds itself would have its own next open wait for 45 s.
            0 => {
                let _ = raw::set_lease(file, Lease::Read);
                self.held.swap_remove(index);
            }
            1 => {
                let got = raw::set_lease(file, Lease::Write);
                let (path, _released) = self.held.swap_remove(index);
                // Files that only this container opens may be leased.
                let is_own =
                    path.starts_with(&self.group) || path.starts_with(self.root.join("self"));
                if got.is_ok() && !is_own {
                    self.fault(format!(
                        "a container got a write lease on {}",
                        path.display()
                    ));
                }
            }
            2 => drop(rustix::fs::flock(
                file,
                FlockOperation::NonBlockingLockExclusive,
            )),
            _ => drop(rustix::fs::flock(file, FlockOperation::Unlock)),
        }
    }

    fn poll(&mut self) {
        if let Some(index) = self.some() {
            let events = PollFlags::POLLIN | PollFlags::POLLPRI;
            let mut fds = [PollFd::new(self.held[index].1.as_fd(), events)];
            let _ = poll(&mut fds, PollTimeout::ZERO);
        }
    }

    /// Changes that the container may or may not make.
    fn change(&mut self, path: PathBuf) {
        let new = self.group.join(self.rng.choice(&["a", "b"]).unwrap());
        match self.rng.u32(0..9) {
            0 | 1 => drop(std::fs::create_dir(new)),
            2 => drop(std::fs::remove_dir(new)),
            3 => drop(std::fs::rename(new, self.group.join("c"))),
            4 => drop(std::fs::remove_dir(self.group.join("c"))),
            5 => drop(std::os::unix::fs::chown(
                path,
                Some(self.rng.u32(0..3)),
                None,
            )),
            6 => drop(std::fs::create_dir(path.join("x"))),
            7 => drop(std::fs::remove_file(path)),
            _ => drop(std::fs::write(path, "0")),
        }
    }

    /// A process that reads, and is killed while it does.
    fn kill(&mut self, path: PathBuf) {
        let child = Command::new("cat")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Ok(mut child) = child {
            std::thread::sleep(Duration::from_micros(self.rng.u64(0..5000)));
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
