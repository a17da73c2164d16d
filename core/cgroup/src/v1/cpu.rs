//! v1 `cpu` (CFS bandwidth, `sched-bwc.rst`) and `cpuacct` (`cpuacct.rst`) controllers.
//!
//! `cpuacct.usage_percpu` is exact; `cpuacct.usage_all` tells how much of it was sampled in user
//! mode and in the kernel, at each tick. The two differ by some per cent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use vistafs_host::{Dir, HostError, KeptFile, Shape};
use vistafs_text::{cpuacct, flat_keyed, single_value};

use crate::Cgroup;
use crate::cpu::{CpuQuota, CpuUsage, PerCpu, Tightest};

#[derive(Debug)]
struct Level {
    quota: KeptFile,
    period: KeptFile,
    stat: KeptFile,
}

/// The files of a cgroup and the quota files of its ancestors.
#[derive(Debug)]
pub(crate) struct Cpu {
    cgroup: Arc<Cgroup>,
    levels: Vec<Level>,
    tightest: AtomicUsize,
    usage_all: KeptFile,
    usage_percpu: KeptFile,
}

impl Cpu {
    pub(crate) fn new(cgroup: &Arc<Cgroup>) -> Self {
        let file = |dir: &Arc<Dir>, name| KeptFile::new(Arc::clone(dir), name, Shape::Whole);
        let level = |dir| Level {
            quota: file(dir, "cpu.cfs_quota_us"),
            period: file(dir, "cpu.cfs_period_us"),
            stat: file(dir, "cpu.stat"),
        };
        Self {
            cgroup: Arc::clone(cgroup),
            levels: cgroup.levels().iter().map(level).collect(),
            tightest: AtomicUsize::new(0),
            usage_all: file(cgroup.own(), "cpuacct.usage_all"),
            usage_percpu: file(cgroup.own(), "cpuacct.usage_percpu"),
        }
    }

    pub(crate) fn quota(&self, text: &mut Vec<u8>) -> Result<Option<CpuQuota>, HostError> {
        let mut tightest = Tightest::default();
        for (height, level) in self.levels.iter().enumerate() {
            let quota = level.quota.parse(text, single_value::signed)?;
            if quota.is_none() && height == 0 {
                self.cgroup.ensure_alive()?;
            }
            // Absent, or -1: no limit here.
            let Some(Ok(quota)) = quota.map(u64::try_from) else {
                continue;
            };
            let period = level.period.parse(text, single_value::number)?.unwrap_or(0);
            if period > 0 {
                let here = CpuQuota { quota, period };
                tightest.consider(height, here);
            }
        }
        Ok(tightest.note(&self.tightest))
    }

    pub(crate) fn usage(
        &self,
        per_cpu: &mut Vec<PerCpu>,
        text: &mut Vec<u8>,
    ) -> Result<Option<CpuUsage>, HostError> {
        if !self.usage_percpu.read(text)? {
            self.cgroup.ensure_alive()?;
            return Ok(None);
        }
        for usage in cpuacct::usage_percpu(text) {
            let (cpu, total) =
                usage.map_err(|e| HostError::malformed(&self.usage_percpu.path(), e))?;
            per_cpu.push(PerCpu {
                cpu,
                total,
                user: 0,
                system: 0,
            });
        }
        // Since Linux 4.7.
        if self.usage_all.read(text)? {
            for usage in cpuacct::usage_all(text) {
                let usage = usage.map_err(|e| HostError::malformed(&self.usage_all.path(), e))?;
                // Both files list the CPUs from 0 on.
                let index = usize::try_from(usage.cpu).unwrap_or(usize::MAX);
                if let Some(cpu) = per_cpu.get_mut(index) {
                    (cpu.user, cpu.system) = (usage.user, usage.system);
                }
            }
        }
        let sum = |of: fn(&PerCpu) -> u64| per_cpu.iter().map(of).fold(0, u64::saturating_add);
        let (user, system) = PerCpu::split(sum(|p| p.total), sum(|p| p.user), sum(|p| p.system));
        Ok(Some(CpuUsage {
            user,
            system,
            ..CpuUsage::default()
        }))
    }

    /// Whose quota held back, and for how many ns; 0 where the kernel has no bandwidth control.
    pub(crate) fn throttled(&self, text: &mut Vec<u8>) -> Result<(usize, u64), HostError> {
        let find = |text: &[u8]| flat_keyed::find(text, b"throttled_time");
        let by = self.tightest.load(Ordering::Relaxed);
        let Some(level) = self.levels.get(by) else {
            return Ok((0, 0));
        };
        Ok((by, level.stat.parse(text, find)?.flatten().unwrap_or(0)))
    }
}
