//! The list of CPUs that a container sees, the same in every view.
//!
//! `visible = first ceil(quota / period) of (effective cpuset ∩ online)`, at least one. The quota
//! is the tightest of the cgroup's and its ancestors'; CPUs keep the host's numbers.

use vistafs_cgroup::CpuQuota;
use vistafs_text::CpuSet;

/// Rules for the visible CPUs and their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuPolicy {
    /// Whether a CPU quota shortens the list.
    pub quota: bool,
    /// Whether the visible CPUs are renumbered as 0, 1, 2, ... or keep the host's numbers.
    pub renumber: bool,
}

impl Default for CpuPolicy {
    fn default() -> Self {
        Self {
            quota: true,
            renumber: false,
        }
    }
}

/// Computes the list. `online` is never empty.
pub(crate) fn visible(
    policy: CpuPolicy,
    online: &CpuSet,
    cpuset: Option<&CpuSet>,
    quota: Option<CpuQuota>,
) -> CpuSet {
    let mut visible = match cpuset {
        Some(cpuset) => cpuset.intersection(online),
        None => online.clone(),
    };
    if visible.is_empty() {
        // All of its CPUs are offline: the kernel then runs its tasks on any online CPU.
        visible = online.clone();
    }
    if policy.quota
        && let Some(quota) = quota
    {
        visible.keep_first(quota.cpus());
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(quota: bool, cpuset: Option<&str>, cpu_max: Option<(u64, u64)>) -> String {
        let set = |text: &str| CpuSet::parse(text.as_bytes()).unwrap();
        let policy = CpuPolicy {
            quota,
            renumber: false,
        };
        let cpu_quota = cpu_max.map(|(quota, period)| CpuQuota { quota, period });
        visible(policy, &set("0-3,6"), cpuset.map(set).as_ref(), cpu_quota).to_string()
    }

    #[test]
    fn cpuset_online_and_quota_each_cut() {
        assert_eq!(shown(true, None, None), "0-3,6");
        assert_eq!(shown(true, Some("2-7"), None), "2-3,6");
        assert_eq!(shown(true, Some("2-7"), Some((150, 100))), "2-3");
        assert_eq!(shown(true, Some("2-7"), Some((1, 100))), "2");
        assert_eq!(shown(false, Some("2-7"), Some((1, 100))), "2-3,6");
        assert_eq!(shown(true, Some("5"), None), "0-3,6", "offline CPUs only");
        assert_eq!(shown(true, None, Some((u64::MAX, 1))), "0-3,6");
    }
}
