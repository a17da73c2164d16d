//! Kernel files that are empty, truncated, negative, huge or not text.
//!
//! Each file that a view reads is corrupted in each way, in a copy of each captured host. The view then
//! renders something or fails. It never panics, and it never replaces a value that it could not read by the
//! host's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use vistafs_view::ViewError;

use crate::captured::{Captured, Facts, hosts, meminfo_field, tests_dir};
use crate::spoilt::{Spoilt, WAYS};

const MEMINFO: &str = "proc/meminfo";
const STAT: &str = "proc/stat";
const UPTIME: &str = "proc/uptime";
const LOADAVG: &str = "proc/loadavg";
const CPUINFO: &str = "proc/cpuinfo";
const CPU: &str = "sys/devices/system/cpu";
const NODE: &str = "sys/devices/system/node";
const ARCSTATS: &str = "proc/spl/kstat/zfs/arcstats";
const DISKSTATS: &str = "proc/diskstats";
const INTERRUPTS: &str = "proc/interrupts";
const PARTITIONS: &str = "proc/partitions";
const SCHEDSTAT: &str = "proc/schedstat";
const SLABINFO: &str = "proc/slabinfo";
const SOFTIRQS: &str = "proc/softirqs";
const SWAPS: &str = "proc/swaps";
const VMSTAT: &str = "proc/vmstat";
const ZONEINFO: &str = "proc/zoneinfo";

/// The views that show the visible CPUs, or count them.
const OF_CPUS: &[&str] = &[
    CPUINFO, STAT, UPTIME, CPU, NODE, INTERRUPTS, SCHEDSTAT, SOFTIRQS, ZONEINFO,
];

/// The views that show the container's memory, or whether a controller accounts it.
const OF_MEMORY: &[&str] = &[MEMINFO, NODE, SLABINFO, SWAPS, VMSTAT, ZONEINFO];

/// The views that show the memory usage and its statistics.
const OF_USAGE: &[&str] = &[MEMINFO, NODE, VMSTAT];
const OF_STATISTICS: &[&str] = &[MEMINFO, VMSTAT];

/// The views that show the container's swap, if the host has swap.
const OF_SWAP: &[&str] = &[MEMINFO, SWAPS];

/// The views of its block I/O.
const OF_IO: &[&str] = &[DISKSTATS, PARTITIONS];

/// (file, the views that must fail if it does not have the documented format).
///
/// The list of views is empty for a file whose unknown lines are skipped or copied, since a newer kernel may
/// add lines.
const FILES: &[(&str, &[&str])] = &[
    // v2
    ("memory.max", OF_MEMORY),
    ("memory.current", OF_USAGE),
    ("memory.stat", OF_STATISTICS),
    ("memory.swap.max", OF_SWAP),
    ("memory.swap.current", OF_SWAP),
    ("memory.events", &[]),
    ("memory.high", &[MEMINFO]),
    ("io.stat", OF_IO),
    ("cpu.max", OF_CPUS),
    ("cpuset.cpus.effective", OF_CPUS),
    ("cpu.pressure", &[]),
    ("memory.pressure", &[]),
    ("io.pressure", &[]),
    ("memory.numa_stat", &[]),
    ("cpuset.mems.effective", &[NODE]),
    // v1
    ("memory.limit_in_bytes", OF_MEMORY),
    ("memory.usage_in_bytes", OF_USAGE),
    ("memory.memsw.limit_in_bytes", OF_SWAP),
    ("memory.memsw.usage_in_bytes", OF_SWAP),
    ("memory.swappiness", OF_SWAP),
    ("memory.oom_control", &[]),
    ("memory.kmem.slabinfo", &[]),
    ("blkio.throttle.io_service_bytes_recursive", OF_IO),
    ("blkio.throttle.io_serviced_recursive", OF_IO),
    ("hugetlb.2MB.limit_in_bytes", &[MEMINFO, NODE]),
    ("cpuset.effective_cpus", OF_CPUS),
    ("cpuset.cpus", &[]),
    ("cpuset.effective_mems", &[NODE]),
    ("cpuset.mems", &[]),
    ("cpu.cfs_quota_us", OF_CPUS),
    ("cpu.cfs_period_us", &[]),
    ("cpuacct.usage_all", &[STAT, UPTIME]),
    ("cpuacct.usage_percpu", &[STAT, UPTIME]),
    // v1 and v2; the v1 file contains only the throttling counters.
    ("cpu.stat", &[]),
    // Missing threads count as zero threads.
    ("cgroup.threads", &[]),
    ("tasks", &[]),
];

/// The same for files of the host itself.
const HOST_FILES: &[(&str, &[&str])] = &[
    (MEMINFO, &[MEMINFO]),
    (DISKSTATS, &[DISKSTATS]),
    (INTERRUPTS, &[INTERRUPTS]),
    (PARTITIONS, &[PARTITIONS]),
    (SCHEDSTAT, &[SCHEDSTAT]),
    (SLABINFO, &[]),
    (ARCSTATS, &[ARCSTATS]),
    (SOFTIRQS, &[SOFTIRQS]),
    (SWAPS, &[]),
    (VMSTAT, &[VMSTAT]),
    (ZONEINFO, &[ZONEINFO]),
    (STAT, &[]),
    (CPUINFO, &[]),
    // Only its last process ID is used, to detect that thread IDs have wrapped around.
    (LOADAVG, &[]),
    ("sys/devices/system/cpu/online", OF_CPUS),
    ("sys/devices/system/cpu/possible", &[]),
    ("sys/devices/system/node/online", &[NODE]),
    ("sys/devices/system/node/node0/meminfo", &[]),
];

/// The result of rendering a view.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Text(Vec<u8>),
    Error,
    Panic,
}

impl From<Result<Vec<u8>, ViewError>> for Shown {
    fn from(shown: Result<Vec<u8>, ViewError>) -> Self {
        shown.map_or(Self::Error, Self::Text)
    }
}

/// A copy of a captured host whose files can be corrupted and restored.
struct Copy {
    dir: tempfile::TempDir,
    facts: Facts,
}

impl Copy {
    fn of(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fixture = tests_dir().join("fixtures").join(name);
        copy_all(&fixture, dir.path());
        Self {
            facts: Facts::read(&fixture),
            dir,
        }
    }

    /// The files called `name` in the container's cgroups and their ancestors.
    fn cgroup_files(&self, name: &str) -> Vec<PathBuf> {
        let cgroup = self.facts.cgroup.strip_prefix("/").unwrap();
        let levels: Vec<&Path> = cgroup
            .ancestors()
            .filter(|p| !p.as_os_str().is_empty())
            .collect();
        let top = self.dir.path().join("sys/fs/cgroup");
        let mounted = std::fs::read_dir(&top).unwrap().map(|e| e.unwrap().path());
        let tops = mounted.filter(|p| p.is_dir()).chain([top.clone()]);
        tops.flat_map(|top| levels.iter().map(move |level| top.join(level).join(name)))
            .filter(|path| path.is_file())
            .collect()
    }

    /// Every file that a view reads, and the views that must fail when it is corrupted.
    fn files(&self) -> Vec<(PathBuf, &'static [&'static str])> {
        let own = self.facts.cgroup.strip_prefix("/").unwrap();
        let meminfo = std::fs::read_to_string(self.dir.path().join(MEMINFO)).unwrap();
        let has_swap = meminfo_field(&meminfo, "SwapTotal") != Some(0);
        let mut all = Vec::new();
        for (name, must_fail) in FILES {
            let is_unused = *must_fail == OF_SWAP && !has_swap;
            let must_fail: &[_] = if is_unused { &[] } else { must_fail };
            for path in self.cgroup_files(name) {
                // Some files of ancestors are not read.
                let is_own = path.parent().unwrap().ends_with(own);
                all.push((path, if is_own { must_fail } else { &[] }));
            }
        }
        // Without the controller, the views show the host's text, whatever it contains.
        let is_there = |names: [&str; 2]| {
            let mut names = names.into_iter();
            names.any(|name| !self.cgroup_files(name).is_empty())
        };
        let limited = is_there(["memory.max", "memory.limit_in_bytes"]);
        let counted = is_there(["io.stat", "blkio.throttle.io_service_bytes_recursive"]);
        for (name, must_fail) in HOST_FILES {
            let passed_on = match *name {
                MEMINFO | VMSTAT => !limited,
                PARTITIONS => !counted,
                _ => false,
            };
            let must_fail = if passed_on { &[] } else { *must_fail };
            let path = self.dir.path().join(name);
            // Not every captured host has NUMA nodes.
            if path.exists() {
                all.push((path, must_fail));
            }
        }
        all
    }

    /// The contents of every view while `file` has this content, or while it is missing (`None`).
    fn shown_with(&self, file: &Path, content: Option<&[u8]>) -> Vec<(&'static str, Shown)> {
        let original = std::fs::read(file).unwrap();
        match content {
            Some(content) => std::fs::write(file, content).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        let all = self.shown();
        std::fs::write(file, original).unwrap();
        all
    }

    /// The contents of every view for the unchanged host.
    fn shown(&self) -> Vec<(&'static str, Shown)> {
        let host = Captured::of(self.dir.path(), self.facts.clone());
        let show = |view| {
            let shown = catch_unwind(AssertUnwindSafe(|| host.try_show(view)));
            (view, shown.map_or(Shown::Panic, Shown::from))
        };
        host.views().into_iter().map(show).collect()
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if let Ok(aim) = std::fs::read_link(&path) {
            // CPUs and nodes link to one another, and to files that were not captured.
            std::os::unix::fs::symlink(aim, &target).unwrap();
        } else if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_all(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Every file corrupted in every way: the view fails if it cannot parse the text.
#[test]
fn no_text_makes_a_view_panic_or_lie() {
    let ways = WAYS.into_iter().filter(|way| *way != Spoilt::LargestNumber);
    let wrong = spoil_everything(&ways.collect::<Vec<_>>());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Counters at the largest number: their sums overflow.
#[test]
fn no_number_makes_a_view_panic() {
    let wrong = spoil_everything(&[Spoilt::LargestNumber]);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Corrupts every file of every host in these ways, one at a time, and returns the failures.
fn spoil_everything(ways: &[Spoilt]) -> Vec<String> {
    let mut all_wrong = Vec::new();
    for name in hosts() {
        let copy = Copy::of(&name);
        for (path, must_fail) in copy.files() {
            let file = path.strip_prefix(copy.dir.path()).unwrap().display();
            let original = std::fs::read(&path).unwrap();
            for way in ways {
                for (view, shown) in copy.shown_with(&path, Some(&way.apply(&original))) {
                    let fails = way.is_unreadable() && must_fail.contains(&view);
                    let wrong = match shown {
                        Shown::Panic => "panics",
                        Shown::Text(_) if fails => "shows as if nothing were wrong",
                        Shown::Text(_) | Shown::Error => continue,
                    };
                    all_wrong.push(format!("{name}: {view} {wrong} with {file} {way:?}"));
                }
            }
        }
    }
    all_wrong
}

/// A limit that cannot be parsed is never taken for "no limit", at any level.
#[test]
fn an_unreadable_limit_is_an_error() {
    for name in hosts() {
        let copy = Copy::of(&name);
        for file in ["memory.max", "memory.limit_in_bytes"] {
            for path in copy.cgroup_files(file) {
                for way in WAYS.into_iter().filter(|way| way.is_unreadable()) {
                    let text = way.apply(&std::fs::read(&path).unwrap());
                    for (view, shown) in copy.shown_with(&path, Some(&text)) {
                        assert!(view != MEMINFO || shown == Shown::Error, "{name}: {way:?}");
                    }
                }
            }
        }
    }
}

/// A missing limit file means no limit, and the view does not fail.
#[test]
fn a_missing_limit_is_no_limit() {
    for name in hosts() {
        let copy = Copy::of(&name);
        let shows_nothing = |shown: &(_, Shown)| shown.1 == Shown::Error;
        let without: Vec<_> = copy.shown().iter().map(shows_nothing).collect();
        for file in [
            "memory.max",
            "cpu.max",
            "cpuset.cpus.effective",
            "cpu.cfs_quota_us",
        ] {
            for path in copy.cgroup_files(file) {
                for ((view, shown), without) in copy.shown_with(&path, None).iter().zip(&without) {
                    let is_text = matches!(shown, Shown::Text(_));
                    assert!(is_text || *without, "{name}: {view} without {file}");
                }
            }
        }
    }
}

/// The limit of an ancestor applies if the container has no such file.
#[test]
fn an_ancestor_limits_a_container_without_files() {
    for name in hosts() {
        let copy = Copy::of(&name);
        let files = copy.cgroup_files("memory.max");
        let [own, parent] = &files[..] else {
            continue;
        };
        let Ok(limit) = std::fs::read_to_string(parent)
            .unwrap()
            .trim()
            .parse::<u64>()
        else {
            continue;
        };
        for (view, shown) in copy.shown_with(own, None) {
            if let (MEMINFO, Shown::Text(text)) = (view, shown) {
                let text = String::from_utf8(text).unwrap();
                assert_eq!(
                    meminfo_field(&text, "MemTotal"),
                    Some(limit / 1024),
                    "{name}"
                );
            }
        }
    }
}
