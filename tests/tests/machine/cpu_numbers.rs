//! The CPU numbers of the kernel, compared with those shown to a container: no thread runs on a CPU that a
//! program could not have allocated memory for.

use std::process::Command;

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require::program;
use vistafs_tests::vistafs::{MountOptions, Mounted, printed};
use vistafs_tests::{require, require_privileged};

/// Per-CPU memory like that of tcmalloc, jemalloc and BPF programs: one item for each CPU of `possible`,
/// indexed by the number that the kernel reports to the thread (rseq). Prints the number of items and the
/// highest number seen.
const PER_CPU_MEMORY: &str = "exec python3 -c '
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
possible = open(\"/sys/devices/system/cpu/possible\").read().strip()
room = 1 + int(possible.replace(\"-\", \",\").split(\",\")[-1])
configured = os.sysconf(\"SC_NPROCESSORS_CONF\")
mask = (ctypes.c_ulong * ((configured + 63) // 64))()
assert libc.sched_getaffinity(0, ctypes.sizeof(mask), mask) == 0, ctypes.get_errno()
memory = mmap.mmap(-1, room * 4096)
met = set()
for cpu in os.sched_getaffinity(0):
    os.sched_setaffinity(0, {cpu})
    now = libc.sched_getcpu()
    memory[now * 4096] = 1
    met.add(now)
    assert now < configured, (now, configured)
    assert os.path.isdir(\"/sys/devices/system/cpu/cpu%d\" % now)
print(room, max(met))
'";

fn mounted(config: &str) -> Mounted {
    Mounted::with(&MountOptions {
        config: config.into(),
        ..MountOptions::default()
    })
}

fn host_list(name: &str) -> String {
    std::fs::read_to_string(format!("/sys/devices/system/cpu/{name}")).unwrap()
}

/// The number of CPUs in a list.
fn count(list: &str) -> usize {
    let numbers = |part: &str| -> usize {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1
    };
    let parts = list.trim().split(',').filter(|part| !part.is_empty());
    parts.map(numbers).sum()
}

#[test]
fn memory_per_possible_cpu_has_room_for_every_thread() {
    require_privileged!();
    require!(
        count(&host_list("online")) >= 2 && program("python3"),
        "needs 2 CPUs and python3 (apt install python3-minimal)"
    );
    let highest = host_list("online");
    let highest: usize = highest
        .trim()
        .rsplit(['-', ','])
        .next()
        .unwrap()
        .parse()
        .unwrap();
    for config in ["", "[cpus]\nrenumber = true\n"] {
        let mounted = mounted(config);
        let cgroup = TestCgroup::new();
        let run = || -> (usize, usize) {
            let text = TestContainer::new(&mounted, &cgroup).run(PER_CPU_MEMORY);
            let (room, met) = text.trim().split_once(' ').unwrap();
            (room.parse().unwrap(), met.parse().unwrap())
        };
        let room = count(&host_list("possible"));
        cgroup.limit_cpu(Some(100));
        assert_eq!(run(), (room, highest), "a quota of 1 CPU, {config}");
        cgroup.limit_cpu(None);
        cgroup.limit_cpus("1");
        assert_eq!(run(), (room, 1), "a cpuset of CPU 1, {config}");
    }
}

/// Tools that count online or present CPUs find the visible ones; tools that count possible CPUs find all.
#[test]
fn tools_distinguish_online_from_possible() {
    require_privileged!();
    let possible = count(&host_list("possible"));
    require!(
        count(&host_list("online")) >= 2 && possible == count(&host_list("online")),
        "needs 2 CPUs, all of them online"
    );
    let cpu = "cd /sys/devices/system/cpu;";
    let online = [
        ("getconf _NPROCESSORS_ONLN", 1),
        ("lscpu | sed -n 's/^CPU(s): *//p'", 1),
        ("lscpu -p=cpu | grep -vc '^#'", 1),
        ("lscpu -e=cpu | tail -n +2 | wc -l", 1),
        ("python3 -c 'import os; print(os.cpu_count())'", 1),
        ("cat cpu[0-9]*/online | grep -c 0", possible - 1),
        ("getconf _NPROCESSORS_CONF", possible),
        ("nproc --all", possible),
        ("ls -d cpu[0-9]* | wc -l", possible),
        ("ls -d cpu[0-9]*/topology | wc -l", 1),
    ];
    let mounted = mounted("");
    let cgroup = TestCgroup::new();
    for limit in ["quota", "cpuset"] {
        cgroup.limit_cpu((limit == "quota").then_some(100));
        cgroup.limit_cpus(if limit == "cpuset" { "1" } else { "0-1" });
        let container = TestContainer::new(&mounted, &cgroup);
        let script: Vec<String> = online.iter().map(|(s, _)| format!("{cpu} {s}")).collect();
        let text = container.run(&script.join("; "));
        let expected: Vec<String> = online.iter().map(|(_, n)| n.to_string()).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{limit}");
    }
}

/// A known side channel, which container runtimes mask as well. Most virtual machines lack it.
#[test]
fn thermal_throttling_is_not_shown() {
    require_privileged!();
    let counts = "ls -d /sys/devices/system/cpu/cpu[0-9]*/thermal_throttle 2>/dev/null | wc -l";
    let cgroup = TestCgroup::new();
    let hidden = mounted("");
    assert_eq!(TestContainer::new(&hidden, &cgroup).run(counts), "0\n");
    let shown = mounted("[view.sys-cpu]\nthermal_throttle = true\n");
    let host = Command::new("sh").args(["-c", counts]).output().unwrap();
    assert_eq!(
        TestContainer::new(&shown, &cgroup).run(counts),
        printed(&host)
    );
}
