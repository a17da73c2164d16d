//! v1 `cpu` (CFS bandwidth, `sched-bwc.rst`) and `cpuacct` (`cpuacct.rst`) controllers.
//!
//! `cpuacct.usage_percpu` is exact; `cpuacct.usage_all` reports user and system time sampled at
//! each tick. The two differ by some per cent. Between two ticks the second file need not be read
//! again.
//!
//! Throttled time does not grow without a quota, and is not read then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vistafs_host::{FileSpec, HostError, KeptFiles};
use vistafs_text::{cpuacct, flat_keyed, single_value};

use crate::Cgroup;
use crate::cpu::{CpuQuota, CpuUsage, PerCpu, Tightest};

/// The quota files of one cgroup.
type Level = KeptFiles<3>;

const QUOTA: usize = 0;
const PERIOD: usize = 1;
const STAT: usize = 2;

static QUOTA_FILES: [FileSpec; 3] = [
    FileSpec::whole("cpu.cfs_quota_us"),
    FileSpec::whole("cpu.cfs_period_us"),
    FileSpec::whole("cpu.stat"),
];

const USAGE_ALL: usize = 0;
const USAGE_PERCPU: usize = 1;

static USAGE_FILES: [FileSpec; 2] = [
    FileSpec::whole("cpuacct.usage_all"),
    FileSpec::whole("cpuacct.usage_percpu"),
];

/// The files of a cgroup and the quota files of its ancestors.
#[derive(Debug)]
pub(crate) struct Cpu {
    cgroup: Arc<Cgroup>,
    levels: Box<[Level]>,
    tightest: AtomicUsize,
    // Whether the last look-up found a quota. True before the first one.
    limited: AtomicBool,
    held_back: HeldBack,
    usage: KeptFiles<2>,
    samples: Mutex<Samples>,
}

/// Last values of the cgroup's own `cpu.stat`.
#[derive(Debug)]
struct HeldBack {
    ns: AtomicU64,
    // A quota may have throttled since.
    may_have_grown: AtomicBool,
}

/// Last values of `cpuacct.usage_all`: user and system time by CPU, ns.
#[derive(Debug, Default)]
struct Samples {
    read: Option<Instant>,
    by_cpu: Vec<(u64, u64)>,
}

impl Cpu {
    pub(crate) fn new(cgroup: &Arc<Cgroup>) -> Self {
        let level = |dir| Level::new(dir, &QUOTA_FILES);
        Self {
            cgroup: Arc::clone(cgroup),
            levels: cgroup.levels().map(level).collect(),
            tightest: AtomicUsize::new(0),
            limited: AtomicBool::new(true),
            held_back: HeldBack {
                ns: AtomicU64::new(0),
                may_have_grown: AtomicBool::new(true),
            },
            usage: KeptFiles::new(cgroup.own(), &USAGE_FILES),
            samples: Mutex::default(),
        }
    }

    pub(crate) fn quota(&self, text: &mut Vec<u8>) -> Result<Option<CpuQuota>, HostError> {
        let mut tightest = Tightest::default();
        for (height, level) in self.levels.iter().enumerate() {
            let quota = level.at(QUOTA).parse(text, single_value::signed)?;
            if quota.is_none() && height == 0 {
                self.cgroup.ensure_alive()?;
            }
            // Absent, or -1: no limit here.
            let Some(Ok(quota)) = quota.map(u64::try_from) else {
                continue;
            };
            let period = level
                .at(PERIOD)
                .parse(text, single_value::number)?
                .unwrap_or(0);
            if period > 0 {
                let here = CpuQuota { quota, period };
                tightest.consider(height, here);
            }
        }
        let tightest = tightest.note(&self.tightest);
        self.limited.store(tightest.is_some(), Ordering::Relaxed);
        Ok(tightest)
    }

    pub(crate) fn usage(
        &self,
        per_cpu: &mut Vec<PerCpu>,
        tick: Duration,
        text: &mut Vec<u8>,
    ) -> Result<Option<CpuUsage>, HostError> {
        let usage_percpu = self.usage.at(USAGE_PERCPU);
        if !usage_percpu.read(text)? {
            self.cgroup.ensure_alive()?;
            return Ok(None);
        }
        for usage in cpuacct::usage_percpu(text) {
            let (cpu, total) = usage.map_err(|e| HostError::malformed(&usage_percpu.path(), e))?;
            per_cpu.push(PerCpu {
                cpu,
                total,
                user: 0,
                system: 0,
            });
        }
        self.sample(per_cpu, tick, text)?;
        let sum = |of: fn(&PerCpu) -> u64| per_cpu.iter().map(of).fold(0, u64::saturating_add);
        let (user, system) = PerCpu::split(sum(|p| p.total), sum(|p| p.user), sum(|p| p.system));
        Ok(Some(CpuUsage {
            user,
            system,
            ..CpuUsage::default()
        }))
    }

    /// Adds the sampled user and system time of each CPU.
    fn sample(
        &self,
        per_cpu: &mut [PerCpu],
        tick: Duration,
        text: &mut Vec<u8>,
    ) -> Result<(), HostError> {
        let mut samples = self.samples.lock();
        let is_new = samples.read.is_some_and(|read| read.elapsed() < tick);
        if !is_new {
            samples.read = None;
            samples.by_cpu.clear();
            // Since Linux 4.7.
            let usage_all = self.usage.at(USAGE_ALL);
            if usage_all.read(text)? {
                for usage in cpuacct::usage_all(text) {
                    let malformed = |e| HostError::malformed(&usage_all.path(), e);
                    let usage = usage.map_err(malformed)?;
                    // Both files list the CPUs from 0 on.
                    let index = usize::try_from(usage.cpu).unwrap_or(usize::MAX);
                    if index < per_cpu.len() {
                        samples.by_cpu.resize(index + 1, (0, 0));
                        samples.by_cpu[index] = (usage.user, usage.system);
                    }
                }
            }
            samples.read = Some(Instant::now());
        }
        for (cpu, (user, system)) in per_cpu.iter_mut().zip(&samples.by_cpu) {
            (cpu.user, cpu.system) = (*user, *system);
        }
        Ok(())
    }

    /// Level of the throttling quota and the throttled time in ns; 0 where the kernel has no
    /// bandwidth control.
    pub(crate) fn throttled(&self, text: &mut Vec<u8>) -> Result<(usize, u64), HostError> {
        let find = |text: &[u8]| flat_keyed::find(text, b"throttled_time");
        let limited = self.limited.load(Ordering::Relaxed);
        if !limited && !self.held_back.may_have_grown.load(Ordering::Relaxed) {
            return Ok((0, self.held_back.ns.load(Ordering::Relaxed)));
        }
        let by = self.tightest.load(Ordering::Relaxed);
        let Some(level) = self.levels.get(by) else {
            return Ok((0, 0));
        };
        let ns = level.at(STAT).parse(text, find)?.flatten().unwrap_or(0);
        if by == 0 {
            self.held_back.ns.store(ns, Ordering::Relaxed);
        }
        let may_have_grown = limited || by != 0;
        let of_own = &self.held_back.may_have_grown;
        of_own.store(may_have_grown, Ordering::Relaxed);
        Ok((by, ns))
    }
}
