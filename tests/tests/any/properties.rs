//! Invariants on every captured host, computed a second and simpler way.

use std::path::{Path, PathBuf};

use crate::captured::{
    Captured, Facts, cpu_lines, cpu_list, fixture, fixtures, hosts, meminfo_field,
};

/// The existing directories of the container and its ancestors below the root of the hierarchy mounted at
/// `mount`.
fn chain(host: &Captured, mount: &str) -> Vec<PathBuf> {
    let top = host.root.join("sys/fs/cgroup").join(mount);
    let cgroup = host.facts.cgroup.strip_prefix("/").unwrap();
    let below_top = cgroup.ancestors().filter(|path| *path != Path::new(""));
    below_top.map(|path| top.join(path)).collect()
}

fn read(path: PathBuf) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The value of `key` in a text of `KEY NUMBER` lines.
fn keyed(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|l| l.split(' ').next() == Some(key))?;
    line.split(' ').nth(1)?.parse().ok()
}

/// MemTotal is the least limit from the container up, or the host's.
#[test]
fn memory_total_is_the_least_limit() {
    for (name, host) in fixtures() {
        let v1 = chain(&host, "memory").into_iter();
        let v1 = v1.map(|dir| dir.join("memory.limit_in_bytes"));
        let v2 = chain(&host, "").into_iter().map(|d| d.join("memory.max"));
        // "No limit" is `max` on v2 and a number larger than any memory on v1.
        let limits = v1.chain(v2).filter_map(read);
        let least = limits.filter_map(|text| text.trim().parse::<u64>().ok());
        let of_host = meminfo_field(&host.host_file("proc/meminfo"), "MemTotal").unwrap();
        let expected = least.map(|bytes| bytes / 1024).min().unwrap_or(of_host);
        let shown = meminfo_field(&host.show("proc/meminfo"), "MemTotal");
        assert_eq!(shown, Some(expected.min(of_host)), "{name}");
    }
}

/// Every line of meminfo matches the host's except for its number, which ends in the same column.
#[test]
fn meminfo_has_the_layout_of_the_host() {
    let frame = |line: &str| -> String {
        let kept = |c: &char| !c.is_ascii_digit() && *c != ' ';
        let (label, rest) = line.split_once(':').unwrap();
        format!("{label}:{}", rest.chars().filter(kept).collect::<String>())
    };
    for (name, host) in fixtures() {
        let of_host = host.host_file("proc/meminfo");
        let shown = host.show("proc/meminfo");
        assert_eq!(of_host.lines().count(), shown.lines().count(), "{name}");
        for (of_host, shown) in of_host.lines().zip(shown.lines()) {
            assert_eq!(frame(of_host), frame(shown), "{name}");
            assert_eq!(of_host.len(), shown.len(), "{name}: {of_host:?} {shown:?}");
        }
    }
}

/// No part of the memory is larger than the total.
#[test]
fn meminfo_adds_up() {
    for (name, host) in fixtures() {
        let text = host.show("proc/meminfo");
        let of = |field| meminfo_field(&text, field).unwrap();
        let total = of("MemTotal");
        for part in [
            "MemFree",
            "MemAvailable",
            "Cached",
            "Active",
            "Inactive",
            "Slab",
        ] {
            assert!(of(part) <= total, "{name}: {part}");
        }
        assert!(of("SwapFree") <= of("SwapTotal"), "{name}");
        let anon = of("Active(anon)") + of("Inactive(anon)");
        let file = of("Active(file)") + of("Inactive(file)");
        let both = of("Active") + of("Inactive");
        // Each number is rounded down to KiB.
        assert!(both.abs_diff(anon + file) <= 2, "{name}");
    }
}

/// cpuinfo, stat and `online` show the same CPUs.
#[test]
fn the_same_cpus_everywhere() {
    for (name, host) in fixtures() {
        let online = cpu_list(&host.show("sys/devices/system/cpu/online"));
        assert!(!online.is_empty(), "{name}");
        let of_host = cpu_list(&host.host_file("sys/devices/system/cpu/online"));
        assert!(online.iter().all(|cpu| of_host.contains(cpu)), "{name}");
        let (_, lines) = split_sum(&host);
        let in_stat: Vec<u32> = lines.iter().map(|(n, _)| n[3..].parse().unwrap()).collect();
        assert_eq!(in_stat, online, "{name}: stat");
        assert_eq!(
            processors(&host.show("proc/cpuinfo")),
            online,
            "{name}: cpuinfo"
        );
    }
}

/// The optional CPU views show the same CPUs.
#[test]
fn the_same_cpus_in_tables_of_cpus() {
    for (name, host) in fixtures() {
        let online = cpu_list(&host.show("sys/devices/system/cpu/online"));
        let number = |prefix: &str, word: &str| -> u32 {
            word.strip_prefix(prefix).unwrap().parse().unwrap()
        };
        for view in ["proc/interrupts", "proc/softirqs"] {
            let text = host.show(view);
            let heading = text.lines().next().unwrap();
            let columns = heading.split_whitespace().map(|word| number("CPU", word));
            assert_eq!(columns.collect::<Vec<_>>(), online, "{name}: {view}");
            let of_host = host.host_file(view);
            assert_eq!(
                text.lines().count(),
                of_host.lines().count(),
                "{name}: {view}"
            );
        }
        let text = host.show("proc/schedstat");
        let cpus = text.lines().filter(|line| line.starts_with("cpu"));
        let cpus = cpus.map(|line| number("cpu", line.split(' ').next().unwrap()));
        assert_eq!(cpus.collect::<Vec<_>>(), online, "{name}: schedstat");
        let mut lists: Vec<u32> = host
            .show("proc/zoneinfo")
            .lines()
            .filter_map(|line| line.trim().strip_prefix("cpu: ")?.parse().ok())
            .collect();
        lists.sort_unstable();
        lists.dedup();
        assert_eq!(lists, online, "{name}: zoneinfo");
    }
}

/// meminfo and swaps show the same swap.
#[test]
fn swaps_has_meminfo_s_totals() {
    for (name, host) in fixtures() {
        let meminfo = host.show("proc/meminfo");
        let total = meminfo_field(&meminfo, "SwapTotal").unwrap();
        let free = meminfo_field(&meminfo, "SwapFree").unwrap();
        let swaps = host.show("proc/swaps");
        let mut lines = swaps.lines();
        let heading = host.host_file("proc/swaps");
        assert_eq!(lines.next(), heading.lines().next(), "{name}");
        let columns = |line: &str| -> Vec<u64> {
            let numbers = line.split_whitespace().skip(2);
            numbers.map(|word| word.parse().unwrap()).collect()
        };
        let shown: Vec<_> = lines.map(columns).collect();
        let expected = [vec![total, total - free, 0]];
        assert_eq!(shown, expected[..usize::from(total > 0)], "{name}");
    }
}

/// vmstat has the host's fields, and agrees with meminfo on common ones.
#[test]
fn vmstat_agrees_with_meminfo() {
    let names = |text: &str| -> Vec<String> {
        let name = |line: &str| line.split(' ').next().unwrap().to_owned();
        text.lines().map(name).collect()
    };
    for (name, host) in fixtures() {
        let vmstat = host.show("proc/vmstat");
        assert_eq!(
            names(&vmstat),
            names(&host.host_file("proc/vmstat")),
            "{name}"
        );
        let limits = ["memory.max", "memory/box/app/memory.limit_in_bytes"];
        let limited = chain(&host, "")[0].join(limits[0]).exists()
            || host.root.join("sys/fs/cgroup").join(limits[1]).exists();
        if !limited {
            assert_eq!(vmstat, host.host_file("proc/vmstat"), "{name}");
            continue;
        }
        let meminfo = host.show("proc/meminfo");
        for (pages, field) in [
            ("nr_free_pages", "MemFree"),
            ("nr_anon_pages", "AnonPages"),
            ("nr_mapped", "Mapped"),
            ("nr_shmem", "Shmem"),
            ("nr_inactive_file", "Inactive(file)"),
            ("nr_slab_reclaimable", "SReclaimable"),
            ("nr_page_table_pages", "PageTables"),
        ] {
            let page = host.facts.page_size / 1024;
            let kib = meminfo_field(&meminfo, field).unwrap();
            assert_eq!(keyed(&vmstat, pages), Some(kib / page), "{name}: {pages}");
        }
        let stack = meminfo_field(&meminfo, "KernelStack");
        assert_eq!(keyed(&vmstat, "nr_kernel_stack"), stack, "{name}");
    }
}

/// diskstats shows each host device that the v2 cgroup has used, with the cgroup's counters.
#[test]
fn diskstats_are_those_of_the_v2_cgroup() {
    for (name, host) in fixtures() {
        let Some(io) = read(chain(&host, "")[0].join("io.stat")) else {
            continue;
        };
        let mut shown = Vec::new();
        for line in host.show("proc/diskstats").lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = |column: usize| words[column].parse::<u64>().unwrap();
            let device = format!("{}:{}", words[0], words[1]);
            let (read, written) = (at(5) * 512, at(9) * 512);
            let reads = format!("{device} rbytes={read} wbytes={written} rios={}", at(3));
            assert!(io.contains(&reads), "{name}: {reads}");
            shown.push(words[2].to_owned());
        }
        assert!(!shown.is_empty(), "{name}");
        let partitions = host.show("proc/partitions");
        let disks = partitions.lines().skip(2);
        let disks: Vec<_> = disks.filter_map(|l| l.split_whitespace().last()).collect();
        assert_eq!(disks, shown, "{name}");
    }
}

/// The CPUs that a cpuinfo text has a paragraph for.
fn processors(text: &str) -> Vec<u32> {
    let number = |line: &str| {
        let (label, value) = line.split_once(':')?;
        matches!(label.trim(), "processor" | "cpu number").then(|| value.trim().parse().unwrap())
    };
    text.lines().filter_map(number).collect()
}

/// The `cpu` line, and the lines of the single CPUs.
fn split_sum(host: &Captured) -> (Vec<u64>, Vec<(String, Vec<u64>)>) {
    let mut lines = cpu_lines(&host.show("proc/stat"));
    let (name, sum) = lines.remove(0);
    assert_eq!(name, "cpu");
    (sum, lines)
}

const USER: usize = 0;
const NICE: usize = 1;
const SYSTEM: usize = 2;
const STEAL: usize = 7;

/// The `cpu` line is the exact sum of the others, and every CPU is as old as the container.
#[test]
fn cpu_time_adds_up() {
    for (name, host) in fixtures() {
        let (sum, lines) = split_sum(&host);
        for column in 0..sum.len() {
            let exact: u64 = lines.iter().map(|(_, columns)| columns[column]).sum();
            assert_eq!(sum[column], exact, "{name}, column {column}");
        }
        let cpus = lines.len() as u128;
        let lived = host.facts.age().as_nanos() * u128::from(host.facts.clk_tck) * cpus;
        let lived = u64::try_from(lived / 1_000_000_000).unwrap();
        // Each of five columns is rounded down to ticks.
        assert!(
            lived - sum.iter().sum::<u64>() <= 5,
            "{name}: {sum:?} of {lived}"
        );
    }
}

fn used_ticks(host: &Captured) -> u64 {
    let (sum, _) = split_sum(host);
    sum[USER] + sum[NICE] + sum[SYSTEM]
}

/// v2: the used time in stat is the cgroup's usage, within a tick for each column.
#[test]
fn used_time_is_what_the_v2_cgroup_used() {
    for (name, host) in fixtures() {
        let Some(text) = read(chain(&host, "")[0].join("cpu.stat")) else {
            continue;
        };
        let used = keyed(&text, "usage_usec").unwrap() * host.facts.clk_tck / 1_000_000;
        assert!(used_ticks(&host).abs_diff(used) <= 3, "{name}: {used}");
    }
}

/// v1: the same invariant.
#[test]
fn used_time_is_what_the_v1_cgroup_used() {
    for (name, host) in fixtures() {
        let Some(text) = read(chain(&host, "cpu,cpuacct")[0].join("cpuacct.usage")) else {
            continue;
        };
        let used = text.trim().parse::<u64>().unwrap() * host.facts.clk_tck / 1_000_000_000;
        let shown = used_ticks(&host);
        assert!(shown.abs_diff(used) <= 3, "{name}: {shown}, used {used}");
    }
}

/// A second stat of the same instant is identical; throttling by the container's own quota is steal.
#[test]
fn stat_stands_still_with_the_clock() {
    for (name, host) in fixtures() {
        let first = host.show("proc/stat");
        assert_eq!(first, host.show("proc/stat"), "{name}");
        let Some(text) = read(chain(&host, "")[0].join("cpu.stat")) else {
            continue;
        };
        if let Some(throttled) = keyed(&text, "throttled_usec") {
            let ticks = throttled * host.facts.clk_tck / 1_000_000;
            assert_eq!(split_sum(&host).0[STEAL], ticks, "{name}");
        }
    }
}

/// Lines of stat about neither CPUs nor the container's threads are 0, since the kernel counts them for the
/// host alone; they have the host's columns, except for the interrupts by number.
#[test]
fn the_rest_of_stat_is_the_boot_time_and_zeros() {
    for (name, host) in fixtures() {
        let zeros = |line: &str| -> String {
            let mut words = line.split(' ');
            let key = words.next().unwrap();
            let count = if key == "intr" { 1 } else { words.count() };
            key.to_owned() + &" 0".repeat(count)
        };
        let own = ["cpu", "procs_running", "procs_blocked"];
        let of_host = host.host_file("proc/stat");
        let shown = host.show("proc/stat");
        let rest = |line: &&str| own.iter().all(|key| !line.starts_with(key));
        let expected = of_host.lines().filter(rest).map(|line| match line {
            line if line.starts_with("btime") => line.to_owned(),
            line => zeros(line),
        });
        let shown = shown.lines().filter(rest);
        assert!(shown.eq(expected), "{name}: {}", host.show("proc/stat"));
    }
}

/// Uptime is the age of the container; idle time is the time in which its CPUs neither worked nor were
/// throttled.
#[test]
fn uptime_is_the_age() {
    for (name, host) in fixtures() {
        let text = host.show("proc/uptime");
        let (up, idle) = text.trim().split_once(' ').unwrap();
        let hundredths = |text: &str| text.replace('.', "").parse::<u64>().unwrap();
        let age = u64::try_from(host.facts.age().as_millis() / 10).unwrap();
        assert_eq!(hundredths(up), age, "{name}");
        let (sum, lines) = split_sum(&host);
        let cpus = lines.len() as u64;
        let stolen = sum[7];
        let per_tick = 100 / host.facts.clk_tck.min(100);
        let expected = age * cpus - (used_ticks(&host) + stolen) * per_tick;
        assert!(hundredths(idle).abs_diff(expected) <= 5, "{name}: {idle}");
    }
}

/// A caller at the root of every hierarchy sees the whole host.
#[test]
fn at_the_root_nothing_is_limited() {
    for name in hosts() {
        let host = fixture(&name);
        let facts = Facts {
            cgroup: "/".into(),
            ..host.facts.clone()
        };
        let at_root = Captured::of(&host.root, facts);
        for same in [
            "proc/meminfo",
            "proc/cpuinfo",
            "proc/loadavg",
            "sys/devices/system/cpu/online",
        ] {
            assert_eq!(at_root.show(same), host.host_file(same), "{name}, {same}");
        }
        let expected = cpu_lines(&host.host_file("proc/stat"));
        let shown = cpu_lines(&at_root.show("proc/stat"));
        assert_eq!(shown[1..], expected[1..], "{name}");
    }
}
