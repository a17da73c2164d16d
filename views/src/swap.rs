//! The container's swap, as `proc/meminfo` and `proc/swaps` show it alike.
//!
//! v2: total = min(limit, host's), used = memory.swap.current. v1: memory and swap are one pool;
//! total = min(the pool's limit - memory's limit, host's), used = the pool's usage - memory's
//! usage. If swappiness is 0 the container cannot swap: total = used. In both versions total is at
//! least used, and at most the host's.

use vistafs_cgroup::{MemoryFigures, SwapFigures};
use vistafs_text::Limit;

/// Bytes of swap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swap {
    pub(crate) total: u64,
    /// At most `total`.
    pub(crate) used: u64,
}

impl Swap {
    /// `host_total`: the host's swap, in bytes.
    pub(crate) fn of(figures: &MemoryFigures, host_total: u64) -> Self {
        let (total, used) = match figures.swap {
            SwapFigures::NotAccounted => (0, 0),
            SwapFigures::Apart { limit, usage } => (limit.or_total(host_total), usage),
            SwapFigures::Pool {
                limit,
                usage,
                swappiness,
            } => {
                let used = usage.saturating_sub(figures.usage);
                let total = match (limit, figures.limit) {
                    _ if swappiness == Some(0) => used,
                    (Limit::Value(pool), Limit::Value(memory)) => pool.saturating_sub(memory),
                    (pool, _) => pool.or_total(host_total),
                };
                (total, used)
            }
        };
        let used = used.min(host_total);
        Self {
            total: total.clamp(used, host_total.max(used)),
            used,
        }
    }

    pub(crate) fn free(self) -> u64 {
        self.total - self.used
    }
}

#[cfg(test)]
mod tests {
    use vistafs_cgroup::MemoryStat;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn swap_of_each_kind() {
        let apart = |limit, usage| SwapFigures::Apart { limit, usage };
        let pool = |limit, usage, swappiness| SwapFigures::Pool {
            limit: Limit::Value(limit),
            usage,
            swappiness,
        };
        let rows = [
            ("none", SwapFigures::NotAccounted, (0, 0)),
            (
                "v2 limit",
                apart(Limit::Value(128 * MIB), 28 * MIB),
                (128, 28),
            ),
            ("v2 max", apart(Limit::Max, 28 * MIB), (300, 28)),
            (
                "v2 lowered below use",
                apart(Limit::Value(8 * MIB), 28 * MIB),
                (28, 28),
            ),
            (
                "v2 more than the host has",
                apart(Limit::Max, 400 * MIB),
                (300, 300),
            ),
            ("v1 pool", pool(512 * MIB, 150 * MIB, Some(60)), (256, 50)),
            (
                "v1 large pool",
                pool(900 * MIB, 150 * MIB, Some(60)),
                (300, 50),
            ),
            ("v1 small pool", pool(280 * MIB, 110 * MIB, None), (24, 10)),
            (
                "v1 more swapped out than that",
                pool(280 * MIB, 150 * MIB, None),
                (50, 50),
            ),
            (
                "v1 pool = memory",
                pool(256 * MIB, 100 * MIB, Some(60)),
                (0, 0),
            ),
            (
                "v1 swappiness 0",
                pool(512 * MIB, 150 * MIB, Some(0)),
                (50, 50),
            ),
            (
                "v1 pool usage below memory's",
                pool(512 * MIB, 90 * MIB, Some(60)),
                (256, 0),
            ),
        ];
        for (name, swap, (total, used)) in rows {
            let figures = MemoryFigures {
                limit: Limit::Value(256 * MIB),
                usage: 100 * MIB,
                stat: MemoryStat::default(),
                headroom: Limit::Max,
                ancestors_headroom: Limit::Max,
                swap,
            };
            let swap = Swap::of(&figures, 300 * MIB);
            assert_eq!((swap.total / MIB, swap.used / MIB), (total, used), "{name}");
            assert_eq!(swap.free() / MIB, total - used, "{name}");
            let none = Swap::of(&figures, 0);
            assert_eq!(none, Swap::default(), "{name}, on a host without swap");
        }
    }
}
