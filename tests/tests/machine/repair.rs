//! `vistafs repair`: everything has died, and the containers continue.
//!
//! Attacks on it are in `repair_hostile.rs`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use vistafs_tests::bundle::Bundle;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::vistafs::{MountOptions, Mounted, printed, vistafs, wait_until};
use vistafs_tests::{require, require_privileged};

const LIMIT: u64 = 64 * 1024;

/// A lock for tests whose `vistafs repair` covers the whole machine, or whose container is dead on purpose:
/// one would repair the other's. Each test may be a separate process.
pub(crate) struct WholeMachine {
    _lock: File,
}

pub(crate) fn machine() -> WholeMachine {
    let lock = std::env::temp_dir().join("vistafs-tests-repair.lock");
    let lock = File::options()
        .create(true)
        .append(true)
        .open(lock)
        .unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    WholeMachine { _lock: lock }
}

/// A container that blocks until the test lets it continue.
pub(crate) struct Resident {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Resident {
    /// Runs `before`, and `after` on request.
    pub(crate) fn new(command: Command) -> Self {
        let mut command = command;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{:?}", child.try_wait());
        Self { child, out }
    }

    /// A process in its namespaces.
    pub(crate) fn pid(&self) -> u32 {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let first = children.unwrap().split(' ').find_map(|n| n.parse().ok());
        first.unwrap_or(pid)
    }

    /// Lets it continue until it prints this line. It ends on drop.
    pub(crate) fn go_on_until(mut self, line: &str) -> Self {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut printed = String::new();
        self.out.read_line(&mut printed).unwrap();
        assert_eq!(printed, line);
        self
    }

    /// Returns the rest of its output.
    pub(crate) fn go_on(mut self) -> String {
        self.child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {text}");
        text
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        // A reader of standard input sees its end; a hung process is killed.
        self.child.stdin.take();
        if std::thread::panicking() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// `before; wait; after`, as a script for a container.
pub(crate) fn script(before: &str, after: &str) -> String {
    format!("{before}\necho ready\nread go\n{after}\n")
}

/// A shell in a private mount namespace; `$M` is the mount.
pub(crate) fn unshared(mounted: &Mounted, flags: &str, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args([flags, "sh", "-ec", script])
        .env("M", mounted.root());
    command
}

/// The part of the report about `mounted`, and the matching exit status: containers have copies of other
/// tests' mounts, including dead and stopped ones.
pub(crate) fn repair(mounted: &Mounted, of: &[&Resident], more: &[&str]) -> (Vec<Value>, i32) {
    let mut rows = repair_all(mounted, of, more);
    let root = mounted.root();
    rows.retain(|row| row["shows"] != "" || row["path"] == root.to_str().unwrap());
    let status = expected_status(&rows);
    (rows, status)
}

/// The whole report.
pub(crate) fn repair_all(mounted: &Mounted, of: &[&Resident], more: &[&str]) -> Vec<Value> {
    let root = mounted.root();
    let pids: Vec<String> = of.iter().map(|one| one.pid().to_string()).collect();
    let pids: Vec<&str> = pids.iter().flat_map(|pid| ["--pid", pid]).collect();
    let args = ["repair", "--json", "--mount", root.to_str().unwrap()];
    let output = vistafs(&[&args, &pids[..], more].concat());
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let rows = rows.as_array().unwrap().clone();
    let status = output.status.code().unwrap();
    assert_eq!(status, expected_status(&rows), "{rows:?}");
    rows
}

fn expected_status(rows: &[Value]) -> i32 {
    let is_good = rows.iter().all(|row| row["outcome"] == "repaired");
    if is_good { 0 } else { 3 }
}

/// The outcome of the mount at a path.
#[track_caller]
pub(crate) fn outcome<'r>(rows: &'r [Value], path: &str) -> &'r str {
    let row = rows.iter().find(|row| row["path"] == path);
    let row = row.unwrap_or_else(|| panic!("no row of {path}: {rows:?}"));
    row["outcome"].as_str().unwrap()
}

/// Kills the server and mounts again.
pub(crate) fn die_and_mount(mounted: &mut Mounted) {
    mounted.die();
    mounted.start(&MountOptions::default());
}

#[test]
fn a_container_sees_itself_again() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(LIMIT * 1024);
    let container = TestContainer::new(&mounted, &cgroup);
    let script = script(
        "mount -o remount,bind,ro /proc/uptime",
        "cat /proc/meminfo; ls /sys/devices/system/cpu/online; cat /proc/uptime /proc/stat >/dev/null
         grep ' /proc/uptime ' /proc/self/mountinfo | tail -n 1",
    );
    let resident = Resident::new(container.command(&script));
    die_and_mount(&mut mounted);

    let (rows, status) = repair(&mounted, &[&resident], &["--dry-run"]);
    assert_eq!(status, 3, "{rows:?}");
    assert_eq!(outcome(&rows, "/proc/meminfo"), "dead");
    let dead = rows.len();
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    assert_eq!((status, rows.len()), (0, dead), "{rows:?}");
    for path in ["/proc/meminfo", "/proc/uptime", "/sys/devices/system/cpu"] {
        assert_eq!(outcome(&rows, path), "repaired");
    }
    let pid = u64::from(resident.pid());
    assert!(rows.iter().all(|row| row["pid"] == pid), "{rows:?}");
    let name = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(
        name.contains(rows[0]["container"].as_str().unwrap()),
        "{name}"
    );
    // Nothing is left to repair.
    assert_eq!(repair(&mounted, &[&resident], &[]), (vec![], 0));

    let text = resident.go_on();
    assert_eq!(field(&text, "MemTotal:"), LIMIT, "{text}");
    assert!(text.contains("/sys/devices/system/cpu/online\n"), "{text}");
    let options = text.lines().last().unwrap().split(' ').nth(5).unwrap();
    for kept in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(options.split(',').any(|one| one == kept), "{options}");
    }
}

/// A reader that starts after `systemctl start` must not get ENOTCONN.
#[test]
fn a_start_is_reported_when_running_containers_are_repaired() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let script = script(
        "mount --bind $M/proc/stat /proc/stat",
        "head -n 1 /proc/stat",
    );
    let resident = Resident::new(unshared(&mounted, "-m", &script));
    mounted.die();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    mounted.start(&MountOptions {
        env: vec![("NOTIFY_SOCKET".into(), path.to_str().unwrap().into())],
        repairs: true,
        ..MountOptions::default()
    });
    let mut message = [0; 256];
    let got = socket.recv(&mut message).unwrap();
    assert!(message[..got].starts_with(b"READY=1"));
    assert!(resident.go_on().starts_with("cpu "));
}

#[test]
fn as_often_as_it_dies() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let script = script(
        "mount --bind $M/proc/stat /proc/stat",
        "head -n 1 /proc/stat",
    );
    let resident = Resident::new(unshared(&mounted, "-m", &script));
    for _ in 0..3 {
        die_and_mount(&mut mounted);
        let (rows, status) = repair(&mounted, &[&resident], &[]);
        assert_eq!((status, outcome(&rows, "/proc/stat")), (0, "repaired"));
    }
    assert!(resident.go_on().starts_with("cpu "));
}

#[test]
fn what_is_alive_is_left_alone() {
    require_privileged!();
    let _machine = machine();
    let (mut dead, alive) = (Mounted::new(), Mounted::new());
    let script = script(
        "mount --bind $M/proc/stat /proc/stat; mount --bind $OTHER/proc/uptime /proc/uptime",
        "grep -c ' /proc/uptime ' /proc/self/mountinfo",
    );
    let mut command = unshared(&dead, "-m", &script);
    command.env("OTHER", alive.root());
    let resident = Resident::new(command);
    die_and_mount(&mut dead);
    let (rows, status) = repair(&dead, &[&resident], &[]);
    assert_eq!((status, outcome(&rows, "/proc/stat")), (0, "repaired"));
    assert!(!rows.iter().any(|row| row["path"] == "/proc/uptime"));
    assert_eq!(resident.go_on(), "1\n");
}

/// The file system had forgotten the name of the bound file before it died: nothing can be mounted on it.
#[test]
fn what_has_lost_its_name_is_replaced() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let inner = cgroup.child("inner");
    let address = mounted.path(&inner.address("proc/meminfo"));
    let script = script(
        "mount --bind \"$A\" /proc/meminfo; umount \"$M\"",
        "cat /proc/meminfo; grep -c ' /proc/meminfo ' /proc/self/mountinfo",
    );
    let mut command = unshared(&mounted, "-m", &script);
    command.env("A", &address);
    let resident = Resident::new(command);
    drop(inner);
    assert!(std::fs::metadata(&address).is_err());
    let inner = cgroup.child("inner");
    inner.limit_memory(LIMIT * 1024);
    die_and_mount(&mut mounted);
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    assert_eq!((status, rows.len()), (0, 1), "{rows:?}");
    assert_eq!(outcome(&rows, "/proc/meminfo"), "repaired");
    assert_eq!(repair(&mounted, &[&resident], &[]), (vec![], 0));
    let text = resident.go_on();
    assert_eq!(field(&text, "MemTotal:"), LIMIT, "{text}");
    assert!(
        text.ends_with("\n1\n"),
        "the dead one is still there: {text}"
    );
}

#[test]
fn a_view_that_is_off_now_is_told() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let script = script("mount --bind $M/proc/stat /proc/stat", "true");
    let resident = Resident::new(unshared(&mounted, "-m", &script));
    mounted.die();
    let config = mounted.root().with_file_name("config.toml");
    std::fs::write(config, "[views]\ndisable = [\"stat\"]\n").unwrap();
    mounted.start(&MountOptions::default());
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    assert_eq!((status, outcome(&rows, "/proc/stat")), (3, "left"));
    let row = rows.iter().find(|row| row["path"] == "/proc/stat").unwrap();
    assert_eq!(row["why"], "the mount has no such file now");
    resident.go_on();
}

#[test]
fn the_table_for_people() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let script = script("mount --bind $M/proc/stat /proc/stat", "true");
    let resident = Resident::new(unshared(&mounted, "-m", &script));
    die_and_mount(&mut mounted);
    let pid = resident.pid().to_string();
    let root = mounted.root();
    let args = ["repair", "--mount", root.to_str().unwrap(), "--pid", &pid];
    let output = vistafs(&args);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("CONTAINER "), "{text}");
    assert!(
        text.lines()
            .any(|l| l.contains("/proc/stat") && l.ends_with("repaired")),
        "{text}"
    );
    let text = String::from_utf8(vistafs(&args).stdout).unwrap();
    assert!(!text.contains("/proc/stat"), "{text}");
    resident.go_on();
}

#[test]
fn without_a_live_mount_the_remedy_is_told() {
    require_privileged!();
    let _machine = machine();
    let refused = |mount: &Path| {
        let output = vistafs(&["repair", "--mount", mount.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let line = refused(Path::new("/no/such/dir"));
    assert!(line.contains("cannot open /no/such/dir"), "{line}");
    let line = refused(Path::new("/"));
    assert!(
        line.contains("/ is not a mount of vistafs (mount it first"),
        "{line}"
    );
    let mut mounted = Mounted::new();
    let line = refused(&mounted.path("proc"));
    assert!(
        line.contains("/proc is not a mount of vistafs") || line.is_empty(),
        "{line}"
    );
    mounted.die();
    let line = refused(&mounted.root());
    assert!(
        line.contains("is dead itself (mount it again first"),
        "{line}"
    );
    mounted.start(&MountOptions::default());
    let output = vistafs(&[
        "repair",
        "--pid",
        "0",
        "--mount",
        mounted.root().to_str().unwrap(),
    ]);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(line.starts_with("vistafs: no process 0"), "{line}");
}

/// A thread with a private mount namespace, in which a view is bound over /proc/uptime.
struct ThreadWithMounts {
    go_on: Sender<()>,
    thread: JoinHandle<std::io::Result<String>>,
}

impl ThreadWithMounts {
    fn new(view: PathBuf) -> Self {
        let (go_on, told) = channel();
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || {
            const UPTIME: &str = "/proc/uptime";
            let none = None::<&str>;
            unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).unwrap();
            mount(Some(&view), UPTIME, none, MsFlags::MS_BIND, none).unwrap();
            ready.send(()).unwrap();
            told.recv().unwrap();
            wait_until("the thread's view is repaired", || {
                std::fs::read(UPTIME).is_ok()
            });
            std::fs::read_to_string(UPTIME)
        });
        is_ready.recv().unwrap();
        Self { go_on, thread }
    }

    fn reads(self) -> String {
        self.go_on.send(()).unwrap();
        self.thread.join().unwrap().unwrap()
    }
}

#[test]
fn mounting_repairs() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(LIMIT * 1024);
    let resident = Resident::new(
        TestContainer::new(&mounted, &cgroup).command(&script("", "cat /proc/meminfo")),
    );
    let thread = ThreadWithMounts::new(mounted.path("proc/uptime"));
    die_and_mount(&mut mounted);
    let (rows, _) = repair(&mounted, &[&resident], &["--dry-run"]);
    assert_eq!(
        outcome(&rows, "/proc/meminfo"),
        "dead",
        "without its being asked for"
    );
    mounted.die();
    mounted.start(&MountOptions {
        repairs: true,
        ..MountOptions::default()
    });
    wait_until("the container is repaired", || {
        repair(&mounted, &[&resident], &["--dry-run"]).0.is_empty()
    });
    assert_eq!(field(&resident.go_on(), "MemTotal:"), LIMIT);
    assert!(thread.reads().contains('.'));
    // The mounts do not pile up.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let at = format!(" {} ", mounted.root().display());
    assert_eq!(mounts.matches(&at).count(), 1, "{mounts}");
    let (_, messages) = mounted.end(nix::sys::signal::Signal::SIGTERM);
    assert!(
        messages.contains("unmounted the dead mount of vistafs at "),
        "{messages}"
    );
    assert!(
        messages.contains("dead views of running containers"),
        "{messages}"
    );
}

#[test]
fn a_dead_mount_of_somebody_else_is_not_unmounted() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let script = "exec 9<>/dev/fuse
         mount -i -t fuse.other -o fd=9,rootmode=40000,user_id=0,group_id=0 other \"$0\"
         exec 9>&-
         exec \"$VISTAFS\" mount \"$0\"";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-ec", script])
        .arg(dir.path())
        .env("VISTAFS", vistafs_tests::vistafs::binary())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(
        line.contains("is a dead FUSE mount (unmount it first: umount -l"),
        "{line}"
    );
}

#[test]
fn a_container_of_runc() {
    require_privileged!();
    require!(
        vistafs_tests::require::program("runc"),
        "needs runc (apt install runc)"
    );
    let _machine = machine();
    let mut mounted = Mounted::new();
    let mut bundle = Bundle::new(&script(
        "",
        "cat /proc/meminfo; cat /sys/devices/system/cpu/online",
    ));
    for view in ["proc/meminfo", "sys/devices/system/cpu"] {
        bundle.bind(&mounted.path(view), &format!("/{view}"), "ro");
    }
    let resident = Resident::new(bundle.command("runc"));
    die_and_mount(&mut mounted);
    // runc and its container are in different namespaces; which process is in which is up to runc.
    let pid = wait_for_init(&resident);
    let root = mounted.root();
    let args = ["repair", "--mount", root.to_str().unwrap(), "--pid", &pid];
    let text = printed(&vistafs(&args));
    // No others: containers of runc have no copies of the host's mounts.
    assert_eq!(text.matches("repaired").count(), 2, "{text}");
    let text = resident.go_on();
    assert_eq!(field(&text, "MemTotal:"), 128 * 1024, "{text}");
    assert!(text.ends_with("\n0\n"), "{text}");
}

/// The shell in the container: the newest process below runc.
fn wait_for_init(resident: &Resident) -> String {
    let children = |pid: u32| -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let texts = tasks.map(|task| {
            std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default()
        });
        texts
            .flat_map(|text| {
                let numbers: Vec<u32> = text.split(' ').filter_map(|n| n.parse().ok()).collect();
                numbers
            })
            .collect()
    };
    children(resident.child.id()).first().unwrap().to_string()
}
