//! An upgrade from the previous release. This test program plays that release: it mounts, saves its state,
//! and hands everything over in the previous formats.
//!
//! The formats that an upgrade gets from another release are frozen here: messages between supervisor and
//! worker, the supervisor's state, and layout 1.0 of the shared memory. Never change them: they are in use on
//! running machines. When a format gets a new version, add a test that starts from the last version here.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::mount::MsFlags;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use serde_json::{Value, json};
use tempfile::TempDir;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::require_privileged;
use vistafs_tests::stop_at_end::StopAtEnd;
use vistafs_tests::vistafs::{binary, children, copy_program, printed, vistafs, wait_until};

use crate::outlives::{Reads, read_for_ever};

/// The directory of a mount: a process with this variable plays the previous release.
const PLAYS: &str = "VISTAFS_TEST_RELEASE_BEFORE";

/// The bytes of a container's record, and of the memory then.
const RECORD: u64 = 4096;
const LENGTH: u64 = 37_270_528 + 4096 * 6 * (16 + 2 * (32 + RECORD));
/// "vistafsh".
const MAGIC: u64 = 0x6873_6661_7473_6976;

/// The previous release, while it runs.
struct Before {
    dir: PathBuf,
    device: OwnedFd,
    memory: OwnedFd,
    init: Vec<u8>,
}

struct Worker {
    child: Child,
    link: OwnedFd,
}

/// Makes the descriptor inheritable.
fn keep(descriptor: impl AsFd) {
    fcntl_setfd(descriptor, FdFlags::empty()).unwrap();
}

fn memory() -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("vistafs-handover", flags).unwrap();
    rustix::fs::ftruncate(&memory, LENGTH).unwrap();
    for (at, word) in [(0, MAGIC), (8, 1 << 32), (24, RECORD)] {
        rustix::io::pwrite(&memory, &u64::to_le_bytes(word), at).unwrap();
    }
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&memory, seals).unwrap();
    memory
}

impl Before {
    fn mount(dir: PathBuf) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let mut device = device.unwrap();
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let (kind, options) = (Some("fuse.vistafs"), Some(options.as_str()));
        nix::mount::mount(Some("vistafs"), &dir.join("m"), kind, flags, options).unwrap();
        let mut init = vec![0; 1 << 17];
        let length = device.read(&mut init).unwrap();
        init.truncate(length);
        let memory = memory();
        keep(&device);
        keep(&memory);
        Self {
            dir,
            device: device.into(),
            memory,
            init,
        }
    }

    fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    fn start(&self, program: &Path, generation: u32) -> Worker {
        let (domain, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let pair = rustix::net::socketpair(domain, kind, SocketFlags::CLOEXEC, None);
        let (link, theirs) = pair.unwrap();
        keep(&theirs);
        let number = |descriptor: BorrowedFd<'_>| descriptor.as_raw_fd().to_string();
        let child = Command::new(program)
            .arg("--config")
            .arg(self.config())
            .args(["worker", "--device", &number(self.device.as_fd())])
            .args(["--link", &number(theirs.as_fd())])
            .args(["--handover", &number(self.memory.as_fd())])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let worker = Worker { child, link };
        worker.say(&json!({
            "say": "prepare",
            "generation": generation,
            "put_aside": [],
            "supervision": {
                "pid": std::process::id(),
                "since": 1_700_000_000,
                "restarts": { "killed by SIGSEGV": 1 },
            },
        }));
        worker
    }

    /// Executes the other program in this process.
    fn become_the_next(self, program: &Path, worker: &Worker) -> ! {
        let device = std::fs::metadata(self.dir.join("m")).unwrap().dev();
        let text = |path: &Path| json!({ "Unix": path.as_os_str().as_bytes() });
        let state = json!({
            "version": 1,
            "mount_point": text(&self.dir.join("m")),
            "device": [rustix::fs::major(device), rustix::fs::minor(device)],
            "since": 1_700_000_000,
            "init": self.init,
            "answered": true,
            "generation": 2,
            "crashes": 1,
            "ends": [{ "at": 1_700_000_009, "pid": 12, "why": "killed by SIGSEGV" }],
            "reasons": { "killed by SIGSEGV": 1 },
            "put_aside": [],
            "suspects": { "views": ["stat"], "times": 1, "at": 1_700_000_009 },
            "handed": {
                "program": text(program),
                "device": self.device.as_raw_fd(),
                "worker": {
                    "pid": worker.child.id(),
                    "link": worker.link.as_raw_fd(),
                    "since": 1_700_000_010,
                    "generation": 2,
                    "stuck_seconds": 10,
                },
                "handover": self.memory.as_raw_fd(),
            },
        });
        let file = rustix::fs::memfd_create("vistafs-state", MemfdFlags::empty()).unwrap();
        let state = state.to_string();
        assert_eq!(rustix::io::write(&file, state.as_bytes()), Ok(state.len()));
        keep(&worker.link);
        let resume = format!("{}:{}", std::process::id(), file.as_raw_fd());
        let error = Command::new(program)
            .arg("mount")
            .arg(self.dir.join("m"))
            .arg("--config")
            .arg(self.config())
            .arg("--no-repair")
            .env("VISTAFS_RESUME", resume)
            .exec();
        panic!("{error}");
    }
}

impl Worker {
    fn say(&self, word: &Value) {
        let text = word.to_string();
        rustix::net::send(&self.link, text.as_bytes(), SendFlags::empty()).unwrap();
    }

    fn hear(&self) -> Value {
        let mut text = vec![0; 1 << 16];
        let (length, _) = rustix::net::recv(&self.link, &mut text[..], RecvFlags::empty()).unwrap();
        serde_json::from_slice(&text[..length]).unwrap()
    }

    fn serve(&self, init: &[u8]) {
        self.say(&json!({ "say": "serve", "init": init, "redo": false }));
        assert_eq!(self.hear()["say"], "answered");
        assert_eq!(self.hear()["say"], "ready");
    }

    fn leave(mut self) {
        self.say(&json!({ "say": "leave" }));
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

/// Plays the previous release, controlled by standard input.
fn play(dir: PathBuf) -> ! {
    let program = dir.join("vistafs");
    let before = Before::mount(dir);
    let first = before.start(&binary(), 1);
    assert_eq!(first.hear()["say"], "prepared");
    first.serve(&before.init);
    println!("serves");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    if line == "of layout 3\n" {
        rustix::io::pwrite(&before.memory, &u64::to_le_bytes(3 << 32), 8).unwrap();
    }
    let second = before.start(&program, 2);
    let word = second.hear();
    if word["say"] == "prepared" {
        first.leave();
        second.serve(&before.init);
        before.become_the_next(&program, &second);
    }
    println!("{word}");
    std::io::stdin().read_line(&mut line).unwrap();
    first.leave();
    std::process::exit(0);
}

/// Its process and its mount; the process runs the calling test again.
struct Played {
    dir: TempDir,
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Played {
    fn new(test: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("m")).unwrap();
        std::fs::write(dir.path().join("config.toml"), "").unwrap();
        copy_program(&binary(), &dir.path().join("vistafs"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([&format!("release_before::{test}"), "--exact", "--nocapture"])
            .env(PLAYS, dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        let mut played = Self { dir, child, says };
        let _ = played.hear("serves");
        played
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join("m").join(below)
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    /// Returns the next line that contains `what`.
    fn hear(&mut self, what: &str) -> String {
        let line = self.says.by_ref().lines().map(Result::unwrap);
        line.into_iter()
            .find(|line| line.contains(what))
            .unwrap_or_else(|| panic!("it has ended without {what:?}"))
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.path(""), nix::mount::MntFlags::MNT_DETACH);
        if std::thread::panicking() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// The first line of stat: a container's CPU time, which never decreases.
fn cpu_time(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().next().unwrap().split_whitespace();
    line.filter_map(|n| n.parse::<u64>().ok()).sum()
}

/// Runs readers during `change`.
fn under_load(played: &mut Played, change: impl FnOnce(&mut Played, &dyn Fn())) {
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 << 20);
    let mut script = cgroup.join_script();
    script.extend_from_slice(b"while [ $((i += 1)) -lt 300000 ]; do :; done; exec sleep 1000");
    let mut resident = Command::new("sh")
        .arg("-c")
        .arg(OsString::from_vec(script))
        .spawn()
        .unwrap();
    let names = ["cpuinfo", "loadavg", "meminfo", "stat", "swaps", "uptime"];
    let paths = |below: &str| names.map(|name| played.path(below).join(name));
    let (on_host, in_container) = (paths("proc"), paths(&cgroup.address("proc")));
    wait_until("it has used some CPU time", || {
        cpu_time(&in_container[3]) > 10
    });
    let time = cpu_time(&in_container[3]);
    let (stop, reads) = (AtomicBool::new(false), Reads::default());
    std::thread::scope(|scope| {
        let (stop, reads) = (&stop, &reads);
        for (paths, total) in [
            (&on_host, "MemTotal:"),
            (&in_container, "MemTotal:          65536 kB"),
        ] {
            for kept in [false, true] {
                scope.spawn(move || {
                    let _stop = StopAtEnd(stop);
                    read_for_ever((paths, total), kept, stop, reads);
                });
            }
        }
        let _stop = StopAtEnd(stop);
        let go_on = || {
            let seen = reads.so_far();
            wait_until("readers go on", || {
                reads.so_far() > seen + 24 || stop.load(Ordering::Relaxed)
            });
            assert!(!stop.load(Ordering::Relaxed), "a reader has failed");
        };
        go_on();
        change(played, &go_on);
    });
    assert!(cpu_time(&in_container[3]) >= time);
    cgroup.kill();
    resident.wait().unwrap();
}

#[test]
fn an_upgrade_from_it_is_not_noticed() {
    if let Some(dir) = std::env::var_os(PLAYS) {
        play(dir.into());
    }
    require_privileged!();
    let mut played = Played::new("an_upgrade_from_it_is_not_noticed");
    let root = played.path("");
    let root = root.to_str().unwrap().trim_end_matches('/').to_owned();
    let pid = played.child.id();
    under_load(&mut played, |played, go_on| {
        played.tell("upgrade");
        let program = played.dir.path().join("vistafs");
        let executed = format!("/proc/{pid}/exe");
        wait_until("it is the next program", || {
            // For an instant the process has no program.
            std::fs::read_link(&executed).is_ok_and(|executed| executed == program)
        });
        go_on();
        let status = || -> Value {
            let status = printed(&vistafs(&["status", "--json", "--mount", &root]));
            serde_json::from_str(&status).unwrap()
        };
        wait_until("it answers", || {
            let status = vistafs(&["status", "--mount", &root]).status;
            status.success()
        });
        let told = status();
        assert_eq!(told["supervisor"]["pid"], pid, "{told}");
        assert_eq!(told["restarts"], json!({ "killed by SIGSEGV": 1 }));
        // It supervises the mount, with the previous layout of the memory.
        let worker = children(pid)[0];
        assert_eq!(told["worker"]["pid"], worker, "{told}");
        kill(Pid::from_raw(worker.cast_signed()), Signal::SIGKILL).unwrap();
        wait_until("another worker serves", || children(pid) != [worker]);
        go_on();
        let _ = printed(&vistafs(&["upgrade", "--mount", &root]));
        go_on();
        let restarts = json!({ "killed by SIGSEGV": 1, "killed by SIGKILL": 1 });
        assert_eq!(status()["restarts"], restarts, "what it knew is known");
    });
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).unwrap();
    let status = played.child.wait().unwrap();
    assert!(status.success(), "{status}");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&root), "{mounts}");
}

/// A program that does not support the memory layout does not take over; an upgrade to it fails.
#[test]
fn memory_of_a_layout_that_is_not_known_is_left_to_who_knows_it() {
    if let Some(dir) = std::env::var_os(PLAYS) {
        play(dir.into());
    }
    require_privileged!();
    let mut played = Played::new("memory_of_a_layout_that_is_not_known_is_left_to_who_knows_it");
    under_load(&mut played, |played, go_on| {
        played.tell("of layout 3");
        let word = played.hear("\"say\"");
        assert!(
            word.contains("\"failed\"")
                && word.contains("layout 3, this vistafs knows layouts up to 2"),
            "{word}"
        );
        go_on();
    });
    played.tell("end");
    let status = played.child.wait().unwrap();
    assert!(status.success(), "{status}");
}
