//! Real swap on a compressed RAM disk: the views of a container while it uses swap.
//!
//! v1 without swap accounting cannot be tested here, since kernels from 6.1 on always account it. SEMANTICS
//! has an example of it.

use std::path::PathBuf;
use std::process::Command;

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::require_guest;
use vistafs_tests::vistafs::{Mounted, printed};

const MIB: u64 = 1 << 20;
const HOST_SWAP_MIB: u64 = 256;

/// Swap on zram; removed on drop.
struct Swap;

impl Swap {
    fn on() -> Self {
        shell(&format!(
            "modprobe zram && echo {HOST_SWAP_MIB}M >/sys/block/zram0/disksize && \
             mkswap -q /dev/zram0 && swapon /dev/zram0"
        ));
        Self
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let script = "swapoff /dev/zram0; echo 1 >/sys/block/zram0/reset; rmmod zram";
        let _ = Command::new("sh").args(["-c", script]).status();
    }
}

#[track_caller]
fn shell(script: &str) -> String {
    printed(&Command::new("sh").args(["-c", script]).output().unwrap())
}

fn file(cgroup: &TestCgroup, name: &str) -> PathBuf {
    cgroup.directory("memory").join(name)
}

/// Limits memory and, separately, swap; on v1 the second limit covers both. Returns the total of swap in MiB,
/// which is the same on both versions.
fn limit(cgroup: &TestCgroup, memory_mib: u64, swap_mib: u64) -> u64 {
    cgroup.limit_memory(memory_mib * MIB);
    let (name, mib) = if cgroup.is_v2("memory") {
        ("memory.swap.max", swap_mib)
    } else {
        ("memory.memsw.limit_in_bytes", memory_mib + swap_mib)
    };
    std::fs::write(file(cgroup, name), format!("{mib}M")).unwrap();
    swap_mib
}

/// Allocates `mib` of memory in steps of 4 MiB in a container. After each step, `look` gets the container's
/// meminfo, `free -k` and `swapon -s`.
fn take_memory(cgroup: &TestCgroup, mib: u64, mut look: impl FnMut(&str)) {
    let mounted = Mounted::new();
    let steps = mib / 4;
    let script = format!(
        "exec python3 -c '
import os
kept = []
for step in range({steps}):
    kept.append(bytearray(os.urandom(1 << 20) * 4))
    os.system(\"cat /proc/meminfo; free -k; swapon -s; echo ====\")
'"
    );
    let text = TestContainer::new(&mounted, cgroup).run(&script);
    let seen: Vec<&str> = text
        .split("====\n")
        .filter(|part| !part.is_empty())
        .collect();
    assert_eq!(seen.len() as u64, steps, "{text}");
    for step in seen {
        tools_agree(step);
        look(step);
    }
}

/// Returns (total, used) in KiB from a container's output, after checking that its three sources agree.
#[track_caller]
fn tools_agree(text: &str) {
    let (total, used) = swap(text);
    let free: Vec<&str> = text
        .lines()
        .find_map(|line| line.strip_prefix("Swap:  "))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(free[0].parse(), Ok(total), "{text}");
    let line = text.lines().find(|line| line.starts_with("none"));
    let columns: Vec<u64> = line
        .map(|line| {
            let words = line.split_whitespace();
            words.filter_map(|word| word.parse().ok()).collect()
        })
        .unwrap_or(vec![0, 0, 0]);
    assert_eq!(columns[0], total, "{text}");
    // The three were read one after the other, and the readers use memory themselves.
    for other in [free[1].parse().unwrap(), columns[1]] {
        assert!(other <= total && used.abs_diff(other) < 8 * 1024, "{text}");
    }
}

/// (total, used), KiB.
#[track_caller]
fn swap(text: &str) -> (u64, u64) {
    let (total, free) = (field(text, "SwapTotal:"), field(text, "SwapFree:"));
    assert!(free <= total, "{text}");
    (total, total - free)
}

/// The total (KiB) stays constant, and swap is used in the end.
fn check_total(cgroup: &TestCgroup, expected: u64) {
    let mut most = 0;
    take_memory(cgroup, 112, |text| {
        let (total, used) = swap(text);
        assert_eq!(total, expected, "{text}");
        most = most.max(used);
    });
    assert!(most > 30 * 1024, "only {most} KiB of swap were used");
}

#[test]
fn a_limit_of_its_own_is_the_total() {
    require_guest!();
    let _swap = Swap::on();
    let cgroup = TestCgroup::new();
    let total = limit(&cgroup, 64, 96);
    check_total(&cgroup, total * 1024);
}

#[test]
fn a_limit_on_an_ancestor_alone_is_the_total() {
    require_guest!();
    let _swap = Swap::on();
    let parent = TestCgroup::new();
    let total = limit(&parent, 64, 96);
    check_total(&parent.child("app"), total * 1024);
}

#[test]
fn without_a_limit_the_host_s_is_the_total() {
    require_guest!();
    let _swap = Swap::on();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 * MIB);
    // A little less than the disk: the first page of the area is its header.
    let host = std::fs::read_to_string("/proc/meminfo").unwrap();
    check_total(&cgroup, field(&host, "SwapTotal:"));
}

#[test]
fn who_must_not_swap_has_none() {
    require_guest!();
    let _swap = Swap::on();
    let cgroup = TestCgroup::new();
    if cgroup.is_v2("memory") {
        limit(&cgroup, 64, 0);
    } else {
        limit(&cgroup, 64, 96);
        std::fs::write(file(&cgroup, "memory.swappiness"), "0").unwrap();
    }
    take_memory(&cgroup, 32, |text| {
        let (total, used) = swap(text);
        assert_eq!(total, used, "{text}");
        assert!(total < 1024, "{text}");
    });
}

/// Debian's cloud kernels have no zswap and run only the half of the test without it.
#[test]
fn zswap_makes_nothing_go_below_use() {
    require_guest!();
    const ENABLED: &str = "/sys/module/zswap/parameters/enabled";
    let _swap = Swap::on();
    let has_zswap = std::path::Path::new(ENABLED).exists();
    if has_zswap {
        std::fs::write(ENABLED, "Y").unwrap();
    }
    let cgroup = TestCgroup::new();
    let total = limit(&cgroup, 64, 96);
    let mut zswapped = 0;
    take_memory(&cgroup, 112, |text| {
        assert_eq!(swap(text).0, total * 1024, "{text}");
        if text.contains("Zswap:") {
            let (pool, stored) = (field(text, "Zswap:"), field(text, "Zswapped:"));
            assert!(pool <= stored, "{text}");
            zswapped = zswapped.max(stored);
        }
    });
    if has_zswap {
        std::fs::write(ENABLED, "N").unwrap();
    }
    // v1 does not account zswap per cgroup.
    let is_counted = has_zswap && cgroup.is_v2("memory");
    assert_eq!(zswapped > 0, is_counted, "{zswapped}");
}
