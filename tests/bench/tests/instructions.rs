//! What one rendering of each view takes in this process: instructions, and how often it asks for memory.
//!
//! `instructions.toml` keeps the figures, and a rendering that has grown by more than a tenth fails. It is
//! meant: run it with `VISTAFS_ACCEPT=1`, and look at what changes in that file. Another compiler may
//! make other code; then as well.
//!
//! Instructions are counted by letting the program go step by step (ptrace(2)): they do not depend on
//! who else uses the machine, and unlike valgrind's they need nothing installed, and no emulation of
//! each system call that vistafs makes. What the kernel does is not counted. The captured hosts have no
//! epoch, so all of a text is read and understood each time.

#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the report"
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

const HOSTS: [&str; 2] = ["debian12-v1", "debian12-v2"];

const VIEWS: [&str; 7] = [
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/loadavg",
    "proc/meminfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
];

/// A copy that the processor repeats byte by byte is one instruction, but as many steps; and which copy
/// the C library takes depends on the processor.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX2_Usable,-ERMS,-FSRM";

/// More than any rendering takes.
const MOST: u64 = 20_000_000;

/// Of one rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    instructions: u64,
    allocations: u64,
}

/// By host and view.
type All = BTreeMap<String, BTreeMap<String, Figures>>;

fn bench() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn kept() -> PathBuf {
    bench().join("instructions.toml")
}

fn start(root: &Path, view: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_vistafs-bench"))
        .arg("render")
        .arg(root)
        .arg(view)
        .env("GLIBC_TUNABLES", TUNABLES)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Steps through it from its first stop to its second one.
fn measure(root: &Path, view: &str) -> Figures {
    let mut child = start(root, view);
    let pid = Pid::from_raw(child.id().cast_signed());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP), "{view}");
    ptrace::attach(pid).unwrap();
    let mut instructions = 0;
    loop {
        match waitpid(pid, None).unwrap() {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => instructions += 1,
            // The first stop again, told to who traces it.
            WaitStatus::Stopped(_, Signal::SIGSTOP) if instructions == 0 => {}
            WaitStatus::Stopped(_, Signal::SIGSTOP) => break,
            ended => panic!("{view}: {ended:?}"),
        }
        assert!(instructions < MOST, "{view} takes no end");
        ptrace::step(pid, None).unwrap();
    }
    ptrace::detach(pid, None).unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    let mut printed = String::new();
    let mut output = child.stdout.take().unwrap();
    output.read_to_string(&mut printed).unwrap();
    child.wait().unwrap();
    Figures {
        instructions,
        allocations: printed.trim().parse().unwrap(),
    }
}

fn measure_all() -> All {
    let fixtures = bench().parent().unwrap().join("fixtures");
    let mut all = All::new();
    for host in HOSTS {
        let root = fixtures.join(host);
        let of_host = VIEWS.map(|view| (view.to_owned(), measure(&root, view)));
        all.insert(host.to_owned(), of_host.into());
    }
    all
}

#[test]
fn no_rendering_takes_much_more_than_it_did() {
    let now = measure_all();
    if std::env::var_os("VISTAFS_ACCEPT").is_some() {
        std::fs::write(kept(), toml::to_string(&now).unwrap()).unwrap();
        return;
    }
    let before = std::fs::read_to_string(kept()).unwrap_or_default();
    let before: All = toml::from_str(&before).unwrap();
    let mut grown = Vec::new();
    for (host, views) in &now {
        for (view, now) in views {
            let kept = before.get(host).and_then(|views| views.get(view));
            let Some(kept) = kept else {
                grown.push(format!("{host}, {view} is new: {now:?}"));
                continue;
            };
            let most = kept.instructions + kept.instructions / 10;
            if now.instructions > most || now.allocations > kept.allocations {
                grown.push(format!("{host}, {view}: {now:?}, and it was {kept:?}"));
            }
        }
    }
    assert!(
        grown.is_empty(),
        "if it is meant, VISTAFS_ACCEPT=1: {grown:#?}"
    );
}
