//! Containers' own files: contents read from the page cache are the container's own, complete and fresh.

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
/// Longer than the default TTL, with a margin for a loaded machine.
pub(crate) const AFTER_THE_TTL: Duration = Duration::from_millis(300);

pub(crate) fn limited(mib: u64) -> TestCgroup {
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(mib * MIB);
    cgroup
}

fn with_ttl(ms: u32) -> Mounted {
    Mounted::with(&MountOptions {
        config: format!("[page_cache]\nttl_ms = {ms}\n"),
        ..MountOptions::default()
    })
}

/// A script of this directory in a container, which has printed that it is ready.
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

    /// Closes its input, and returns the rest of its output.
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

/// A shell in a container that has opened its own meminfo as descriptor 3.
pub(crate) fn keeper(mounted: &Mounted, cgroup: &TestCgroup) -> Script {
    let script = "exec 3</proc/meminfo; echo ready; read _ || true";
    Script::start(TestContainer::new(mounted, cgroup).command(script), "")
}

#[test]
fn two_containers_never_get_each_other_s() {
    require_privileged!();
    require!(python(), "needs python3");
    let mounted = with_ttl(50);
    hammer(&mounted.own());
}

/// Two containers, started at the same time, read the same path in a loop and pass descriptors to each other.
pub(crate) fn hammer(mounted: &Mounted) {
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
        Script::start(command, include_str!("page_cache/hammer.py"))
    };
    let mut scripts = [start(0), start(1)];
    let inodes = scripts.each_mut().map(|script| script.number());
    assert!(inodes.iter().all(|inode| is_own(*inode)) && inodes[0] != inodes[1]);
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
    let mounted = with_ttl(20);
    whole(&mounted.own(), require::rounds(4000));
}

/// Reads on a mount with a TTL of 20 ms, at least `least` times by each of three readers.
pub(crate) fn whole(mounted: &Mounted, least: u32) {
    let cgroup = limited(96);
    let script = format!("python3 -c \"$SCRIPT\" 2 {least}");
    let mut command = TestContainer::new(mounted, &cgroup).command(&script);
    let output = command
        .env("SCRIPT", include_str!("page_cache/whole.py"))
        .output();
    let text = printed(&output.unwrap());
    let reads = text.lines().map(|line| line.parse::<u32>().unwrap());
    let reads: Vec<u32> = reads.collect();
    assert_eq!(reads.len(), 3, "{text}");
    assert!(reads.iter().all(|reads| *reads >= least), "{text}");
}

/// With a TTL of a second: longer than the delays on a loaded machine, so that some of the TTL is left when
/// the kernel sends a request.
#[test]
fn no_value_is_older_than_the_ttl() {
    require_privileged!();
    require!(python(), "needs python3");
    let mounted = with_ttl(1000);
    ages(&mounted.own());
}

/// On a mount with a TTL of a second.
pub(crate) fn ages(mounted: &Mounted) {
    const TTL: Duration = Duration::from_secs(1);
    let cgroup = limited(96);
    let command = TestContainer::new(mounted, &cgroup).command("python3 -c \"$SCRIPT\"");
    let script = Script::start(command, include_str!("page_cache/ages.py"));
    let mut changes = Vec::new();
    for mib in [64, 96, 64] {
        std::thread::sleep(Duration::from_millis(300));
        let before = monotonic();
        cgroup.limit_memory(mib * MIB);
        changes.push((before, monotonic(), mib * 1024));
        std::thread::sleep(TTL + Duration::from_millis(200));
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
            assert!(age < TTL, "{how}: {age:?}");
            kept += u32::from(age > TTL / 20);
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
fn without_a_ttl_each_read_asks() {
    require_privileged!();
    let (mounted, cgroup) = (with_ttl(0), limited(96));
    let keeper = keeper(&mounted.own(), &cgroup);
    let file = File::from(descriptor(&cgroup, 3));
    assert!(is_own(file.metadata().unwrap().ino()));
    for mib in [64, 96, 64] {
        cgroup.limit_memory(mib * MIB);
        assert_eq!(total(&file).unwrap(), mib * 1024);
    }
    keeper.end();
}

pub(crate) fn is_own(inode: u64) -> bool {
    inode >> 56 == 0xff
}

/// For every kind of container, and immediately: no caller waits for a name.
#[test]
fn containers_have_nodes_of_their_own() {
    require_privileged!();
    let (mounted, cgroups) = (with_ttl(50), [limited(96), limited(64)]);
    const SHOW: &str = "readlink $M; stat -L -c %i $M/proc/meminfo /proc/meminfo; \
                        stat -c %i $M/../../proc/meminfo; cat /proc/meminfo";
    let seen = [
        (Namespaces::Both, 0),
        (Namespaces::Both, 1),
        (Namespaces::Pid, 1),
        (Namespaces::Cgroup, 1),
        (Namespaces::Both, 0),
    ]
    .map(|(namespaces, of)| {
        let own = mounted.own();
        let text = TestContainer::with(&own, &cgroups[of], namespaces).run(SHOW);
        let lines: Vec<&str> = text.lines().collect();
        let node: u64 = lines[1].parse().unwrap();
        assert!(
            is_own(node) && lines[1] == lines[2],
            "{namespaces:?}: {text}"
        );
        let id = format!("c/{:010x}", node & ((1 << 40) - 1));
        assert_eq!(lines[0], id, "{namespaces:?}");
        // The shared file has the same inode for all containers.
        let shared = mounted.path("proc/meminfo").metadata().unwrap().ino();
        assert!(!is_own(shared) && lines[3] == shared.to_string(), "{text}");
        (node, field(&text, "MemTotal:") >> 10)
    });
    assert_eq!(seen.map(|(_, total)| total), [96, 64, 64, 64, 96]);
    assert_eq!(seen[0], seen[4], "the same cgroup namespace's root");
    assert!(seen[0].0 != seen[1].0 && seen[0].0 != seen[2].0 && seen[1].0 != seen[2].0);
    let own = TestContainer::new(&mounted.own(), &cgroups[0]).run("cd $M; find . -type f | sort");
    for path in ["./proc/meminfo", "./proc/pressure/cpu", "./proc/stat"] {
        assert!(own.lines().any(|line| line == path), "{own}");
    }
}

/// The sources of `oci-hook`, `lxc-hook` and `run`, and the files of a container that does not use them.
#[test]
fn shared_nodes_go_around_the_page_cache() {
    require_privileged!();
    require!(python(), "needs python3");
    let (mounted, cgroup) = (with_ttl(1000), limited(96));
    let script = "python3 -c \"$SCRIPT\"";
    let mut command = TestContainer::new(&mounted, &cgroup).command(script);
    let output = command
        .env("SCRIPT", include_str!("page_cache/shared.py"))
        .output();
    assert_eq!(printed(&output.unwrap()), "98304\n");
}

/// Another container can reach a node like any file: an opener sees its own values.
#[test]
fn who_opens_another_s_node_sees_its_own() {
    require_privileged!();
    let mounted = with_ttl(50);
    let (owner, other) = (limited(96), limited(64));
    let keeper = keeper(&mounted.own(), &owner);
    let pid = owner.namespace_init().unwrap();
    let of_owner = File::open(format!("/proc/{pid}/root/proc/meminfo")).unwrap();
    let node = of_owner.metadata().unwrap().ino();
    assert!(is_own(node));
    assert_eq!(total(&File::from(descriptor(&owner, 3))).unwrap(), 96 << 10);
    assert!(total(&of_owner).unwrap() > 96 << 10, "the host's");
    let path = mounted.path(&format!("c/{:010x}/proc/meminfo", node & ((1 << 40) - 1)));
    assert_eq!(path.metadata().unwrap().ino(), node, "the host finds it");
    let bound = tempfile::NamedTempFile::new().unwrap();
    let mount = |args: &[&str]| {
        let args = args.iter().copied().chain(bound.path().to_str());
        let output = Command::new(args.clone().next().unwrap())
            .args(args.skip(1))
            .output();
        let _ = printed(&output.unwrap());
    };
    mount(&["mount", "--bind", path.to_str().unwrap()]);
    let mut command = TestContainer::new(&mounted.own(), &other).command("cat \"$BOUND\"");
    let output = command.env("BOUND", bound.path()).output().unwrap();
    mount(&["umount"]);
    assert_eq!(field(&printed(&output), "MemTotal:"), 64 << 10);
    keeper.end();
}

/// A node that another container had opened before the worker was replaced: then its opener is unknown.
#[test]
fn a_descriptor_of_an_earlier_worker_shows_nobody_another_s_pages() {
    require_privileged!();
    require!(python(), "needs python3");
    let mounted = with_ttl(1000);
    let (owner, other) = (limited(96), limited(64));
    let mut inside = by_all_ways(&mounted.own(), &owner);
    check(&mut inside, 96);
    let pid = owner.namespace_init().unwrap();
    let node = std::fs::metadata(format!("/proc/{pid}/root/proc/meminfo")).unwrap();
    let path = mounted.path(&format!(
        "c/{:010x}/proc/meminfo",
        node.ino() & ((1 << 40) - 1)
    ));
    let bound = tempfile::NamedTempFile::new().unwrap();
    let mut mount = Command::new("mount");
    let output = mount.arg("--bind").args([&path, bound.path()]).output();
    let _ = printed(&output.unwrap());
    let mut command = TestContainer::new(&mounted.own(), &other).command("python3 -c \"$SCRIPT\"");
    command.env("BOUND", bound.path());
    let mut stranger = Script::start(command, include_str!("page_cache/stranger.py"));
    let _ = printed(&Command::new("umount").arg(bound.path()).output().unwrap());
    stranger.tell();
    assert_eq!(stranger.line(), "splice EINVAL\n");
    assert_eq!(stranger.line(), "read 65536\n");
    kill_worker(&mounted);
    check(&mut inside, 96);
    stranger.tell();
    let spliced = stranger.line();
    assert!(
        ["splice ESTALE\n", "splice EINVAL\n"].contains(&&*spliced),
        "{spliced}"
    );
    assert_eq!(stranger.line(), "read 65536\n");
    check(&mut inside, 96);
    stranger.end();
    inside.end();
}

/// However often others look up names that are not theirs.
#[test]
fn look_ups_by_others_leave_bind_mounts_alone() {
    require_privileged!();
    let (mounted, cgroups) = (with_ttl(50), [limited(96), limited(64)]);
    let mut first = Script::start(
        TestContainer::new(&mounted.own(), &cgroups[0]).command(
            "id=$(readlink $M); echo ready; echo $id; while read _; do head -1 /proc/meminfo; \
             grep -c deleted /proc/self/mountinfo || true; done",
        ),
        "",
    );
    let id = first.line();
    let id = id.trim_end();
    let root = mounted.root().display().to_string();
    for _ in 0..3 {
        first.tell();
        assert_eq!(field(&first.line(), "MemTotal:"), 96 << 10);
        assert_eq!(first.line(), "0\n");
        let tried = format!(
            "cat /proc/meminfo; for what in {id} {id}/proc/meminfo at metrics; do \
             stat {root}/$what 2>&1 || true; done"
        );
        let other = TestContainer::new(&mounted.own(), &cgroups[1]).run(&tried);
        assert_eq!(field(&other, "MemTotal:"), 64 << 10);
        assert_eq!(
            other.matches("Cannot allocate memory").count(),
            4,
            "{other}"
        );
        assert!(field(&mounted.read("proc/meminfo"), "MemTotal:") > 96 << 10);
        std::thread::sleep(AFTER_THE_TTL);
    }
    first.end();
}

#[test]
fn a_kept_descriptor_of_a_container_that_has_ended_is_an_error() {
    require_privileged!();
    let (mounted, cgroup) = (with_ttl(50), limited(96));
    let keeper = keeper(&mounted.own(), &cgroup);
    let file = File::from(descriptor(&cgroup, 3));
    assert_eq!(total(&file).unwrap(), 96 << 10);
    keeper.end();
    cgroup.remove();
    std::thread::sleep(AFTER_THE_TTL);
    // A new container may look the same.
    let next = limited(64);
    let other = TestContainer::new(&mounted, &next).run("cat /proc/meminfo");
    assert_eq!(field(&other, "MemTotal:"), 64 << 10);
    let error = total(&file).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::ENODEV as i32), "{error}");
    assert!(file.metadata().is_ok());
}

/// A shell in a container that keeps its meminfo as descriptor 3, and reads it in every way on request.
pub(crate) fn by_all_ways(files: &Mounted, cgroup: &TestCgroup) -> Script {
    let script = "exec 3</proc/meminfo; echo ready; while read _; do \
                  head -1 /proc/self/fd/3; head -1 /proc/meminfo; head -1 $M/proc/meminfo; \
                  read line <&3; echo \"$line\"; exec 3</proc/meminfo; done";
    Script::start(TestContainer::new(files, cgroup).command(script), "")
}

/// Each way shows this limit.
pub(crate) fn check(inside: &mut Script, mib: u64) {
    inside.tell();
    for _ in 0..4 {
        assert_eq!(field(&inside.line(), "MemTotal:"), mib << 10);
    }
}

/// Kills the worker and waits for its successor.
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
    let (mounted, cgroup) = (with_ttl(50), limited(96));
    outlive_workers(&mounted, &mounted.own(), &cgroup).end();
}

/// Kills and upgrades workers; `files`: the container's part of the mount, which survives.
pub(crate) fn outlive_workers(mounted: &Mounted, files: &Mounted, cgroup: &TestCgroup) -> Script {
    let mut inside = by_all_ways(files, cgroup);
    check(&mut inside, 96);
    let file = File::from(descriptor(cgroup, 3));
    for mib in [64, 32] {
        assert!(total(&file).is_ok());
        kill_worker(mounted);
        cgroup.limit_memory(mib * MIB);
        std::thread::sleep(AFTER_THE_TTL);
        check(&mut inside, mib);
        // The descriptor was passed to the host: the owner has opened the file in the new worker.
        assert_eq!(total(&file).unwrap(), mib << 10);
    }
    let worker = mounted.pid();
    let root = mounted.root();
    let _ = printed(&vistafs(&["upgrade", "--mount", root.to_str().unwrap()]));
    assert_ne!(mounted.pid(), worker);
    cgroup.limit_memory(96 * MIB);
    std::thread::sleep(AFTER_THE_TTL);
    check(&mut inside, 96);
    inside
}
