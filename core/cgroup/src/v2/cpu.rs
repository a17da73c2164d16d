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
    quotas: Vec<KeptFile>,
    stat: KeptFile,
}

impl Cpu {
    pub(crate) fn new(cgroup: &Cgroup) -> Self {
        let file = |dir: &Arc<Dir>, name| KeptFile::new(Arc::clone(dir), name, Shape::Whole);
        Self {
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
        for file in &self.quotas {
            if let Some(max) = file.parse(text, quota::parse)?
                && let Limit::Value(quota) = max.quota
            {
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
        self.stat.parse(text, usage_of)
    }
}

fn usage_of(text: &[u8]) -> Result<CpuUsage, ParseError> {
    let mut usage = CpuUsage::default();
    for entry in flat_keyed::entries(text) {
        let (key, micros) = entry?;
        let field = match key {
            b"user_usec" => &mut usage.user,
            b"nice_usec" => &mut usage.nice,
            b"system_usec" => &mut usage.system,
            b"throttled_usec" => &mut usage.throttled,
            _ => continue,
        };
        *field = micros.saturating_mul(1000);
    }
    // The kernel's user time includes the nice part.
    usage.user = usage.user.saturating_sub(usage.nice);
    Ok(usage)
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
