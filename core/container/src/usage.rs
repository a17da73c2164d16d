//! Resource usage per tenant, for the metrics.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::budgets;
use crate::{Account, Containers, Queue};

/// The daemon resources that one tenant uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Short ID of the tenant, the same in every worker; 0: callers on the host.
    pub tag: u32,
    /// The outermost cgroup of its containers. `None`: no container was found yet.
    pub cgroup: Option<PathBuf>,
    /// Total duration of its requests, except those of views that wait for commands or plugins.
    pub served: Duration,
    /// CPU time of the requests that ran in its queues.
    pub queue_cpu: Duration,
    /// Bytes of contents and listings that its open files cache.
    pub held_bytes: usize,
    /// Bytes charged for its waiting requests, including the data of writes.
    pub waiting_bytes: usize,
    /// Waiting requests that cost time.
    pub waiting_work: usize,
    /// Waiting requests of views that wait for commands or plugins.
    pub waiting_slow: usize,
    /// Open files and directories.
    pub open_files: usize,
    /// Descriptors that are held for its namespaces.
    pub descriptors: usize,
    /// Offload threads that serve it now.
    pub threads: usize,
}

impl Usage {
    fn of(account: &Account, namespaces: usize) -> Self {
        let queues = [&account.work, &account.waits];
        let sum = |of: fn(&Queue) -> usize| queues.iter().map(|queue| of(queue)).sum();
        Self {
            tag: account.tag(),
            cgroup: account.cgroup(),
            served: account.pace.served(),
            queue_cpu: queues.iter().map(|queue| queue.cpu_time()).sum(),
            held_bytes: account.held.bytes(),
            waiting_bytes: sum(Queue::waiting_bytes),
            waiting_work: account.work.len(),
            waiting_slow: account.waits.len(),
            open_files: account.held.files(),
            descriptors: namespaces * budgets::DESCRIPTORS_OF_NAMESPACES,
            threads: sum(|queue| usize::from(queue.is_in_service())),
        }
    }

    /// Returns its largest share of any budget or of the time of all tenants, in millionths.
    fn share(&self, all_served: Duration) -> u128 {
        let of = |used: u128, budget: u128| used.saturating_mul(1_000_000) / budget.max(1);
        let budget = |used: usize, budget: usize| of(used as u128, budget as u128);
        let descriptors = budgets::NAMESPACES * budgets::DESCRIPTORS_OF_NAMESPACES;
        [
            of(self.served.as_nanos(), all_served.as_nanos()),
            budget(self.held_bytes, budgets::HELD_BYTES),
            budget(self.waiting_bytes, budgets::WAITING_BYTES),
            budget(self.open_files, budgets::OPEN_FILES),
            budget(self.descriptors, descriptors),
        ]
        .into_iter()
        .max()
        .unwrap_or_default()
    }
}

impl Containers {
    /// Returns up to `most` tenants with the largest share of any budget or of the time of all
    /// requests, largest first; callers on the host count as one. Tags are unique in the result.
    #[must_use]
    pub fn top_usage(&self, most: usize) -> Vec<Usage> {
        let of = |(account, namespaces): (Arc<Account>, usize)| Usage::of(&account, namespaces);
        let mut all: Vec<Usage> = self.accounts().into_iter().map(of).collect();
        all.push(Usage::of(self.host_account(), 0));
        top(all, most)
    }
}

fn top(mut all: Vec<Usage>, most: usize) -> Vec<Usage> {
    let served = all.iter().map(|usage| usage.served).sum();
    all.sort_by_cached_key(|usage| (std::cmp::Reverse(usage.share(served)), usage.tag));
    // Two tenants may share a tag. Two samples with the same labels would make the output invalid.
    let mut seen = std::collections::HashSet::new();
    all.retain(|usage| seen.insert(usage.tag));
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_most_of_anything_comes_first() {
        let idle = |tag| Usage {
            tag,
            ..Usage::default()
        };
        let busy = Usage {
            served: Duration::from_secs(9),
            ..idle(3)
        };
        let holds = Usage {
            held_bytes: budgets::HELD_BYTES / 2,
            ..idle(4)
        };
        let waits = Usage {
            waiting_bytes: budgets::WAITING_BYTES,
            served: Duration::from_secs(1),
            ..idle(5)
        };
        let all = vec![idle(1), busy, idle(2), holds, waits, idle(3)];
        let tags = |most| {
            top(all.clone(), most)
                .iter()
                .map(|u| u.tag)
                .collect::<Vec<_>>()
        };
        assert_eq!(tags(10), [5, 3, 4, 1, 2]);
        assert_eq!(tags(2), [5, 3]);
    }
}
