//! CPU quota and CPU time of a cgroup, on either version.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vistafs_host::HostError;

use crate::{Cgroup, Version, v1, v2};

/// How much CPU time a cgroup may use: `quota` in every `period`, both µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuQuota {
    /// µs of CPU time.
    pub quota: u64,
    /// µs of wall time, never 0.
    pub period: u64,
}

impl CpuQuota {
    /// Number of CPUs that use up the quota, at least 1.
    #[must_use]
    pub fn cpus(self) -> usize {
        usize::try_from(self.quota.div_ceil(self.period.max(1)).max(1)).unwrap_or(usize::MAX)
    }

    /// Whether this quota is tighter than `other`.
    fn is_tighter_than(self, other: Self) -> bool {
        u128::from(self.quota) * u128::from(other.period)
            < u128::from(other.quota) * u128::from(self.period)
    }
}

/// The tightest of several quotas, and its level.
#[derive(Debug, Default)]
pub(crate) struct Tightest {
    found: Option<(usize, CpuQuota)>,
}

impl Tightest {
    pub(crate) fn consider(&mut self, level: usize, quota: CpuQuota) {
        if self
            .found
            .is_none_or(|(_, known)| quota.is_tighter_than(known))
        {
            self.found = Some((level, quota));
        }
    }

    /// Returns the quota and stores its level in `level`.
    pub(crate) fn note(self, level: &AtomicUsize) -> Option<CpuQuota> {
        level.store(self.found.map_or(0, |(level, _)| level), Ordering::Relaxed);
        self.found.map(|(_, quota)| quota)
    }
}

/// CPU time since the cgroup was created, in ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuUsage {
    /// In user mode, low priority included.
    pub user: u64,
    /// The part of `user` at low priority; 0 where the kernel does not count it. The kernel samples
    /// it at ticks, so it grows in steps and can exceed `user`.
    pub nice: u64,
    /// In the kernel.
    pub system: u64,
    /// Time runnable but throttled by a quota.
    pub throttled: u64,
    /// Level of that quota: 0 for the cgroup itself, n for its nth ancestor.
    pub throttled_by: usize,
}

/// CPU time used on one CPU, in ns.
///
/// The kernel measures `total` and samples `user` and `system` at each tick. The samples need not
/// add up to `total`: only their ratio is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerCpu {
    /// The host's number of the CPU.
    pub cpu: u32,
    /// Total time, exact.
    pub total: u64,
    /// Sampled in user mode.
    pub user: u64,
    /// Sampled in the kernel.
    pub system: u64,
}

impl PerCpu {
    /// Splits `ns` in proportion to user and system time; without samples, all of it is user time.
    /// (user, system)
    #[must_use]
    pub fn split(ns: u64, user: u64, system: u64) -> (u64, u64) {
        let samples = u128::from(user) + u128::from(system);
        let in_kernel = (u128::from(ns) * u128::from(system))
            .checked_div(samples)
            .unwrap_or(0);
        let in_kernel = u64::try_from(in_kernel).unwrap_or(ns);
        (ns - in_kernel, in_kernel)
    }
}

/// The CPU files of a cgroup and its ancestors.
#[derive(Debug)]
pub struct CpuAccounting {
    quota: Option<Files>,
    usage: Option<Files>,
}

#[derive(Debug)]
enum Files {
    V1(v1::cpu::Cpu),
    V2(v2::cpu::Cpu),
}

impl Files {
    fn new(cgroup: &Arc<Cgroup>) -> Self {
        match cgroup.version() {
            Version::V1 => Self::V1(v1::cpu::Cpu::new(cgroup)),
            Version::V2 => Self::V2(v2::cpu::Cpu::new(cgroup)),
        }
    }
}

impl CpuAccounting {
    /// Names the files and opens none. `cpu` has the quota, `cpuacct` counts the time; in v1 they
    /// may be two hierarchies.
    #[must_use]
    pub fn new(cpu: Option<&Arc<Cgroup>>, cpuacct: Option<&Arc<Cgroup>>) -> Self {
        Self {
            quota: cpu.map(Files::new),
            usage: cpuacct.map(Files::new),
        }
    }

    /// Returns the tightest quota of the cgroup and its ancestors; `None`: no limit.
    /// [`usage`](Self::usage) then reports the time throttled by this quota.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn quota(&self, text: &mut Vec<u8>) -> Result<Option<CpuQuota>, HostError> {
        match &self.quota {
            Some(Files::V1(cpu)) => cpu.quota(text),
            Some(Files::V2(cpu)) => cpu.quota(text),
            None => Ok(None),
        }
    }

    /// Returns the CPU time used; `None`: the kernel does not count it for this cgroup. `per_cpu`
    /// is filled where the kernel counts per CPU (v1), else left empty. Values that the kernel
    /// samples at ticks may be as old as `tick`.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn usage(
        &self,
        per_cpu: &mut Vec<PerCpu>,
        tick: Duration,
        text: &mut Vec<u8>,
    ) -> Result<Option<CpuUsage>, HostError> {
        per_cpu.clear();
        let usage = match &self.usage {
            Some(Files::V1(cpu)) => cpu.usage(per_cpu, tick, text)?,
            Some(Files::V2(cpu)) => cpu.usage(text)?,
            None => None,
        };
        // In v1 the throttled time is counted by `cpu`, not by `cpuacct`.
        match (usage, &self.quota) {
            (Some(usage), Some(Files::V1(cpu))) => {
                let (throttled_by, throttled) = cpu.throttled(text)?;
                Ok(Some(CpuUsage {
                    throttled,
                    throttled_by,
                    ..usage
                }))
            }
            (usage, _) => Ok(usage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_cpu_counts_whole() {
        let cpus = |quota, period| CpuQuota { quota, period }.cpus();
        assert_eq!(cpus(100_000, 100_000), 1);
        assert_eq!(cpus(150_000, 100_000), 2);
        assert_eq!(cpus(1_000, 100_000), 1);
        assert_eq!(cpus(u64::MAX, 1), usize::MAX);
        assert_eq!(cpus(5, 0), 5);
    }

    #[test]
    fn time_is_split_by_its_samples() {
        assert_eq!(PerCpu::split(100, 30, 10), (75, 25));
        assert_eq!(PerCpu::split(100, 0, 0), (100, 0));
        assert_eq!(PerCpu::split(u64::MAX, 0, u64::MAX), (0, u64::MAX));
    }

    #[test]
    fn periods_may_differ() {
        let half = CpuQuota {
            quota: 50,
            period: 100,
        };
        let third = CpuQuota {
            quota: 1000,
            period: 3000,
        };
        let level = AtomicUsize::new(7);
        let mut tightest = Tightest::default();
        for (index, quota) in [half, third, half].into_iter().enumerate() {
            tightest.consider(index, quota);
        }
        assert_eq!(tightest.note(&level), Some(third));
        assert_eq!(level.load(Ordering::Relaxed), 1);
        assert_eq!(Tightest::default().note(&level), None);
        assert_eq!(level.load(Ordering::Relaxed), 0);
    }
}
