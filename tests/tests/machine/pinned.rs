//! Pinned nodes: what a container reads from the page cache is its own, whole and fresh.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer, field};
use vistafs_tests::vistafs::{MountOptions, Mounted, printed, vistafs, wait_until};
use vistafs_tests::{require, require_privileged};

pub(crate) const MIB: u64 = 1 << 20;
/// After which a name may stand for another container's node.
const QUIET: Duration = Duration::from_millis(1100);
/// Longer than the usual window, with time for a loaded machine.
pub(crate) const AFTER_THE_WINDOW: Duration = Duration::from_millis(300);

pub(crate) fn limited(mib: u64) -> TestCgroup {
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(mib * MIB);
    cgroup
}

fn with_window(ms: u32) -> Mounted {
    Mounted::with(&MountOptions {
        config: format!("[pinned]\nwindow_ms = {ms}\n"),
        ..MountOptions::default()
    })
}

/// A script of this directory in a container, which has said that it is ready.
pub(crate) struct Script {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Script {
    pub(crate) fn start(mut command: Command, script: &str) -> Self {
        let mut child = command
            .env("SCRIPT", script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        lines.read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        Self { child, lines }
    }

    pub(crate) fn tell(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap()).unwrap();
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn number(&mut self) -> u64 {
        let line = self.line();
        line.trim().parse().unwrap_or_else(|_| panic!("{line:?}"))
    }

    /// The rest of what it prints; its input ends first.
    pub(crate) fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {rest}");
        rest
    }
}

pub(crate) fn python() -> bool {
    require::program("python3")
}

/// A descriptor of the container's init.
pub(crate) fn descriptor(cgroup: &TestCgroup, number: i32) -> OwnedFd {
    let pid = cgroup.namespace_init().expect("the container's init");
    let pid = Pid::from_raw(pid).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
    rustix::process::pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()).unwrap()
}

pub(crate) fn total(file: &File) -> std::io::Result<u64> {
    let mut text = [0; 8192];
    let got = file.read_at(&mut text, 0)?;
    Ok(field(
        std::str::from_utf8(&text[..got]).unwrap(),
        "MemTotal:",
    ))
}

/// Looks a name up all the time, as long as the container lives: the name goes on standing for what it
/// stands for.
const LOOKS: &str = "while [ -e $M/proc/meminfo ]; do sleep 0.1; done & ";

/// A shell in a container that has opened its own meminfo as descriptor 3.
pub(crate) fn keeper(mounted: &Mounted, cgroup: &TestCgroup) -> Script {
    let script = "exec 3</proc/meminfo; echo ready; read _ || true";
    Script::start(TestContainer::new(mounted, cgroup).command(script), "")
}

#[test]
fn two_containers_never_get_each_other_s() {
    require_privileged!();
    require!(python(), "needs python3");
    let mounted = with_window(50);
    hammer(&mounted, QUIET);
}

/// Two containers hammer the same path and pass descriptors to each other. The second one is started so
/// long after the first.
pub(crate) fn hammer(mounted: &Mounted, apart: Duration) {
    let sockets = tempfile::tempdir().unwrap();
    let names = ["first", "second"].map(|name| sockets.path().join(name).display().to_string());
    let cgroups = [limited(96), limited(64)];
    let rounds = require::rounds(145_000);
    let start = |mine: usize| {
        let kib = [96 << 10, 64 << 10];
        let script = format!(
            "python3 -c \"$SCRIPT\" {} {} {} {} {rounds}",
            names[mine],
            names[1 - mine],
            kib[mine],
            kib[1 - mine]
        );
        let command = TestContainer::new(mounted, &cgroups[mine]).command(&script);
        Script::start(command, include_str!("pinned/hammer.py"))
    };
    let first = start(0);
    std::thread::sleep(apart);
    let mut scripts = [first, start(1)];
    let inodes = scripts.each_mut().map(|script| script.number());
    assert!(inodes.iter().all(|inode| is_pinned(*inode)) && inodes[0] != inodes[1]);
    scripts.iter_mut().for_each(Script::tell);
    let reads: u64 = scripts
        .each_mut()
        .map(|script| script.number())
        .iter()
        .sum();
    assert!(reads >= 7 * u64::from(rounds), "{reads}");
    scripts.into_iter().for_each(|script| drop(script.end()));
}

#[test]
fn texts_are_whole_though_their_lengths_change() {
    require_privileged!();
    require!(python(), "needs python3");
    whole(&with_window(20), require::rounds(4000));
}

/// On a mount with a window of 20 ms, so many times at least by each of three readers.
pub(crate) fn whole(mounted: &Mounted, least: u32) {
    let cgroup = limited(96);
    let script = format!("python3 -c \"$SCRIPT\" 2 {least}");
    let mut command = TestContainer::new(mounted, &cgroup).command(&script);
    let output = command
        .env("SCRIPT", include_str!("pinned/whole.py"))
        .output();
    let text = printed(&output.unwrap());
    let reads = text.lines().map(|line| line.parse::<u32>().unwrap());
    let reads: Vec<u32> = reads.collect();
    assert_eq!(reads.len(), 3, "{text}");
    assert!(reads.iter().all(|reads| *reads >= least), "{text}");
}

/// Of a second, so that what a loaded machine takes for its own things is less than what is left of
/// the window when the kernel asks.
#[test]
fn no_value_is_older_than_the_window() {
    require_privileged!();
    require!(python(), "needs python3");
    ages(&with_window(1000));
}

/// On a mount with a window of a second.
pub(crate) fn ages(mounted: &Mounted) {
    const WINDOW: Duration = Duration::from_secs(1);
    let cgroup = limited(96);
    let command = TestContainer::new(mounted, &cgroup).command("python3 -c \"$SCRIPT\"");
    let script = Script::start(command, include_str!("pinned/ages.py"));
    let mut changes = Vec::new();
    for mib in [64, 96, 64] {
        std::thread::sleep(Duration::from_millis(300));
        let before = monotonic();
        cgroup.limit_memory(mib * MIB);
        changes.push((before, monotonic(), mib * 1024));
        std::thread::sleep(WINDOW + Duration::from_millis(200));
    }
    let seen = script.end();
    let mut reads = 0;
    let mut kept = 0;
    for how in ["kept", "new", "sent"] {
        let seen = seen.lines().filter_map(|line| line.strip_prefix(how));
        let seen: Vec<Vec<u64>> = seen
            .map(|line| {
                line.split_whitespace()
                    .map(|n| n.parse().unwrap())
                    .collect()
            })
            .collect();
        assert_eq!(seen.len(), changes.len(), "{how}: {seen:?}");
        for (seen, (before, after, kib)) in seen.iter().zip(&changes) {
            let &[last_old, first_new, total] = &seen[..] else {
                panic!("{seen:?}");
            };
            assert_eq!(total, *kib);
            assert!(first_new > *before, "before it was so");
            let age = Duration::from_nanos(last_old.saturating_sub(*after));
            assert!(age < WINDOW, "{how}: {age:?}");
            kept += u32::from(age > WINDOW / 20);
        }
    }
    for line in seen.lines().filter_map(|line| line.strip_prefix("reads ")) {
        reads = line.parse().unwrap();
    }
    assert!(kept > 0, "nothing was kept at all: {seen}");
    assert!(reads > 1000, "{reads}");
}

fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap()
}

#[test]
fn without_a_window_each_read_asks() {
    require_privileged!();
    let (mounted, cgroup) = (with_window(0), limited(96));
    let keeper = keeper(&mounted, &cgroup);
    let file = File::from(descriptor(&cgroup, 3));
    assert!(!is_pinned(file.metadata().unwrap().ino()));
    for mib in [64, 96, 64] {
        cgroup.limit_memory(mib * MIB);
        assert_eq!(total(&file).unwrap(), mib * 1024);
    }
    keeper.end();
}

pub(crate) fn is_pinned(inode: u64) -> bool {
    inode >> 56 == 0xff
}

/// In whichever way a container is one.
#[test]
fn containers_have_nodes_of_their_own() {
    require_privileged!();
    let (mounted, cgroups) = (with_window(50), [limited(96), limited(64)]);
    let inodes_of = |text: &str, namespaces: Namespaces| {
        let inodes: Vec<u64> = text.lines().map_while(|line| line.parse().ok()).collect();
        assert_eq!(inodes.len(), 2);
        assert_eq!(inodes[0], inodes[1], "{namespaces:?}");
        assert!(is_pinned(inodes[0]), "{namespaces:?}: {inodes:?}");
        (inodes[0], field(text, "MemTotal:") >> 10)
    };
    const SHOW: &str = "stat -c %i $M/proc/meminfo /proc/meminfo; head -1 /proc/meminfo";
    let inodes = |namespaces, cgroup| {
        let container = TestContainer::with(&mounted, cgroup, namespaces);
        inodes_of(&container.run(SHOW), namespaces)
    };
    let script = format!("echo ready; {SHOW}; {LOOKS} echo; read _ || true");
    let command = TestContainer::new(&mounted, &cgroups[0]).command(&script);
    let mut looks = Script::start(command, "");
    let text: String = (0..4).map(|_| looks.line()).collect();
    let first = inodes_of(&text, Namespaces::Both);
    // Meanwhile the name stands for the first one's, which is as good but for its speed.
    assert_eq!(inodes(Namespaces::Both, &cgroups[1]), (first.0, 64));
    drop(looks.end());
    let mut seen = vec![first];
    for (namespaces, of) in [
        (Namespaces::Pid, 1),
        (Namespaces::Cgroup, 1),
        (Namespaces::Both, 0),
    ] {
        std::thread::sleep(QUIET);
        seen.push(inodes(namespaces, &cgroups[of]));
    }
    let totals: Vec<u64> = seen.iter().map(|(_, total)| *total).collect();
    assert_eq!(totals, [96, 64, 64, 96]);
    assert_eq!(seen[0], seen[3], "the same cgroup namespace's root");
    assert!(seen[0].0 != seen[1].0 && seen[0].0 != seen[2].0 && seen[1].0 != seen[2].0);
    std::thread::sleep(QUIET);
    assert!(!is_pinned(
        mounted.path("proc/meminfo").metadata().unwrap().ino()
    ));
    // What can be written to, or is the host's alone, is nobody's.
    let shared = "stat -c %i $M/proc/pressure/cpu $M/sys/devices/system/cpu/online";
    for line in TestContainer::new(&mounted, &cgroups[0])
        .run(shared)
        .lines()
    {
        assert!(!is_pinned(line.parse().unwrap()), "{line}");
    }
}

/// A pinned node that somebody else reaches is as any other: who opens it sees its own numbers.
#[test]
fn who_opens_another_s_node_sees_its_own() {
    require_privileged!();
    let mounted = with_window(50);
    let (owner, other) = (limited(96), limited(64));
    let script = format!("exec 3</proc/meminfo; {LOOKS} echo ready; read _ || true");
    let keeper = Script::start(TestContainer::new(&mounted, &owner).command(&script), "");
    let pid = owner.namespace_init().unwrap();
    let of_owner = File::open(format!("/proc/{pid}/root/proc/meminfo")).unwrap();
    assert!(is_pinned(of_owner.metadata().unwrap().ino()));
    assert_eq!(total(&File::from(descriptor(&owner, 3))).unwrap(), 96 << 10);
    assert!(total(&of_owner).unwrap() > 96 << 10, "the host's");
    // While its owner looks it up, everybody finds it.
    let path = mounted.path("proc/meminfo").display().to_string();
    let bound = tempfile::NamedTempFile::new().unwrap();
    let mount = |args: &[&str]| {
        let args = args.iter().copied().chain(bound.path().to_str());
        let output = Command::new(args.clone().next().unwrap())
            .args(args.skip(1))
            .output();
        let _ = printed(&output.unwrap());
    };
    mount(&["mount", "--bind", &path]);
    let node = bound.path().metadata().unwrap().ino();
    assert_eq!(node, of_owner.metadata().unwrap().ino());
    let mut command = TestContainer::new(&mounted, &other).command("cat \"$BOUND\"");
    let output = command.env("BOUND", bound.path()).output().unwrap();
    mount(&["umount"]);
    assert_eq!(field(&printed(&output), "MemTotal:"), 64 << 10);
    keeper.end();
}

#[test]
fn look_ups_by_others_leave_bind_mounts_alone() {
    require_privileged!();
    let (mounted, cgroups) = (with_window(50), [limited(96), limited(64)]);
    let mut first = Script::start(
        TestContainer::new(&mounted, &cgroups[0])
            .command("echo ready; while read _; do head -1 /proc/meminfo; done"),
        "",
    );
    for _ in 0..3 {
        first.tell();
        assert_eq!(field(&first.line(), "MemTotal:"), 96 << 10);
        let other = TestContainer::new(&mounted, &cgroups[1]).run("cat /proc/meminfo");
        assert_eq!(field(&other, "MemTotal:"), 64 << 10);
        assert!(field(&mounted.read("proc/meminfo"), "MemTotal:") > 96 << 10);
        std::thread::sleep(AFTER_THE_WINDOW);
    }
    first.end();
}

#[test]
fn a_kept_descriptor_of_a_container_that_has_ended_is_an_error() {
    require_privileged!();
    let (mounted, cgroup) = (with_window(50), limited(96));
    let keeper = keeper(&mounted, &cgroup);
    let file = File::from(descriptor(&cgroup, 3));
    assert_eq!(total(&file).unwrap(), 96 << 10);
    keeper.end();
    cgroup.remove();
    std::thread::sleep(AFTER_THE_WINDOW);
    // Another one may look just like it.
    let next = limited(64);
    let other = TestContainer::new(&mounted, &next).run("cat /proc/meminfo");
    assert_eq!(field(&other, "MemTotal:"), 64 << 10);
    let error = total(&file).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::ENODEV as i32), "{error}");
    assert!(file.metadata().is_ok());
}

/// A shell in a container that keeps its meminfo as descriptor 3, and is asked by all ways there are.
pub(crate) fn by_all_ways(files: &Mounted, cgroup: &TestCgroup) -> Script {
    let script = "exec 3</proc/meminfo; echo ready; while read _; do \
                  head -1 /proc/self/fd/3; head -1 /proc/meminfo; head -1 $M/proc/meminfo; \
                  read line <&3; echo \"$line\"; exec 3</proc/meminfo; done";
    Script::start(TestContainer::new(files, cgroup).command(script), "")
}

/// Each of them finds this limit.
pub(crate) fn check(inside: &mut Script, mib: u64) {
    inside.tell();
    for _ in 0..4 {
        assert_eq!(field(&inside.line(), "MemTotal:"), mib << 10);
    }
}

/// There is another worker afterwards.
pub(crate) fn kill_worker(mounted: &Mounted) {
    let worker = mounted.pid();
    kill(
        nix::unistd::Pid::from_raw(worker.cast_signed()),
        Signal::SIGKILL,
    )
    .unwrap();
    wait_until("there is another worker", || mounted.pid() != worker);
}

#[test]
fn kept_descriptors_outlive_workers() {
    require_privileged!();
    let (mounted, cgroup) = (with_window(50), limited(96));
    outlive_workers(&mounted, &mounted, &cgroup).end();
}

/// Workers are killed and exchanged; `files`: what the container has of the mount. It lives on.
pub(crate) fn outlive_workers(mounted: &Mounted, files: &Mounted, cgroup: &TestCgroup) -> Script {
    let mut inside = by_all_ways(files, cgroup);
    check(&mut inside, 96);
    let file = File::from(descriptor(cgroup, 3));
    for mib in [64, 32] {
        assert!(total(&file).is_ok());
        kill_worker(mounted);
        cgroup.limit_memory(mib * MIB);
        std::thread::sleep(AFTER_THE_WINDOW);
        check(&mut inside, mib);
        // Passed on to the host: the owner has asked the new worker.
        assert_eq!(total(&file).unwrap(), mib << 10);
    }
    let worker = mounted.pid();
    let root = mounted.root();
    let _ = printed(&vistafs(&["upgrade", "--mount", root.to_str().unwrap()]));
    assert_ne!(mounted.pid(), worker);
    cgroup.limit_memory(96 * MIB);
    std::thread::sleep(AFTER_THE_WINDOW);
    check(&mut inside, 96);
    inside
}
