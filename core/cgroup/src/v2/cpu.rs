//! v2 CPU files, `cgroup-v2.rst`, "CPU Interface Files".
//!
//! `cpu.stat` is in every cgroup, also where the controller is not enabled; `cpu.max` only where it
//! is, and never in the root. No number is kept per CPU.

use std::sync::Arc;

use vistafs_host::{Dir, HostError, KeptFile, Shape};
use vistafs_text::{Limit, ParseError, flat_keyed, quota};

use crate::Cgroup;
use crate::cpu::{CpuQuota, CpuUsage};

/// The files of a cgroup and the quota files of its ancestors.
#[derive(Debug)]
pub(crate) struct Cpu {
    cgroup: Arc<Cgroup>,
    quotas: Vec<KeptFile>,
    stat: KeptFile,
}

impl Cpu {
    pub(crate) fn new(cgroup: &Arc<Cgroup>) -> Self {
        let file = |dir: &Arc<Dir>, name| KeptFile::new(Arc::clone(dir), name, Shape::Whole);
        Self {
            cgroup: Arc::clone(cgroup),
            quotas: cgroup
                .levels()
                .iter()
                .map(|dir| file(dir, "cpu.max"))
                .collect(),
            stat: file(cgroup.own(), "cpu.stat"),
        }
    }

    pub(crate) fn quota(&self, text: &mut Vec<u8>) -> Result<Option<CpuQuota>, HostError> {
        let mut tightest: Option<CpuQuota> = None;
        for (height, file) in self.quotas.iter().enumerate() {
            let Some(max) = file.parse(text, quota::parse)? else {
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
                tightest = Some(tightest.map_or(here, |known| known.tighter(here)));
            }
        }
        Ok(tightest)
    }

    pub(crate) fn usage(&self, text: &mut Vec<u8>) -> Result<Option<CpuUsage>, HostError> {
        let usage = self.stat.parse(text, usage_of)?;
        if usage.is_none() {
            self.cgroup.ensure_alive()?;
        }
        Ok(usage)
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
    // The kernel's user time includes the nice part, which is sampled at ticks and may seem more.
    let nice = nice.min(user);
    Ok(CpuUsage {
        user: user - nice,
        nice,
        system,
        throttled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nice_is_taken_out_of_user() {
        let usage =
            usage_of(b"usage_usec 30\nuser_usec 20\nsystem_usec 10\nnice_usec 5\n").unwrap();
        assert_eq!(
            (usage.user, usage.nice, usage.system),
            (15_000, 5_000, 10_000)
        );
        assert_eq!(usage.total(), 30_000);
    }
}
