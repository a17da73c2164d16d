//! v2 CPU files, `cgroup-v2.rst`, "CPU Interface Files".
//!
//! Every cgroup has `cpu.stat`, also where the controller is not enabled; `cpu.max` exists only
//! where it is, and never in the root. v2 has no counters per CPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use vistafs_host::{FileSpec, HostError, KeptFiles};
use vistafs_text::{Limit, ParseError, flat_keyed, quota};

use crate::Cgroup;
use crate::cpu::{CpuQuota, CpuUsage, Tightest};

const MAX: usize = 0;
const STAT: usize = 1;

static FILES: [FileSpec; 2] = [FileSpec::whole("cpu.max"), FileSpec::whole("cpu.stat")];

/// The files of a cgroup and the quota files of its ancestors.
#[derive(Debug)]
pub(crate) struct Cpu {
    cgroup: Arc<Cgroup>,
    // Own files first.
    levels: Box<[KeptFiles<2>]>,
    tightest: AtomicUsize,
}

impl Cpu {
    pub(crate) fn new(cgroup: &Arc<Cgroup>) -> Self {
        let level = |dir| KeptFiles::new(dir, &FILES);
        Self {
            cgroup: Arc::clone(cgroup),
            levels: cgroup.levels().map(level).collect(),
            tightest: AtomicUsize::new(0),
        }
    }

    pub(crate) fn quota(&self, text: &mut Vec<u8>) -> Result<Option<CpuQuota>, HostError> {
        let mut tightest = Tightest::default();
        for (height, level) in self.levels.iter().enumerate() {
            let Some(max) = level.at(MAX).parse(text, quota::parse)? else {
                if height == 0 {
                    self.cgroup.ensure_alive()?;
                }
                continue;
            };
            if let Limit::Value(quota) = max.quota {
                let here = CpuQuota {
                    quota,
                    period: max.period,
                };
                tightest.consider(height, here);
            }
        }
        Ok(tightest.note(&self.tightest))
    }

    pub(crate) fn usage(&self, text: &mut Vec<u8>) -> Result<Option<CpuUsage>, HostError> {
        let own = match self.levels.first() {
            Some(own) => own.at(STAT).parse(text, usage_of)?,
            None => None,
        };
        let Some(mut usage) = own else {
            self.cgroup.ensure_alive()?;
            return Ok(None);
        };
        let level = self.tightest.load(Ordering::Relaxed);
        if level > 0
            && let Some(ancestor) = self.levels.get(level)
            && let Some(held_back) = ancestor.at(STAT).parse(text, usage_of)?
        {
            usage.throttled = held_back.throttled;
            usage.throttled_by = level;
        }
        Ok(Some(usage))
    }
}

fn usage_of(text: &[u8]) -> Result<CpuUsage, ParseError> {
    let (mut user, mut system) = (None, None);
    let (mut nice, mut throttled) = (0, 0);
    for entry in flat_keyed::entries(text) {
        let (key, micros) = entry?;
        let ns = micros.saturating_mul(1000);
        match key {
            b"user_usec" => user = Some(ns),
            b"system_usec" => system = Some(ns),
            b"nice_usec" => nice = ns,
            b"throttled_usec" => throttled = ns,
            _ => {}
        }
    }
    let (Some(user), Some(system)) = (user, system) else {
        return Err(ParseError::new("user_usec and system_usec", 1, text));
    };
    Ok(CpuUsage {
        user,
        nice,
        system,
        throttled,
        throttled_by: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_are_the_usage() {
        let usage =
            usage_of(b"usage_usec 30\nuser_usec 20\nsystem_usec 10\nnice_usec 5\n").unwrap();
        assert_eq!(
            (usage.user, usage.nice, usage.system),
            (20_000, 5_000, 10_000)
        );
        assert_eq!(usage.user + usage.system, 30_000);
        assert!(usage_of(b"usage_usec 30\n").is_err());
    }
}
