//! Counts the instructions and allocations of one rendering of each view, and of one call of each
//! parser.
//!
//! `instructions.toml` has the expected values, and an increase of more than 10 % fails. If it is
//! intended, or the compiler has changed, run the test with `VISTAFS_ACCEPT=1` and review the diff
//! of that file.
//!
//! Instructions are counted by single-stepping the program (ptrace(2)). The counts do not depend on
//! other load, and unlike valgrind this needs no installation and no emulation of the system calls
//! of vistafs. Instructions of the kernel are not counted.
//!
//! A *cold* rendering reads all files again; a *warm* one uses the cached host files of an earlier
//! reader.

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
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use vistafs_bench::captured::fixtures;
use vistafs_bench::many_cpus;
use vistafs_bench::parsers::PARSERS;

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

/// A copy that the processor repeats byte by byte is one instruction but many steps; and the C
/// library selects its copy function by processor.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX2_Usable,-ERMS,-FSRM";

/// More instructions than any rendering has.
const MOST: u64 = 50_000_000;

/// Longer than v1's samples of CPU time, one tick each, are served again without a TTL.
const TICK: Duration = Duration::from_millis(20);

/// Counts of one rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    instructions: u64,
    allocations: u64,
}

/// By host and view.
type Views = BTreeMap<String, BTreeMap<String, Figures>>;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct All {
    cold: Views,
    warm: Views,
    parsers: BTreeMap<String, Figures>,
}

impl All {
    /// Returns all counts with their names.
    fn each(&self) -> BTreeMap<String, Figures> {
        let views = [("cold", &self.cold), ("warm", &self.warm)].into_iter();
        let views = views.flat_map(|(warmth, hosts)| {
            hosts.iter().flat_map(move |(host, views)| {
                let name = move |view| format!("{warmth}, {host}, {view}");
                views
                    .iter()
                    .map(move |(view, figures)| (name(view), *figures))
            })
        });
        let parsers = self.parsers.iter();
        let parsers = parsers.map(|(name, figures)| (format!("parser {name}"), *figures));
        views.chain(parsers).collect()
    }
}

fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

fn path(root: &Path) -> &str {
    root.to_str().unwrap()
}

/// Continues until the next stop; returns the number of instructions.
fn until_stopped(pid: Pid, what: &str) -> u64 {
    let mut instructions = 0;
    loop {
        ptrace::step(pid, None).unwrap();
        match waitpid(pid, None).unwrap() {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => instructions += 1,
            // The current stop, reported once more to the tracer.
            WaitStatus::Stopped(_, Signal::SIGSTOP) if instructions == 0 => {}
            WaitStatus::Stopped(_, Signal::SIGSTOP) => return instructions,
            ended => panic!("{what}: {ended:?}"),
        }
        assert!(instructions < MOST, "{what} takes no end");
    }
}

/// Counts for `vistafs-bench` with these arguments between its last two stops.
fn measure(args: &[&str]) -> Figures {
    let mut child: Child = Command::new(env!("CARGO_BIN_EXE_vistafs-bench"))
        .args(args)
        .env("GLIBC_TUNABLES", TUNABLES)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let what = args.join(" ");
    let pid = Pid::from_raw(child.id().cast_signed());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP), "{what}");
    ptrace::attach(pid).unwrap();
    // The first stop again, reported to the tracer.
    let stopped = waitpid(pid, None).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP), "{what}");
    if args.contains(&"--slowly") {
        until_stopped(pid, &what);
    }
    std::thread::sleep(TICK);
    let instructions = until_stopped(pid, &what);
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

/// Measures each case, several concurrently: most of the time is spent waiting for the kernel.
fn measure_each(all: &[Vec<&str>]) -> Vec<Figures> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let figures = Mutex::new(vec![None; all.len()]);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(args) = all.get(at) else {
                        return;
                    };
                    let measured = measure(args);
                    figures.lock().unwrap()[at] = Some(measured);
                }
            });
        }
    });
    let figures = figures.into_inner().unwrap();
    figures.into_iter().map(Option::unwrap).collect()
}

fn measure_all() -> All {
    let roots = HOSTS.map(|host| fixtures().join(host));
    let mut args = Vec::new();
    for root in &roots {
        for warmth in [None, Some("--warm")] {
            args.extend(VIEWS.map(|view| {
                let slowly = (view == "proc/stat").then_some("--slowly");
                let render = ["render", path(root), view].into_iter();
                render.chain(warmth).chain(slowly).collect::<Vec<_>>()
            }));
        }
    }
    args.extend(PARSERS.iter().map(|parser| vec!["parse", parser.name]));
    let mut figures = measure_each(&args).into_iter();
    let mut all = All::default();
    for host in HOSTS {
        for views in [&mut all.cold, &mut all.warm] {
            let of_host = VIEWS.iter().zip(&mut figures);
            let of_host = of_host.map(|(view, figures)| ((*view).to_owned(), figures));
            views.insert(host.to_owned(), of_host.collect());
        }
    }
    let parsers = PARSERS.iter().map(|parser| parser.name.to_owned());
    all.parsers = parsers.zip(figures).collect();
    all
}

#[test]
fn nothing_takes_much_more_than_it_did() {
    let now = measure_all();
    if std::env::var_os("VISTAFS_ACCEPT").is_some() {
        std::fs::write(kept(), toml::to_string(&now).unwrap()).unwrap();
        return;
    }
    let before = std::fs::read_to_string(kept()).unwrap_or_default();
    let before: All = toml::from_str(&before).unwrap();
    let before = before.each();
    let mut more = grown(&before, &now);
    if !more.is_empty() {
        // A preemption of some ms makes a warm rendering cold.
        let again = grown(&before, &measure_all());
        more.retain(|name, _| again.contains_key(name));
    }
    assert!(
        more.is_empty(),
        "if it is meant, VISTAFS_ACCEPT=1: {more:#?}"
    );
}

/// Returns the cases whose counts have grown, by name.
fn grown(before: &BTreeMap<String, Figures>, now: &All) -> BTreeMap<String, String> {
    let told = |name: &str, now: Figures| {
        let Some(kept) = before.get(name) else {
            return Some(format!("{now:?}, and it is new"));
        };
        let most = kept.instructions + kept.instructions / 10;
        (now.instructions > most || now.allocations > kept.allocations)
            .then(|| format!("{now:?}, and it was {kept:?}"))
    };
    let each = now.each().into_iter();
    each.filter_map(|(name, now)| told(&name, now).map(|told| (name, told)))
        .collect()
}

/// A rendering needs as many instructions per CPU for 512 CPUs as for 64, at most. `cpus.rs`
/// compares views that copy the host's lines by time.
#[test]
fn many_cpus_take_no_more_instructions_than_their_number() {
    const VIEW: &str = "proc/uptime";
    let directory = tempfile::tempdir().unwrap();
    let mut args = Vec::new();
    let roots = HOSTS.map(|host| {
        [2, 64, 512].map(|cpus| {
            let root = directory.path().join(format!("{host}-{cpus}"));
            many_cpus::make(&fixtures().join(host), &root, cpus).unwrap();
            root
        })
    });
    for root in roots.iter().flatten() {
        args.push(vec!["render", path(root), VIEW, "--warm"]);
    }
    let figures = measure_each(&args);
    for (host, figures) in HOSTS.iter().zip(figures.chunks(3)) {
        let [few, some, many] = [0, 1, 2].map(|at: usize| figures[at].instructions);
        let each = (some - few).div_ceil(62);
        let each_of_many = (many - few).div_ceil(510);
        println!("{host}, {VIEW}: {each} for each of 64 CPUs, {each_of_many} of 512");
        assert!(
            each_of_many <= each + each / 10,
            "{host}, {VIEW}: {each_of_many} for each of 512 CPUs, and {each} for each of 64"
        );
    }
}
