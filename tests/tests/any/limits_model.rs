//! Effective limits of random cgroup trees, compared with a naive model.
//!
//! The model reads no files: it knows the written values and takes the minimum from the container upwards.

use proptest::prelude::*;
use vistafs_container::CpuPolicy;

use crate::made_up::{Layout, MadeUp, NO_LIMIT_V1};

/// The limits of one cgroup of the chain. `None`: the file does not exist.
#[derive(Debug, Clone)]
struct Level {
    /// Bytes; `u64::MAX` is "no limit".
    memory: Option<u64>,
    /// µs per period of µs; no quota: -1 or `max`.
    quota: Option<(Option<u64>, u64)>,
    /// The effective CPUs, and on v1 the requested ones.
    cpusets: [Option<Vec<u32>>; 2],
}

/// The effective limits of the container.
#[derive(Debug, PartialEq, Eq)]
struct Effective {
    memory: u64,
    quota_cpus: Option<usize>,
    cpus: Vec<u32>,
}

/// `chain`: the container first, then its ancestors. `total`: the host's memory.
fn model(chain: &[Level], total: u64, online: &[u32]) -> Effective {
    let mut memory = total;
    let mut quota_cpus = None;
    let mut cpuset = None;
    for level in chain {
        memory = memory.min(level.memory.unwrap_or(total));
        if let Some((Some(quota), period)) = level.quota {
            let here = usize::try_from(quota.div_ceil(period)).unwrap().max(1);
            quota_cpus = Some(quota_cpus.map_or(here, |known: usize| known.min(here)));
        }
        for set in level.cpusets.iter().flatten() {
            if cpuset.is_none() && !set.is_empty() {
                cpuset = Some(set.clone());
            }
        }
    }
    let mut cpus = online.to_vec();
    if let Some(set) = cpuset {
        cpus.retain(|cpu| set.contains(cpu));
    }
    if cpus.is_empty() {
        // If all of its CPUs are offline, the kernel runs its tasks on any CPU.
        cpus = online.to_vec();
    }
    cpus.truncate(quota_cpus.unwrap_or(usize::MAX));
    Effective {
        memory,
        quota_cpus,
        cpus,
    }
}

/// Writes the chain as a host and computes the limits with vistafs.
fn product(layout: Layout, chain: &[Level], total: u64, online: &[u32]) -> Effective {
    let names: Vec<String> = (0..chain.len()).map(|depth| format!("l{depth}")).collect();
    let mut host = MadeUp::new(&format!("/{}", names.join("/")));
    host.set_cpus(online);
    // The hierarchies exist even if a level has no files.
    if layout == Layout::V1 {
        for file in ["memory.use_hierarchy", "cpu.shares", "cpuset.cpus"] {
            host.set(layout, "", file, "1\n");
        }
    }
    for (above, level) in chain.iter().enumerate() {
        let cgroup = names[..names.len() - above].join("/");
        let mut set = |file: &str, text: String| host.set(layout, &cgroup, file, &(text + "\n"));
        match (layout, level.memory) {
            (_, None) => {}
            (Layout::V1, Some(u64::MAX)) => set("memory.limit_in_bytes", NO_LIMIT_V1.to_string()),
            (Layout::V1, Some(bytes)) => set("memory.limit_in_bytes", bytes.to_string()),
            (Layout::V2, Some(u64::MAX)) => set("memory.max", "max".into()),
            (Layout::V2, Some(bytes)) => set("memory.max", bytes.to_string()),
        }
        if let Some((quota, period)) = level.quota {
            let quota = quota.map(|q| q.to_string());
            match layout {
                Layout::V1 => {
                    set("cpu.cfs_quota_us", quota.unwrap_or("-1".into()));
                    set("cpu.cfs_period_us", period.to_string());
                }
                Layout::V2 => {
                    let quota = quota.unwrap_or("max".into());
                    set("cpu.max", format!("{quota} {period}"));
                }
            }
        }
        let files: &[&str] = match layout {
            Layout::V1 => &["cpuset.effective_cpus", "cpuset.cpus"],
            Layout::V2 => &["cpuset.cpus.effective"],
        };
        for (file, cpus) in files.iter().zip(&level.cpusets) {
            if let Some(cpus) = cpus {
                let list: Vec<String> = cpus.iter().map(u32::to_string).collect();
                set(file, list.join(","));
            }
        }
    }
    let host = host.open();
    let (container, text) = (&host.container, &mut Vec::new());
    let policy = CpuPolicy::default();
    let cpus = container.visible_cpus(&host.host, policy, text).unwrap();
    Effective {
        memory: container.memory_limit(&host.host, total, text).unwrap(),
        quota_cpus: container.cpu_quota(text).unwrap().map(|q| q.cpus()),
        cpus: cpus.iter().collect(),
    }
}

const TOTAL: u64 = 16 << 30;

fn memory() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        2 => Just(None),
        3 => Just(Some(u64::MAX)),
        5 => (0..2 * TOTAL).prop_map(Some),
        // Larger than any memory, and still a number.
        1 => (NO_LIMIT_V1 / 2..NO_LIMIT_V1).prop_map(Some),
    ]
}

fn quota() -> impl Strategy<Value = Option<(Option<u64>, u64)>> {
    let some = (prop::option::of(1000_u64..2_000_000), 1000_u64..=1_000_000);
    prop::option::of(some)
}

fn cpus(from: usize) -> impl Strategy<Value = Vec<u32>> {
    let members = prop::sample::subsequence((0..8).collect::<Vec<u32>>(), from..=8);
    // Includes a large number: CPU sets are stored in 64-bit words.
    (members, any::<bool>()).prop_map(|(mut members, large)| {
        members.extend(large.then_some(100));
        members
    })
}

fn level(layout: Layout) -> impl Strategy<Value = Level> {
    let cpuset = || prop::option::of(cpus(0));
    (memory(), quota(), cpuset(), cpuset()).prop_map(move |(memory, quota, first, second)| {
        let (memory, second) = match layout {
            // On v1, every cgroup of a hierarchy has the files of its controllers.
            Layout::V1 => (memory.or(Some(u64::MAX)), second),
            Layout::V2 => (memory, None),
        };
        Level {
            memory,
            quota,
            cpusets: [first, second],
        }
    })
}

fn chain(layout: Layout) -> impl Strategy<Value = Vec<Level>> {
    prop::collection::vec(level(layout), 1..=6)
}

fn agree(layout: Layout, chain: &[Level], online: &[u32]) -> Result<(), TestCaseError> {
    let expected = model(chain, TOTAL, online);
    prop_assert_eq!(product(layout, chain, TOTAL, online), expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v1(chain in chain(Layout::V1), online in cpus(1)) {
        agree(Layout::V1, &chain, &online)?;
    }

    #[test]
    fn v2(chain in chain(Layout::V2), online in cpus(1)) {
        agree(Layout::V2, &chain, &online)?;
    }
}
