//! The contents of the views, compared with common tools.

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::vistafs::{MountOptions, Mounted};
use vistafs_tests::{require, require_privileged};

const MIB: u64 = 1 << 20;

#[test]
fn free_shows_the_limit() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(256 * MIB);
    let text = TestContainer::new(&mounted, &cgroup).run("free -k");
    let mem: Vec<u64> = text
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|n| n.parse().unwrap())
        .collect();
    let (total, used, free, available) = (mem[0], mem[1], mem[2], mem[5]);
    assert_eq!(total, 256 * 1024);
    assert!(used + free <= total && available <= total, "{text}");
    assert!(used < 64 * 1024, "{text}");
}

#[test]
fn memory_that_is_used_is_seen() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(256 * MIB);
    // 64 MiB of page cache in a tmpfs count as shared memory.
    let script = "cat /proc/meminfo; mount -t tmpfs none /mnt; head -c 64M /dev/zero > /mnt/f; \
                  sleep 3; cat /proc/meminfo; umount /mnt";
    let text = TestContainer::new(&mounted, &cgroup).run(script);
    let (before, after) = text.split_at(text.rfind("MemTotal:").unwrap());
    let grown = |key: &str| field(after, key).saturating_sub(field(before, key));
    let fallen = |key: &str| field(before, key).saturating_sub(field(after, key));
    let expected = 60 * 1024..80 * 1024;
    assert!(expected.contains(&grown("Shmem:")), "{text}");
    assert!(expected.contains(&grown("Cached:")), "{text}");
    assert!(expected.contains(&fallen("MemFree:")), "{text}");
    assert!(expected.contains(&fallen("MemAvailable:")), "{text}");
}

/// The first line of vmstat covers the time since boot. The kernel counts interrupts and context switches for
/// the host alone, so both columns are 0.
#[test]
fn vmstat_shows_no_host_counters_since_boot() {
    require_privileged!();
    let cgroup = TestCgroup::new();
    let script = "vmstat | tail -n 1; cat /proc/stat";
    let (interrupts, switches) = (10, 11);
    let of = |config: &str| -> (Vec<u64>, String) {
        let mounted = Mounted::with(&MountOptions {
            config: config.into(),
            ..MountOptions::default()
        });
        let text = TestContainer::new(&mounted, &cgroup).run(script);
        let (line, stat) = text.split_once('\n').unwrap();
        let columns = line.split_whitespace().map(|word| word.parse().unwrap());
        (columns.collect(), stat.to_owned())
    };
    let (columns, stat) = of("");
    assert_eq!((columns[interrupts], columns[switches]), (0, 0), "{stat}");
    for key in ["intr ", "ctxt ", "processes ", "softirq "] {
        assert_eq!(field(&stat, key), 0, "{stat}");
    }
    let (columns, stat) = of("[view.stat]\nhost_counters = true\n");
    assert!(columns[interrupts] > 0 && columns[switches] > 0, "{stat}");
    assert!(field(&stat, "processes ") > 0, "{stat}");
}

#[test]
fn every_counter_of_cpus_agrees() {
    require_privileged!();
    let cpus = std::thread::available_parallelism().unwrap().get();
    require!(cpus >= 2, "needs 2 CPUs");
    let mounted = Mounted::new();
    let script = "getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo; grep -c '^cpu[0-9]' /proc/stat; \
                  lscpu -p=cpu | grep -vc '^#'; python3 -c 'import os; print(os.cpu_count())'";
    let count = |cgroup: &TestCgroup| -> Vec<String> {
        let text = TestContainer::new(&mounted, cgroup).run(script);
        text.lines().map(str::to_owned).collect()
    };
    let cgroup = TestCgroup::new();
    assert_eq!(count(&cgroup), vec![cpus.to_string(); 5], "no limit");
    cgroup.limit_cpu(Some(100));
    assert_eq!(count(&cgroup), ["1"; 5], "a quota of 1 CPU");
    cgroup.limit_cpu(Some(150));
    assert_eq!(count(&cgroup), ["2"; 5], "a quota of 1.5 CPUs");
    cgroup.limit_cpu(None);
    cgroup.limit_cpus("1");
    assert_eq!(count(&cgroup), ["1"; 5], "a cpuset of 1 CPU");
    let text = TestContainer::new(&mounted, &cgroup).run("nproc; cat /sys/devices/system/cpu/online; grep ^processor /proc/cpuinfo; grep ^cpu1 /proc/stat | wc -l");
    assert_eq!(text, "1\n1\nprocessor\t: 1\n1\n", "CPUs keep their numbers");
}

#[test]
fn a_quota_on_an_ancestor_cuts_the_cpus() {
    require_privileged!();
    let mounted = Mounted::new();
    let slice = TestCgroup::new();
    slice.limit_cpu(Some(100));
    let cgroup = slice.child("c");
    let text = TestContainer::new(&mounted, &cgroup).run("cat /sys/devices/system/cpu/online");
    assert_eq!(text, "0\n");
}

#[test]
fn the_quota_view_and_the_numbering_are_options() {
    require_privileged!();
    require!(
        std::thread::available_parallelism().unwrap().get() >= 2,
        "needs 2 CPUs"
    );
    let cgroup = TestCgroup::new();
    let online = |config: &str| {
        let mounted = Mounted::with(&MountOptions {
            config: config.into(),
            ..MountOptions::default()
        });
        let script = "cat /sys/devices/system/cpu/online; grep ^processor /proc/cpuinfo; grep -o '^cpu[0-9]*' /proc/stat";
        TestContainer::new(&mounted, &cgroup).run(script)
    };
    cgroup.limit_cpu(Some(100));
    assert!(online("[cpus]\nquota = false\n").starts_with("0-1"));
    cgroup.limit_cpu(None);
    cgroup.limit_cpus("1");
    assert_eq!(
        online("[cpus]\nrenumber = true\n"),
        "0\nprocessor\t: 0\ncpu\ncpu0\n"
    );
}

#[test]
fn uptime_is_the_container_s_age() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let began = std::time::Instant::now();
    let text = TestContainer::new(&mounted, &cgroup).run("sleep 2; cat /proc/uptime; uptime");
    // A process's start time is in ticks, rounded down.
    let most_age = began.elapsed().as_secs_f64() + 0.02;
    let seconds: Vec<f64> = text
        .lines()
        .next()
        .unwrap()
        .split(' ')
        .map(|n| n.parse().unwrap())
        .collect();
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert!(seconds[0] >= 2.0 && seconds[0] <= most_age, "{text}");
    #[allow(clippy::cast_precision_loss, reason = "a handful of CPUs")]
    let most = seconds[0] * cpus as f64;
    assert!(seconds[1] > 0.0 && seconds[1] <= most + 0.01, "{text}");
    assert!(text.contains("up 0 min") || seconds[0] > 50.0, "{text}");
}

#[test]
fn top_and_vmstat_run_on_it() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(256 * MIB);
    let container = TestContainer::new(&mounted, &cgroup);
    let top = container.run("top -b -n1 | head -5");
    assert!(top.contains("MiB Mem :    256.0 total"), "{top}");
    assert!(top.contains("up 0 min"), "{top}");
    let vmstat = container.run("vmstat -s | head -2");
    assert!(vmstat.contains("262144 K total memory"), "{vmstat}");
}

#[test]
fn vmstat_counts_what_the_cgroup_counts() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(256 * MIB);
    // Touching 64 MiB causes a fault for each page, or fewer with huge pages.
    let script = "cat /proc/vmstat; python3 -c 'x = bytearray(64 << 20)'; sleep 3; cat /proc/vmstat; vmstat -s";
    let text = TestContainer::new(&mounted, &cgroup).run(script);
    let counted = cgroup.read("memory", "memory.stat");
    let (before, after) = text.split_at(text.rfind("nr_free_pages ").unwrap());
    let key = if cgroup.is_v2("memory") {
        "pgfault "
    } else {
        "total_pgfault "
    };
    let faults = field(after, "pgfault ");
    assert!(field(before, "pgfault ") < faults, "{text}");
    assert!(faults <= field(&counted, key), "{counted}{text}");
    let host = std::fs::read_to_string("/proc/vmstat").unwrap();
    let names = |text: &str| -> Vec<String> {
        let name = |line: &str| line.split(' ').next().unwrap().to_owned();
        text.lines().map(name).collect()
    };
    let shown = names(after);
    assert!(shown.starts_with(&names(&host)), "{text}");
    let page = rustix::param::page_size() as u64 / 1024;
    let free = field(after, "nr_free_pages ") * page;
    assert!((128 * 1024..=256 * 1024).contains(&free), "{text}");
    let witness = after
        .lines()
        .find(|l| l.ends_with(" K free memory"))
        .unwrap();
    let witness: u64 = witness.split_whitespace().next().unwrap().parse().unwrap();
    assert!(witness.abs_diff(free) < 8 * 1024, "{text}");
}

#[test]
fn every_tool_sees_the_same_swap() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(256 * MIB);
    let container = TestContainer::new(&mounted, &cgroup);
    let swaps = container.run("cat /proc/swaps");
    let mut lines = swaps.lines();
    assert!(lines.next().unwrap().starts_with("Filename"), "{swaps}");
    let size = |line: &str| -> u64 { line.split_whitespace().nth(2).unwrap().parse().unwrap() };
    let total: u64 = lines.map(size).sum();
    let text = container.run("free -k; swapon --show=NAME,SIZE --bytes --noheadings");
    assert_eq!(field(&text, "Swap:"), total, "{text}");
    let named = text.lines().find_map(|line| line.strip_prefix("none "));
    let named = named.map_or(0, |bytes| bytes.trim().parse().unwrap());
    assert_eq!(named, total * 1024, "{text}");
}

#[test]
fn optional_views_show_the_visible_cpus() {
    require_privileged!();
    require!(
        std::thread::available_parallelism().unwrap().get() >= 2,
        "needs 2 CPUs"
    );
    let mounted = Mounted::with(&MountOptions {
        config: "[views]\nenable = [\"interrupts\", \"softirqs\", \"zoneinfo\"]\n".into(),
        ..MountOptions::default()
    });
    let cgroup = TestCgroup::new();
    cgroup.limit_cpus("1");
    let script = "head -qn1 /proc/interrupts /proc/softirqs; grep -c 'cpu: 1' /proc/zoneinfo; grep 'cpu: 0' /proc/zoneinfo";
    let text = TestContainer::new(&mounted, &cgroup).run(&format!("{script} || true"));
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[..2], ["CPU1", "CPU1"], "{text}");
    assert_eq!(words.len(), 3, "{text}");
    assert_ne!(words[2], "0", "{text}");
}

#[test]
fn lines_are_in_the_host_s_layout() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(256 * MIB);
    let text = TestContainer::new(&mounted, &cgroup).run("cat /proc/meminfo");
    let host = std::fs::read_to_string("/proc/meminfo").unwrap();
    let shape = |text: &str| -> Vec<(String, usize)> {
        text.lines()
            .map(|l| (l.split(':').next().unwrap().to_owned(), l.len()))
            .collect()
    };
    assert_eq!(shape(&text), shape(&host));
}
