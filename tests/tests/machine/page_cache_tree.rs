//! The page-cache tree: files that the kernel opens without a request are each container's own, complete and
//! fresh.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer, field};
use vistafs_tests::vistafs::{MountOptions, Mounted, printed, vistafs, wait_until};
use vistafs_tests::{require, require_privileged, user_container};

use crate::page_cache::{Script, ages, descriptor, hammer, is_own, limited, python, total, whole};

pub(crate) fn tree_with(ms: u32) -> MountOptions {
    MountOptions {
        config: format!("[page_cache]\nttl_ms = {ms}\n"),
        args: vec!["--page-cache".into()],
        ..MountOptions::default()
    }
}

pub(crate) fn tree(ms: u32) -> Mounted {
    Mounted::with(&tree_with(ms))
}

/// A shell in a container that has bound its own files and runs `answer` for each input line.
pub(crate) fn resident(mounted: &Mounted, cgroup: &TestCgroup, answer: &str) -> Script {
    let script = format!("echo ready; while read line; do {answer}; done");
    Script::start(
        TestContainer::new(&mounted.own(), cgroup).command(&script),
        "",
    )
}

/// The name of a container's own directory, as seen in the container.
pub(crate) fn name_of(mounted: &Mounted, cgroup: &TestCgroup) -> String {
    let name = TestContainer::new(&mounted.own(), cgroup).run("readlink \"$M\"");
    name.trim_end().to_owned()
}

fn errno<T>(outcome: std::io::Result<T>) -> Option<Errno> {
    let error = outcome.err()?;
    error.raw_os_error().map(Errno::from_raw)
}

#[test]
fn two_containers_never_get_each_other_s() {
    require_privileged!();
    require!(python(), "needs python3");
    let mounted = tree(50);
    hammer(&mounted.own());
}

#[test]
fn texts_are_whole_though_their_lengths_change() {
    require_privileged!();
    require!(python(), "needs python3");
    let mounted = tree(20);
    whole(&mounted.own(), require::rounds(1000));
}

#[test]
fn no_value_is_older_than_the_ttl() {
    require_privileged!();
    require!(python(), "needs python3");
    let mounted = tree(1000);
    ages(&mounted.own());
}

/// A stopped worker answers nothing and receives no request.
#[test]
fn to_open_and_to_read_asks_nobody() {
    require_privileged!();
    require!(python(), "needs python3");
    let (mounted, cgroup) = (tree(10_000), limited(96));
    let script = "python3 -c \"$SCRIPT\"";
    let command = TestContainer::new(&mounted.own(), &cgroup).command(script);
    let mut reader = Script::start(command, include_str!("page_cache_tree/opens.py"));
    reader.tell();
    assert_eq!(reader.number(), 1000);
    let worker = Pid::from_raw(mounted.pid().cast_signed());
    kill(worker, Signal::SIGSTOP).unwrap();
    reader.tell();
    let stopped = reader.number();
    kill(worker, Signal::SIGCONT).unwrap();
    assert_eq!(stopped, 1000);
    reader.end();
}

/// For every kind of container.
#[test]
fn containers_have_names_of_their_own() {
    require_privileged!();
    let (mounted, cgroups) = (tree(50), [limited(96), limited(64)]);
    let found = |namespaces, cgroup| {
        let own = mounted.own();
        let container = TestContainer::with(&own, cgroup, namespaces);
        let text = container.run(
            "basename $(readlink \"$M\"); ls \"$M/..\"; ls $M/../../; stat -c %i \"$M/proc/meminfo\" /proc/meminfo; \
             cat /proc/meminfo",
        );
        let lines: Vec<&str> = text.lines().collect();
        let name = lines[0].to_owned();
        assert_eq!(lines[1..4], [&name, "c", "self"], "{text}");
        assert_eq!(lines[4], lines[5]);
        let inode: u64 = lines[4].parse().unwrap();
        assert!(is_own(inode));
        assert_eq!(format!("{:010x}", inode & ((1 << 40) - 1)), name);
        (name, field(&text, "MemTotal:") >> 10)
    };
    // Immediately: no caller waits for a name.
    let seen = [
        (Namespaces::Both, 0),
        (Namespaces::Both, 1),
        (Namespaces::Pid, 1),
        (Namespaces::Cgroup, 1),
        (Namespaces::Both, 0),
    ]
    .map(|(namespaces, of)| found(namespaces, &cgroups[of]));
    let totals = seen.each_ref().map(|(_, total)| *total);
    assert_eq!(totals, [96, 64, 64, 64, 96]);
    assert_eq!(seen[0], seen[4], "the same cgroup namespace's root");
    assert!(seen[0].0 != seen[1].0 && seen[0].0 != seen[2].0 && seen[1].0 != seen[2].0);
}

#[test]
fn only_what_may_be_kept_is_there() {
    require_privileged!();
    let (mounted, cgroup) = (tree(50), TestCgroup::new());
    let listed = TestContainer::new(&mounted.own(), &cgroup)
        .run("cd \"$M\"; find -L . -type f | sort; echo; find . -type d | sort");
    let (files, directories) = listed.split_once("\n\n").unwrap();
    for file in [
        "./proc/meminfo",
        "./proc/stat",
        "./proc/uptime",
        "./proc/loadavg",
    ] {
        assert!(files.lines().any(|line| line == file), "{listed}");
    }
    assert_eq!(directories, ".\n./proc\n", "{listed}");
}

#[test]
fn nobody_finds_another_s() {
    require_privileged!();
    let (mounted, owner, other) = (tree(50), limited(96), limited(64));
    let mut inside = resident(&mounted, &owner, "head -1 /proc/meminfo");
    let pid = owner.namespace_init().unwrap();
    let root = mounted.path("c").display().to_string();
    let name = {
        let names = std::fs::read_dir(&root).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names: Vec<String> = names.collect();
        let [name] = &names[..] else {
            panic!("{names:?}");
        };
        name.clone()
    };
    // For any other container the name does not exist.
    let tried = format!(
        "for id in {name} 0123456789 ffffffffff; do for what in \"\" /proc /proc/meminfo; do \
         cat \"{root}/$id$what\" 2>&1 || true; done; done; \
         for id in {upper} 123 {name}0 none; do cat \"{root}/$id/proc/meminfo\" 2>&1 || true; done",
        upper = name.to_uppercase() + "X",
    );
    let check = |text: String| {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 13, "{text}");
        let refused = |line: &&str| line.ends_with("Cannot allocate memory");
        assert!(lines[..9].iter().all(refused), "{text}");
        let missing = |line: &&str| line.ends_with("No such file or directory");
        assert!(lines[9..].iter().all(missing), "{text}");
    };
    check(TestContainer::new(&mounted.own(), &other).run(&tried));
    check(user_container::run(&mounted, &other, &tried));
    // From the host, except for root.
    let output = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "sh",
            "-c",
            &tried,
        ])
        .output();
    check(printed(&output.unwrap()));
    let text = std::fs::read_to_string(mounted.path("c").join(&name).join("proc/meminfo")).unwrap();
    assert_eq!(field(&text, "MemTotal:"), 96 << 10);
    assert_eq!(
        errno(std::fs::read_link(mounted.path("self"))),
        Some(Errno::ENOENT)
    );
    // A name unknown to this worker may exist for a container that bound it earlier.
    let unknown = mounted.path("c/0123456789/proc/meminfo");
    assert_eq!(errno(std::fs::read(unknown)), Some(Errno::ESTALE));
    // /proc/PID/root leads the host to the owner's contents.
    let through = File::open(format!("/proc/{pid}/root/proc/meminfo")).unwrap();
    assert_eq!(total(&through).unwrap(), 96 << 10);
    inside.tell();
    assert_eq!(field(&inside.line(), "MemTotal:"), 96 << 10);
    inside.end();
}

/// While another container looks up its directory in a loop, the owner can bind files from it.
#[test]
fn who_is_refused_does_not_disturb_the_owner() {
    require_privileged!();
    let (mounted, owner, other) = (tree(50), limited(96), limited(64));
    let name = name_of(&mounted, &owner);
    let root = mounted.root().display().to_string();
    let attack = format!(
        "echo ready; trap 'exit 0' TERM; \
         while [ ! -e \"{root}/../stop\" ]; do stat \"{root}/{name}\" >/dev/null 2>&1 && exit 9; \
         : $((tried += 1)); done; echo $tried"
    );
    let attackers = [(); 2].map(|()| {
        let command = TestContainer::new(&mounted.own(), &other).command(&attack);
        Script::start(command, "")
    });
    let rounds = require::rounds(500);
    let bound = TestContainer::new(&mounted.own(), &owner).run(&format!(
        "for round in $(seq {rounds}); do umount /proc/meminfo || exit 3; \
         mount --bind \"$M/proc/meminfo\" /proc/meminfo || exit 4; \
         grep -q 'MemTotal: *98304 kB' /proc/meminfo || exit 5; done; \
         grep -c deleted /proc/self/mountinfo || true"
    ));
    assert_eq!(bound, "0\n");
    std::fs::write(mounted.root().with_file_name("stop"), "").unwrap();
    for mut attacker in attackers {
        assert!(attacker.number() > 0);
        attacker.end();
    }
}

/// A caller that reads through another container's node gets the owner's contents, as with any bind mount of
/// lxcfs; first from a page that is filled for this caller.
#[test]
fn a_page_is_its_owner_s_whoever_fills_it() {
    require_privileged!();
    let (mounted, owner, other) = (tree(50), limited(96), limited(64));
    let inside = resident(&mounted, &owner, "true");
    let name = name_of(&mounted, &owner);
    let path = mounted.path(&name).join("proc/meminfo");
    let bound = tempfile::NamedTempFile::new().unwrap();
    let bound_path = bound.path().to_str().unwrap();
    let mut mount = Command::new("mount");
    let _ = printed(
        &mount
            .arg("--bind")
            .args([&path, bound.path()])
            .output()
            .unwrap(),
    );
    // Each time after the cached contents have expired.
    let script = "for _ in 1 2 3 4 5; do sleep 0.2; head -1 \"$BOUND\"; \
                  head -c 8 \"$BOUND\"; echo; done";
    let mut command = TestContainer::new(&mounted.own(), &other).command(script);
    let output = command.env("BOUND", bound.path()).output().unwrap();
    let unmounted = Command::new("umount").arg(bound_path).output().unwrap();
    let text = printed(&output);
    let _ = printed(&unmounted);
    assert_eq!(text.lines().count(), 10, "{text}");
    for line in text.lines() {
        assert!(line.starts_with("MemTotal"), "{text}");
    }
    let totals: Vec<&str> = text.lines().step_by(2).collect();
    assert_eq!(totals, ["MemTotal:          98304 kB"; 5], "{text}");
    inside.end();
}

#[test]
fn nothing_can_be_written() {
    require_privileged!();
    let (mounted, cgroup) = (tree(50), limited(96));
    let mut inside = resident(&mounted, &cgroup, "true");
    inside.tell();
    let text = TestContainer::new(&mounted.own(), &cgroup).run(
        "for how in '>' '>>' '<>'; do sh -c \": $how /proc/meminfo\" 2>&1 || true; done; \
         chmod 666 /proc/meminfo 2>&1 || true; \
         head -1 /proc/meminfo; dd if=/proc/meminfo iflag=direct bs=8192 count=1 2>/dev/null | tail -c 4",
    );
    let refused = |line: &&str| line.ends_with("Read-only file system");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[..4].iter().all(refused), "{text}");
    assert_eq!(lines[4..], ["MemTotal:          98304 kB", " kB"], "{text}");
    inside.end();
}

#[test]
fn without_a_ttl_it_is_refused() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let refused = vistafs(&[
        "mount",
        "--page-cache",
        "--no-repair",
        "--config",
        "/dev/null",
        path,
    ]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("[page_cache] ttl_ms is 0"), "{told}");
    assert!(told.contains("set it, to 50 for example"), "{told}");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(path));

    let (mounted, cgroup) = (tree(50), limited(96));
    let mut inside = resident(&mounted, &cgroup, "head -1 /proc/meminfo");
    std::fs::write(mounted.root().with_file_name("config.toml"), "").unwrap();
    let root = mounted.root();
    let mut output = None;
    wait_until("no other exchange is under way", || {
        let told = vistafs(&["reload", "--mount", root.to_str().unwrap()]);
        let is_busy = String::from_utf8_lossy(&told.stderr).contains("another exchange");
        output = Some(told);
        !is_busy
    });
    let output = output.unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("[page_cache] ttl_ms is 0"), "{told}");
    inside.tell();
    assert_eq!(field(&inside.line(), "MemTotal:"), 96 << 10);
    inside.end();
}

/// The view from the host.
#[test]
fn it_is_known_as_what_it_is() {
    require_privileged!();
    let (mounted, cgroup) = (tree(50), limited(96));
    let inside = resident(&mounted, &cgroup, "true");
    let root: PathBuf = mounted.root();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts
        .lines()
        .find(|line| line.contains(root.to_str().unwrap()))
        .unwrap();
    assert!(
        line.contains(" - fuse.vistafs vistafs-page-cache ro,"),
        "{line}"
    );
    let kept = File::from(descriptor(&cgroup, 0));
    drop(kept);
    assert!(is_own(
        std::fs::metadata(format!(
            "/proc/{}/root/proc/meminfo",
            cgroup.namespace_init().unwrap()
        ))
        .unwrap()
        .ino()
    ));
    let output = vistafs(&["status", "--mount", root.to_str().unwrap()]);
    let told = printed(&output);
    let worker = format!("worker      process {}, up ", mounted.pid());
    assert!(told.contains(&worker), "{told}");
    inside.end();
}
