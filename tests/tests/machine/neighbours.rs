//! Many readers of slow files in one container, and another container beside it.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::{Child, Stdio};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer, field};
use vistafs_tests::vistafs::{MountOptions, Mounted, printed, wait_until};
use vistafs_tests::{require, require_privileged};

use crate::cgroup_tree::mounted_directory;

const READERS: usize = 16;
const MIB: u64 = 1 << 20;

/// The number of processes in a container that have a file open whose name ends in `name`.
fn open_in(cgroup: &TestCgroup, name: &str) -> usize {
    let pids = cgroup.read("memory", "cgroup.procs");
    let is_it = |pid: &&str| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"));
        let mut links = descriptors.into_iter().flatten().flatten();
        links.any(|link| std::fs::read_link(link.path()).is_ok_and(|path| path.ends_with(name)))
    };
    pids.lines().filter(is_it).count()
}

/// The readers wait for a command that waits for this test: a reply in the meantime did not wait for them.
#[test]
fn readers_that_wait_delay_no_other_container() {
    require_privileged!();
    let work = tempfile::tempdir().unwrap();
    std::fs::set_permissions(work.path(), Permissions::from_mode(0o755)).unwrap();
    let pipe = work.path().join("pipe");
    mkfifo(&pipe, Mode::empty()).unwrap();
    std::fs::set_permissions(&pipe, Permissions::from_mode(0o644)).unwrap();
    let config = format!(
        "[[file]]\npath = \"proc/waits\"\ncommand = [\"/bin/cat\", \"{}\"]\nuser = \"nobody\"\n\
         timeout_ms = 60000\n[worker]\nstuck_seconds = 300\n",
        pipe.display()
    );
    let mounted = Mounted::with(&MountOptions {
        config,
        ..MountOptions::default()
    });
    let (waiting, other) = (TestCgroup::new(), TestCgroup::new());
    other.limit_memory(64 * MIB);
    let script = format!("for i in $(seq {READERS}); do cat $M/proc/waits & done; wait");
    let mut readers = TestContainer::new(&mounted, &waiting).spawn(&script);
    // The pipe has a reader when the command runs; keeping this end open keeps the command waiting.
    let mut go_on = None;
    wait_until("the command runs", || {
        let end = File::options()
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&pipe);
        go_on = end.ok();
        go_on.is_some()
    });
    let all_wait = || open_in(&waiting, "waits") == READERS;
    wait_until("all readers have the file open", all_wait);
    let container = TestContainer::new(&mounted, &other);
    let text = container.run("for i in $(seq 50); do head -1 /proc/meminfo; done");
    assert_eq!(text.lines().count(), 50);
    assert!(
        text.lines()
            .all(|line| field(line, "MemTotal:") == 64 << 10),
        "{text}"
    );
    assert!(
        all_wait(),
        "they have not waited: the others may have waited for them"
    );
    go_on.take().unwrap().write_all(b"gone on\n").unwrap();
    let mut text = String::new();
    readers
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(readers.wait().unwrap().success());
    assert_eq!(text, "gone on\n".repeat(READERS));
}

/// Their requests are before most of the other container's requests, which must not wait for them.
#[test]
fn readers_of_what_takes_long_delay_no_other_container() {
    const PROCESSES: usize = 1000;
    require_privileged!();
    require!(require::program("python3"), "needs python3");
    let mounted = Mounted::with(&MountOptions {
        config: "[fuse]\nthreads = 2\n".into(),
        ..MountOptions::default()
    });
    let (crowded, other) = (TestCgroup::new(), TestCgroup::new());
    let list = mounted_directory(&mounted, &crowded, "memory").join("cgroup.procs");
    let script = format!(
        "python3 -c \"$SCRIPT\" '{}' {PROCESSES} {READERS}",
        list.display()
    );
    let mut crowd: Child = TestContainer::with(&mounted, &crowded, Namespaces::Pid)
        .command(&script)
        .env("SCRIPT", include_str!("neighbours/crowd.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(crowd.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "reading");
    let output = TestContainer::new(&mounted, &other)
        .command("python3 -c \"$SCRIPT\"")
        .env("SCRIPT", include_str!("neighbours/neighbour.py"))
        .output();
    let waited: u64 = printed(&output.unwrap()).trim().parse().unwrap();
    drop(crowd.stdin.take());
    let crowds: u64 = lines.next().unwrap().unwrap().parse().unwrap();
    assert!(crowd.wait().unwrap().success());
    assert!(
        waited * 4 < crowds,
        "{waited} ns beside {READERS} readers that wait {crowds} ns each"
    );
}
