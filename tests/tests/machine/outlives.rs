//! The mount outlives the process that serves it: killed, replaced, repeatedly crashing.

#![allow(unsafe_code, reason = "no library sends a signal to a thread")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_handover::Handover;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer};
use vistafs_tests::require::{resends, rounds};
use vistafs_tests::require_privileged;
use vistafs_tests::stop_at_end::StopAtEnd;
use vistafs_tests::vistafs::{
    MountOptions, Mounted, binary, children, copy_program, descriptors, printed, thread_states,
    vistafs, wait_until,
};

use crate::cgroup_tree::mounted_directory;
use crate::cpu_time::cpu_lines;

/// How often a worker is killed under load, and how long each may serve, in turns. The longest times let a
/// worker serve normally, the shortest kill it during its start.
const KILLS: usize = 100;
const SERVES_MS: [u64; 7] = [320, 400, 20, 290, 350, 110, 500];
/// With this variable, kills at the rate of the worst supported case: a hundred in five minutes.
const SLOWLY: &str = "VISTAFS_KILL_SLOWLY";
const SLOW: Duration = Duration::from_secs(3);

pub(crate) fn kill_worker(mounted: &Mounted, signal: Signal) -> u32 {
    let pid = mounted.pid();
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
    wait_until("the worker is gone", || {
        !children(mounted.supervisor()).contains(&pid)
    });
    pid
}

/// Whether a file can be read: a container has pressure only on v2.
fn is_supported(path: &Path) -> bool {
    let unsupported =
        |error: std::io::Error| error.raw_os_error() == Some(nix::errno::Errno::EOPNOTSUPP as i32);
    let is_pressure = path.parent().is_some_and(|p| p.ends_with("proc/pressure"));
    !is_pressure || !std::fs::read(path).is_err_and(unsupported)
}

/// All readable files below a directory.
fn files(mounted: &Mounted, below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![mounted.path(below)];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else if is_supported(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// The first words of the lines, which are constant in these files.
fn keys(path: &Path, text: &str) -> Vec<String> {
    let name = path.file_name().unwrap().to_str().unwrap();
    if !["meminfo", "stat", "swaps", "uptime", "loadavg"].contains(&name) {
        return Vec::new();
    }
    let key = |line: &str| match name {
        "uptime" | "loadavg" => line.split_whitespace().count().to_string(),
        _ => line.split_whitespace().next().unwrap_or("").to_owned(),
    };
    text.lines().map(key).collect()
}

/// The columns (ticks) of each CPU line of a stat text.
type Counters = BTreeMap<String, Vec<u64>>;

/// No counter of a container decreases, whichever worker renders it. On the host, the kernel itself decreases
/// idle time.
fn assert_grows(known: &mut Counters, text: &str, path: &Path) {
    const IDLE: usize = 3;
    const IOWAIT: usize = 4;
    let of_host = !path.components().any(|part| part.as_os_str() == "at");
    for (cpu, mut now) in cpu_lines(text) {
        if of_host {
            (now[IDLE], now[IOWAIT]) = (0, 0);
        }
        let before = known.entry(cpu).or_default();
        let fell = before.iter().zip(&now).any(|(before, now)| now < before);
        assert!(!fell, "{}: {before:?}, then {now:?}", path.display());
        *before = now;
    }
}

/// Reads files repeatedly, each to its end, and compares the constant parts. `total`: the container's
/// MemTotal line.
pub(crate) fn read_for_ever(
    (paths, total): (&[PathBuf], &str),
    kept: bool,
    stop: &AtomicBool,
    reads: &Reads,
) {
    let mut known: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
    let mut counters: BTreeMap<&Path, Counters> = BTreeMap::new();
    let opened: Vec<(&PathBuf, Option<File>)> = paths
        .iter()
        .map(|path| (path, kept.then(|| File::open(path).unwrap())))
        .collect();
    let mut buffer = vec![0; 1 << 20];
    while !stop.load(Ordering::Relaxed) {
        for (path, file) in &opened {
            let shown = path.display();
            let begun = Instant::now();
            let fresh = match file {
                Some(_) => None,
                None => Some(File::open(path).unwrap_or_else(|e| panic!("open {shown}: {e}"))),
            };
            let file = file.as_ref().or(fresh.as_ref()).unwrap();
            let got = file.read_at(&mut buffer, 0);
            let waited = begun.elapsed();
            let got = match got {
                Ok(got) => got,
                // The kernel drops a request that a dead worker had read and not recorded.
                Err(error) if error.kind() == ErrorKind::Interrupted && !resends() => continue,
                Err(error) => panic!("read {shown}: {error}"),
            };
            let text = std::str::from_utf8(&buffer[..got]).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "{shown}: {text:?}");
            let is_whose = path.ends_with("meminfo") && text.starts_with("MemTotal:");
            assert!(!is_whose || text.starts_with(total), "{shown}: {text}");
            if path.ends_with("proc/stat") {
                assert_grows(counters.entry(path).or_default(), text, path);
            }
            let keys = keys(path, text);
            let before = known.entry(path).or_insert_with(|| keys.clone());
            assert_eq!(*before, keys, "{shown}");
            reads.count(waited);
        }
    }
}

/// Statistics of all readers.
#[derive(Default)]
pub(crate) struct Reads {
    count: AtomicU64,
    /// The longest wait for a file since the last check, in µs.
    longest: AtomicU64,
}

impl Reads {
    fn count(&self, waited: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let waited = waited.as_micros().try_into().unwrap();
        self.longest.fetch_max(waited, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn take_longest(&self) -> Duration {
        Duration::from_micros(self.longest.swap(0, Ordering::Relaxed))
    }
}

/// The longest wait of a reader when a worker is killed, relative to the longest in a period without kills:
/// on two idle CPUs both are about the same.
const TIMES_UNDISTURBED: u32 = 10;

/// The percentile of sorted durations.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

#[test]
fn no_reader_notices_that_workers_are_killed() {
    require_privileged!();
    let mounted = Mounted::new();
    let supervisor = mounted.supervisor();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 << 20);
    let top = cgroup.address("proc");
    let on_host = files(&mounted, "proc");
    let in_container = files(&mounted, &top);
    assert!(on_host.len() > 8 && in_container.len() > 8);
    let total_of_host = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total_of_host = total_of_host.lines().next().unwrap().to_owned();
    // Two scripts that walk and change the cgroup tree. If the kernel does not resend, the outcome of a
    // request in flight is unknown, so only reads count.
    let tree = mounted_directory(&mounted, &cgroup, "memory");
    let walker = |name: &str| {
        let script = format!(
            "echo ready; while ! [ -e $M/../stop ]; do \
             mkdir '{0}/{name}' || $FAIL 6; [ -e '{0}/{name}/cgroup.procs' ] || $FAIL 7; \
             cat '{0}/cgroup.procs' >/dev/null || $FAIL 8; ls $M/cgroup '{0}' >/dev/null || $FAIL 9; \
             rmdir '{0}/{name}' || $FAIL 10; done",
            tree.display()
        );
        TestContainer::with(&mounted, &cgroup, Namespaces::Pid)
            .command(&script)
            .env("FAIL", if resends() { "exit" } else { ":" })
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut walkers = [walker("a"), walker("b")];
    let mut inside = TestContainer::new(&mounted, &cgroup)
        .command(
            "echo ready; while ! [ -e $M/../stop ]; do \
             cat /proc/meminfo /proc/stat /proc/uptime /proc/cpuinfo > /dev/null || $FAIL 3; \
             grep -q 'MemTotal: *65536 kB' /proc/meminfo || $FAIL 4; \
             ls /sys/devices/system/cpu > /dev/null || $FAIL 5; done",
        )
        // Without resending, a request that a worker had read and not recorded fails with EINTR.
        .env("FAIL", if resends() { "exit" } else { ":" })
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stop_inside = StopInside(&mounted);
    // Before the first kill: an EINTR during their start would end them.
    for child in walkers.iter_mut().chain([&mut inside]) {
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
    }
    let (stop, reads, polls) = (AtomicBool::new(false), Reads::default(), AtomicU64::new(0));
    let before = (descriptors(supervisor), memory(supervisor));
    let (mut waits, mut undisturbed) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let (stop, reads, polls) = (&stop, &reads, &polls);
        let on_host = (&on_host[..], total_of_host.as_str());
        let in_container = (&in_container[..], "MemTotal:          65536 kB");
        // Sixteen that open and four that keep their descriptors; fewer on an emulated processor.
        let readers = [
            (rounds(80) / 10, on_host, false),
            (rounds(80) / 10, in_container, false),
            (rounds(40) / 10, in_container, true),
        ]
        .map(|(readers, of, kept)| (readers.max(1), of, kept));
        let twice_each = readers
            .map(|(readers, ..)| u64::from(2 * readers))
            .iter()
            .sum::<u64>();
        for (readers, of, kept) in readers {
            for _ in 0..readers {
                scope.spawn(move || {
                    let _stop = StopAtEnd(stop);
                    read_for_ever(of, kept, stop, reads);
                });
            }
        }
        let pressure = mounted.path(&cgroup.address("proc/pressure/cpu"));
        scope.spawn(move || {
            let _stop = StopAtEnd(stop);
            poll_for_ever(&pressure, stop, polls);
        });
        let _stop = StopAtEnd(stop);
        let slowly = std::env::var_os(SLOWLY).is_some();
        for serves in SERVES_MS.into_iter().cycle().take(KILLS) {
            let serves = if slowly {
                SLOW
            } else {
                Duration::from_millis(serves)
            };
            std::thread::sleep(serves);
            assert!(!stop.load(Ordering::Relaxed), "a reader has failed");
            undisturbed.push(reads.take_longest());
            kill_worker(&mounted, Signal::SIGKILL);
            // Until the callers that waited have been counted.
            let seen = reads.so_far();
            wait_until("readers go on", || {
                reads.so_far() >= seen + twice_each || stop.load(Ordering::Relaxed)
            });
            waits.push(reads.take_longest());
        }
    });
    drop(stop_inside);
    waits.sort();
    undisturbed.sort();
    let [half, most, all] = [50, 90, 100].map(|percent| percentile(&waits, percent));
    println!(
        "{KILLS} workers killed: {} reads, {} polls; at a kill the reader that waited longest waited \
         {half:?} (median), {most:?} (90 %), {all:?} (longest)",
        reads.so_far(),
        polls.load(Ordering::Relaxed)
    );
    let control = percentile(&undisturbed, 90);
    println!("when none was killed, the same readers waited {control:?} (90 %)");
    // The maximum depends on the scheduler, with more runnable threads than CPUs.
    assert!(
        most <= TIMES_UNDISTURBED * control,
        "{waits:?}, undisturbed {undisturbed:?}"
    );
    let _ = printed(&inside.wait_with_output().unwrap());
    for mut walker in walkers {
        let status = walker.wait().unwrap();
        assert!(status.success(), "{status}");
    }
    // The supervisor is still the same.
    assert_eq!(
        std::fs::read_dir(format!("/proc/{supervisor}/task"))
            .unwrap()
            .count(),
        1
    );
    wait_until("the supervisor holds what it held", || {
        descriptors(supervisor) == before.0
    });
    let after = memory(supervisor);
    assert!(after <= before.1 + 1024, "{} kB, then {after} kB", before.1);
}

/// Ends the script in the container on drop.
struct StopInside<'a>(&'a Mounted);

impl Drop for StopInside<'_> {
    fn drop(&mut self) {
        std::fs::write(self.0.root().with_file_name("stop"), "").unwrap();
    }
}

/// Private resident memory, kB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The result of poll(2) on a file without a trigger is constant.
fn poll_for_ever(path: &Path, stop: &AtomicBool, polls: &AtomicU64) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let file = File::open(path).unwrap();
    let mut known = None;
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(&file, PollFlags::IN | PollFlags::PRI)];
        poll(
            &mut fds,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 1_000_000,
            }),
        )
        .unwrap();
        let got = fds[0].revents();
        // Without resending, a poll that a dead worker had read fails with an error.
        let lost = !resends() && got == PollFlags::ERR;
        assert!(
            lost || *known.get_or_insert(got) == got,
            "{known:?}, then {got:?}"
        );
        polls.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_reader_that_waits_for_a_stopped_worker_gets_its_text_from_the_next() {
    require_privileged!();
    let mounted = Mounted::new();
    let worker = Pid::from_raw(mounted.pid().cast_signed());
    let path = mounted.path("proc/meminfo");
    let file = File::open(&path).unwrap();
    stop_process(worker);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut text = [0; 8192];
                    let got = file.read_at(&mut text, 0).unwrap();
                    text[..got].starts_with(b"MemTotal:")
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        assert!(readers.iter().all(|reader| !reader.is_finished()));
        kill(worker, Signal::SIGKILL).unwrap();
        assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
    });
}

/// A mount whose program file can be replaced.
fn exchangeable() -> (Mounted, tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("vistafs");
    copy_program(&binary(), &program);
    let mounted = Mounted::with(&MountOptions {
        binary: Some(program.clone()),
        ..MountOptions::default()
    });
    (mounted, dir, program)
}

/// Replaces the program file, like a package upgrade.
fn install(program: &Path, from: &Path) {
    let fresh = program.with_extension("new");
    copy_program(from, &fresh);
    std::fs::rename(fresh, program).unwrap();
}

/// The number of open descriptors without short-lived ones.
fn fewest_descriptors(pid: u32) -> usize {
    let looks = (0..10).map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        descriptors(pid)
    });
    looks.min().unwrap()
}

fn executed(pid: u32) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let program = std::fs::metadata(format!("/proc/{pid}/exe")).unwrap();
    (program.dev(), program.ino())
}

#[test]
fn an_upgrade_exchanges_both_processes_and_no_reader_notices() {
    require_privileged!();
    let (mounted, _dir, program) = exchangeable();
    let root = mounted.root();
    let upgrade = || vistafs(&["upgrade", "--mount", root.to_str().unwrap()]);
    let paths = files(&mounted, "proc");
    let (stop, reads) = (AtomicBool::new(false), Reads::default());
    std::thread::scope(|scope| {
        let (stop, reads, paths) = (&stop, &reads, &paths);
        for kept in [false, true] {
            scope.spawn(move || {
                let _stop = StopAtEnd(stop);
                read_for_ever((paths, "MemTotal:"), kept, stop, reads);
            });
        }
        let _stop = StopAtEnd(stop);
        let (supervisor, mut held) = (mounted.supervisor(), None);
        for _ in 0..5 {
            let before = mounted.pid();
            install(&program, &binary());
            let text = printed(&upgrade());
            assert!(text.contains("serves"), "{text}");
            let after = mounted.pid();
            assert_ne!(before, after);
            assert_eq!(mounted.supervisor(), supervisor);
            let installed = executed(after);
            assert_eq!(executed(supervisor), installed);
            assert_eq!(
                std::fs::read_link(format!("/proc/{after}/exe")).unwrap(),
                program
            );
            // It notices the end of `vistafs upgrade` with a delay.
            let held = *held.get_or_insert_with(|| fewest_descriptors(supervisor));
            wait_until("it holds what it held", || descriptors(supervisor) == held);
            let seen = reads.so_far();
            wait_until("readers go on", || {
                reads.so_far() > seen + 6 || stop.load(Ordering::Relaxed)
            });
            assert!(!stop.load(Ordering::Relaxed), "a reader has failed");
        }
    });
    // The successor maintains the mount as well.
    kill_worker(&mounted, Signal::SIGKILL);
    assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
}

#[test]
fn sigusr1_upgrades_as_well() {
    require_privileged!();
    let (mounted, _dir, program) = exchangeable();
    let before = mounted.pid();
    install(&program, &binary());
    let supervisor = mounted.supervisor();
    kill(Pid::from_raw(supervisor.cast_signed()), Signal::SIGUSR1).unwrap();
    let link = format!("/proc/{supervisor}/exe");
    wait_until("the supervisor is exchanged", || {
        std::fs::read_link(&link).unwrap() == program
    });
    assert_ne!(mounted.pid(), before);
    assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
}

#[test]
fn a_program_that_does_not_start_changes_nothing() {
    require_privileged!();
    let (mut mounted, dir, program) = exchangeable();
    let root = mounted.root();
    let before = (mounted.supervisor(), mounted.pid());
    let text = dir.path().join("text");
    std::fs::write(&text, "no program").unwrap();
    let refused = |expected: &str| {
        let output = vistafs(&["upgrade", "--mount", root.to_str().unwrap()]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(message.contains(expected), "{message}");
        assert_eq!((mounted.supervisor(), mounted.pid()), before);
        assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
    };
    // Not a program; one that exits immediately, by itself and by a signal; no file.
    install(&program, &text);
    refused("cannot take over");
    install(&program, Path::new("/bin/false"));
    refused("ended with status 1");
    let missing = root.with_file_name("elsewhere");
    std::fs::rename(&program, &missing).unwrap();
    refused("No such file");
    std::fs::rename(&missing, &program).unwrap();
    // A program that cannot serve, because its configuration is invalid now.
    install(&program, &binary());
    let config = root.with_file_name("config.toml");
    std::fs::write(&config, "[views]\nenabel = []\n").unwrap();
    refused("unknown key `views.enabel`");
    std::fs::write(&config, "").unwrap();
    let _ = printed(&vistafs(&["upgrade", "--mount", root.to_str().unwrap()]));
    assert_ne!(mounted.pid(), before.1);
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{status}");
    assert!(messages.contains("cannot take over"), "{messages}");
}

#[test]
fn a_mount_that_nobody_serves_is_told_to_the_command() {
    let output = vistafs(&["upgrade", "--mount", "/tmp"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        message.contains("vistafs does not run for /tmp"),
        "{message}"
    );
}

#[test]
fn workers_that_crash_again_and_again_are_told_of_once() {
    require_privileged!();
    let mut mounted = Mounted::new();
    let path = mounted.path("proc/meminfo");
    for _ in 0..8 {
        kill_worker(&mounted, Signal::SIGABRT);
    }
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .starts_with("MemTotal:")
    );
    let said = mounted.hear("workers are stable again");
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{status}: {messages}");
    let messages = said + &messages;
    let count = |what: &str| messages.matches(what).count();
    assert!(count("keep exiting") >= 1, "{messages}");
    assert!(messages.lines().count() <= 8, "{messages}");
}

#[test]
fn a_worker_outlives_its_supervisor_and_ends_with_the_mount() {
    require_privileged!();
    let mut mounted = Mounted::new();
    let worker = mounted.pid();
    let supervisor = Pid::from_raw(mounted.supervisor().cast_signed());
    kill(supervisor, Signal::SIGKILL).unwrap();
    // A zombie process has no children.
    wait_until("the supervisor is gone", || {
        children(supervisor.as_raw().cast_unsigned()).is_empty()
    });
    assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
    let _ = mounted.hear("serves on");
    let umount = Command::new("umount").arg(mounted.root()).status().unwrap();
    assert!(umount.success());
    let gone = || !Path::new(&format!("/proc/{worker}")).exists();
    wait_until("the worker is gone", gone);
    let (status, messages) = mounted.wait();
    assert!(!status.success(), "{status}: {messages}");
}

#[test]
fn a_command_leaves_the_interrupt_key_to_the_supervisor() {
    require_privileged!();
    let mounted = Mounted::new();
    let worker = mounted.pid();
    let pid = Pid::from_raw(worker.cast_signed());
    kill(pid, Signal::SIGINT).unwrap();
    assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
    assert_eq!(mounted.pid(), worker);
    // On SIGTERM it exits without losing a request, and is replaced.
    kill(pid, Signal::SIGTERM).unwrap();
    wait_until("another worker serves", || mounted.pid() != worker);
    assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
}

/// The memory that workers share.
fn handover(mounted: &Mounted) -> Arc<Handover> {
    let supervisor = mounted.supervisor();
    for entry in std::fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap() {
        let path = entry.unwrap().path();
        let link = std::fs::read_link(&path).unwrap();
        if link.to_str().unwrap().contains("vistafs-handover") {
            let file = File::options().read(true).write(true).open(path).unwrap();
            return Handover::adopt(file.into()).unwrap();
        }
    }
    panic!("the supervisor has no memory to hand over");
}

/// Returns when none of its threads runs any more.
pub(crate) fn stop_process(pid: Pid) {
    kill(pid, Signal::SIGSTOP).unwrap();
    wait_until("it has stopped", || {
        let states = thread_states(pid.as_raw().cast_unsigned());
        !states.is_empty() && states.iter().all(|state| *state == 'T')
    });
}

/// Stops the worker while it serves a request for a view, and no other; returns its PID.
///
/// `last`: the generation of the previous worker that left requests behind; 0 at first.
fn stop_while_it_serves(mounted: &Mounted, memory: &Handover, view: &str, last: &mut u32) -> Pid {
    let mut stopped = None;
    wait_until("the worker is stopped while it serves the view", || {
        let pid = Pid::from_raw(mounted.pid().cast_signed());
        stop_process(pid);
        let mut in_flight = memory.unfinished();
        // A request in the queue of its container is not served yet.
        in_flight.retain(|request| request.generation > *last && request.started.is_some());
        let is_it = !in_flight.is_empty() && in_flight.iter().all(|r| r.view_name == view);
        if is_it {
            *last = in_flight[0].generation;
            stopped = Some(pid);
        } else {
            kill(pid, Signal::SIGCONT).unwrap();
        }
        stopped.is_some()
    });
    stopped.unwrap()
}

/// Makes each thread abort before it continues. A signal to the process would let the thread that serves the
/// request complete it.
fn abort_threads(pid: Pid) {
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let tid: i32 = task.unwrap().file_name().to_str().unwrap().parse().unwrap();
        // SAFETY: all arguments are integers.
        let sent = unsafe {
            nix::libc::syscall(nix::libc::SYS_tgkill, pid.as_raw(), tid, nix::libc::SIGABRT)
        };
        assert_eq!(sent, 0, "thread {tid}");
    }
}

/// Reads a file repeatedly and ignores errors.
fn pound(path: &Path, stop: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        if let Ok(file) = File::open(path) {
            let _ = file.read_at(&mut buffer, 0);
        }
    }
}

#[test]
fn a_view_that_crashes_workers_is_disabled_for_that_container_and_enabled_again() {
    require_privileged!();
    let mut mounted = Mounted::new();
    let memory = handover(&mounted);
    let cgroup = TestCgroup::new();
    let path = mounted.path(&cgroup.address("proc/meminfo"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| pound(&path, &stop));
        let mut last = 0;
        for _ in 0..3 {
            let pid = stop_while_it_serves(&mounted, &memory, "meminfo", &mut last);
            // Like a bug in the view.
            abort_threads(pid);
            kill(pid, Signal::SIGCONT).unwrap();
            wait_until("the worker is gone", || {
                !children(mounted.supervisor()).contains(&pid.as_raw().cast_unsigned())
            });
        }
    });
    let io_error = |path: &Path| {
        let error = std::fs::read(path).err()?;
        Some(error.raw_os_error() == Some(nix::libc::EIO))
    };
    wait_until("the view is disabled", || io_error(&path) == Some(true));
    // The host's file still works, as do the container's other views; other containers keep all views.
    let other = TestCgroup::new();
    assert!(!mounted.read(&other.address("proc/meminfo")).is_empty());
    assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
    assert!(!mounted.read(&cgroup.address("proc/stat")).is_empty());
    let root = mounted.root();
    let root = root.to_str().unwrap();
    let listed = printed(&vistafs(&["views", "--mount", root]));
    assert!(
        listed.contains("disabled for 1 container that crashed workers with it"),
        "{listed}"
    );
    let output = vistafs(&["views", "--restore", "stat", "--mount", root]);
    assert!(!output.status.success());
    let _ = printed(&vistafs(&[
        "views",
        "--restore",
        "meminfo",
        "--mount",
        root,
    ]));
    wait_until("the view is back", || io_error(&path).is_none());
    let listed = printed(&vistafs(&["views", "--mount", root]));
    assert!(!listed.contains("disabled for"), "{listed}");
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(
        status.success() && messages.contains("view meminfo is disabled for one container"),
        "{messages}"
    );
}

#[test]
fn a_worker_that_is_stuck_is_replaced() {
    require_privileged!();
    let mut mounted = Mounted::with(&MountOptions {
        config: "[worker]\nstuck_seconds = 2\n".into(),
        ..MountOptions::default()
    });
    let memory = handover(&mounted);
    let path = mounted.path("proc/uptime");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| pound(&path, &stop));
        let stuck = stop_while_it_serves(&mounted, &memory, "uptime", &mut 0);
        let replaced = || mounted.pid() != stuck.as_raw().cast_unsigned();
        wait_until("the worker is replaced", replaced);
    });
    assert!(!mounted.read("proc/uptime").is_empty());
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{status}");
    assert!(
        messages.contains("replacing the worker") && messages.contains("uptime"),
        "{messages}"
    );
}
