//! Edge cases: a view that cannot show a true value fails.

use vistafs_cgroup::{Hierarchies, Version};

use crate::captured::{Captured, cpu_lines, meminfo_field};
use crate::made_up::{Layout, MadeUp};

const MEMINFO: &str = "proc/meminfo";
const STAT: &str = "proc/stat";
const UPTIME: &str = "proc/uptime";
const LOADAVG: &str = "proc/loadavg";
const CPUINFO: &str = "proc/cpuinfo";
const ONLINE: &str = "sys/devices/system/cpu/online";

const MIB: u64 = 1 << 20;

/// A container with 256 MiB and 1 s of CPU time, 100 s old.
fn usual() -> MadeUp {
    let mut host = MadeUp::new("/box/app");
    host.set(
        Layout::V2,
        "box/app",
        "memory.max",
        &format!("{}\n", 256 * MIB),
    );
    set_cpu_stat(&mut host, "user_usec 600000\nsystem_usec 400000\n");
    host
}

fn set_cpu_stat(host: &mut MadeUp, text: &str) {
    host.set(Layout::V2, "box/app", "cpu.stat", text);
}

#[track_caller]
fn assert_fail(host: &Captured, views: &[&str]) {
    for view in views {
        if let Ok(text) = host.try_show(view) {
            panic!("{view} shows\n{}", String::from_utf8_lossy(&text));
        }
    }
}

/// The columns of the `cpu` line.
fn sum(host: &Captured) -> Vec<u64> {
    cpu_lines(&host.show(STAT)).remove(0).1
}

/// The reader itself runs on a CPU: a host without CPUs means that a text was misread.
#[test]
fn a_host_without_cpus_is_an_error() {
    let host = usual();
    host.write(ONLINE, "\n");
    assert_fail(&host.open(), &[ONLINE, CPUINFO, STAT, UPTIME]);
}

/// Without the host's memory size, the container's share is unknown.
#[test]
fn a_host_without_memory_is_an_error() {
    for text in ["", "MemFree:          163 kB\n", "MemTotal:       163"] {
        let host = usual();
        host.write(MEMINFO, text);
        assert_fail(&host.open(), &[MEMINFO]);
    }
}

/// ps(1) would show that every process started in 1970.
#[test]
fn a_boot_time_that_cannot_be_read_is_an_error() {
    let host = usual();
    host.write(STAT, "cpu  1 1 1 1\ncpu0 1 1 1 1\nbtime soon\n");
    assert_fail(&host.open(), &[STAT]);
}

/// The kernel always prints both; without them a busy container would be shown as idle.
#[test]
fn cpu_time_that_is_not_told_is_an_error() {
    for text in [
        "",
        "usage_usec 1000000\n",
        "usage_usec 1000000\nuser_usec 6",
    ] {
        let mut host = usual();
        set_cpu_stat(&mut host, text);
        assert_fail(&host.open(), &[STAT, UPTIME]);
    }
}

/// A removed container is shown neither the host's values nor its parent's.
#[test]
fn a_removed_cgroup_is_an_error() {
    for parent_limited in [false, true] {
        let mut host = usual();
        host.set(Layout::V2, "box", "cgroup.procs", "");
        if parent_limited {
            host.set(Layout::V2, "box", "memory.max", &format!("{}\n", 512 * MIB));
            host.set(Layout::V2, "box", "cpu.max", "100000 100000\n");
            host.set(Layout::V2, "box", "cpuset.cpus.effective", "0-3\n");
        }
        let host = host.open();
        let cgroup = host.root.join("sys/fs/cgroup/unified/box/app");
        std::fs::remove_dir_all(cgroup).unwrap();
        assert_fail(&host, &[MEMINFO, STAT, UPTIME, LOADAVG]);
    }
}

/// Without a file in the container's cgroup, the ancestor's limit applies, on v1 and on v2.
#[test]
fn an_ancestor_s_v1_limit_holds_alone() {
    let mut host = MadeUp::new("/box/app");
    let limit = format!("{}\n", 256 * MIB);
    host.set(Layout::V1, "box", "memory.limit_in_bytes", &limit);
    let text = host.open().show(MEMINFO);
    assert_eq!(meminfo_field(&text, "MemTotal"), Some(256 * 1024));
}

/// The kernel samples nice time by ticks and accounts the total exactly: the part may exceed the whole.
#[test]
fn nice_time_is_part_of_the_user_time() {
    let mut host = usual();
    set_cpu_stat(
        &mut host,
        "user_usec 3000000\nsystem_usec 0\nnice_usec 3200000\n",
    );
    let sum = sum(&host.open());
    assert_eq!(sum[0] + sum[1], 300, "{sum:?}");
}

/// The cgroup may have used CPU time before the container started. After that, idle time grows as usual.
#[test]
fn work_before_the_start_is_not_owed() {
    let mut made_up = usual();
    made_up.facts.start_ticks = 9900;
    set_cpu_stat(&mut made_up, "user_usec 500000000\nsystem_usec 0\n");
    let mut host = made_up.open();
    let before = sum(&host);
    made_up.facts.boottime_ns += 10_000_000_000;
    host.host = made_up.open().host;
    let after = sum(&host);
    assert_eq!(after[0], before[0]);
    assert_eq!(after[3] - before[3], 4 * 1000, "{before:?} {after:?}");
}

/// If a container moves to another cgroup, or its v1 counter is reset, counting restarts.
#[test]
fn counters_that_begin_anew_are_followed() {
    let mut made_up = usual();
    set_cpu_stat(&mut made_up, "user_usec 50000000\nsystem_usec 0\n");
    let host = made_up.open();
    let used = |made_up: &mut MadeUp, seconds: u64| {
        set_cpu_stat(
            made_up,
            &format!("user_usec {seconds}000000\nsystem_usec 0\n"),
        );
        sum(&host)[0]
    };
    assert_eq!(used(&mut made_up, 50), 5000);
    assert_eq!(used(&mut made_up, 1), 5000);
    assert_eq!(used(&mut made_up, 3), 5200);
}

/// Threads in descendant cgroups belong to the container, and the newest thread may be among them.
#[test]
fn threads_of_all_cgroups_below_are_counted() {
    let mut host = MadeUp::new("/box/app");
    // So old that the averages have converged to the count.
    host.facts.boottime_ns = 86_400_000_000_000;
    for (cgroup, tid, state) in [
        ("box/app", 150, 'R'),
        ("box/app/a", 180, 'D'),
        ("box/app/a/b", 160, 'S'),
        ("box/other", 190, 'R'),
    ] {
        host.set(Layout::V2, cgroup, "cgroup.threads", &format!("{tid}\n"));
        host.set_thread(tid, state, tid - 100);
    }
    assert_eq!(host.open().show(LOADAVG), "2.00 2.00 2.00 1/3 80\n");
}

/// A container without its own cgroup in a hierarchy shares one with other processes there.
#[test]
fn a_cgroup_that_is_shared_does_not_count() {
    let host = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = host.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let mut mounts = String::new();
    for (number, controller, cgroup, tasks) in [
        (30, "pids", "/a/long/slice", "7\n8\n9\n"),
        (31, "memory", "/box", "8\n"),
        (32, "devices", "/", "7\n8\n9\n10\n"),
    ] {
        mounts +=
            &format!("{number} 1 0:{number} / /{controller} rw - cgroup cgroup rw,{controller}\n");
        write(&format!("{controller}{cgroup}/tasks"), tasks);
        write(&format!("{controller}/tasks"), "7\n8\n9\n10\n");
    }
    let all = Hierarchies::discover(mounts.as_bytes(), host.path()).unwrap();
    let memberships = b"3:pids:/a/long/slice\n2:memory:/box\n1:devices:/\n";
    let tasks = all.locate_process(memberships).unwrap().tasks().unwrap();
    let mut found = Vec::new();
    let add = &mut |tids: &[u32], _| found.extend_from_slice(tids);
    tasks.threads(add).unwrap();
    assert_eq!(found, [8]);
}

/// Superblock options that a security module adds are not controllers.
#[test]
fn security_labels_are_no_controllers() {
    let tmp = tempfile::tempdir().unwrap();
    std::fs::create_dir(tmp.path().join("memory")).unwrap();
    for labels in ["seclabel,", "context=system_u:object_r:cgroup_t:s0,"] {
        let text = format!("31 1 0:31 / /memory rw - cgroup cgroup rw,{labels}memory\n");
        let all = Hierarchies::discover(text.as_bytes(), tmp.path()).unwrap();
        let names: Vec<_> = all.all().iter().map(|h| h.name()).collect();
        assert_eq!(names, ["memory"]);
        assert_eq!(all.version_of("memory"), Some(Version::V1));
        assert_eq!(all.version_of("seclabel"), None);
    }
}
