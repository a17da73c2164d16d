//! The arithmetic of `/proc/meminfo`: from the cgroup's and the host's figures to the shown values.

use vistafs_cgroup::{HugetlbFigures, MemoryFigures, MemoryStat};
use vistafs_text::{Limit, ParseError, meminfo};

use crate::memory_fields::statistic;
use crate::swap::Swap;

/// Value of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Bytes of the container.
    Bytes(u64),
    /// Count of the container.
    Count(u64),
    /// The host's line, unchanged.
    Host,
}

/// The host's own figures, bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HostMemory {
    pub(super) total: u64,
    pub(super) available: u64,
    pub(super) swap_total: u64,
    pub(super) commit_limit: u64,
    pub(super) huge_page: u64,
    pub(super) huge_total: u64,
    pub(super) huge_free: u64,
}

impl HostMemory {
    pub(super) fn read(text: &[u8]) -> Result<Self, ParseError> {
        let mut host = Self::default();
        for line in meminfo::lines(text) {
            let line = line?;
            let field = match line.key {
                b"MemTotal" if line.kib => &mut host.total,
                b"MemAvailable" => &mut host.available,
                b"SwapTotal" => &mut host.swap_total,
                b"CommitLimit" => &mut host.commit_limit,
                b"Hugepagesize" => &mut host.huge_page,
                b"HugePages_Total" => &mut host.huge_total,
                b"HugePages_Free" => &mut host.huge_free,
                _ => continue,
            };
            let factor = if line.kib { 1024 } else { 1 };
            *field = line.value.saturating_mul(factor);
        }
        if host.total == 0 {
            return Err(ParseError::new("MemTotal", 1, text));
        }
        Ok(host)
    }
}

/// The container's figures, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) total: u64,
    pub(super) free: u64,
    pub(super) available: u64,
    pub(super) swap: Swap,
    commit_limit: u64,
}

impl Shown {
    pub(super) fn new(
        figures: &MemoryFigures,
        host: &HostMemory,
        show_swap: bool,
        bounded: bool,
    ) -> Self {
        let total = figures.limit.or_total(host.total);
        let free = figures.free(host.total);
        let others = if bounded {
            figures.ancestors_headroom.or_total(host.available)
        } else {
            total
        };
        let available = free
            .saturating_add(figures.stat.reclaimable())
            .min(figures.headroom.or_total(u64::MAX))
            .min(others)
            .min(total);
        let swap = if show_swap {
            Swap::of(figures, host.swap_total)
        } else {
            Swap::default()
        };
        // The host's ratio of the commit limit, applied to the container's total.
        let promised = u128::from(host.commit_limit.saturating_sub(host.swap_total));
        let share = promised * u128::from(total) / u128::from(host.total.max(1));
        Self {
            total,
            free,
            available,
            swap,
            commit_limit: u64::try_from(share)
                .unwrap_or(u64::MAX)
                .saturating_add(swap.total),
        }
    }

    /// Value of the line `key`; `None`: the key is unknown.
    pub(super) fn field(&self, key: &[u8], stat: &MemoryStat) -> Option<Value> {
        let bytes = match key {
            b"MemTotal" => self.total,
            b"MemFree" => self.free,
            b"MemAvailable" => self.available,
            b"SwapTotal" => self.swap.total,
            b"SwapFree" => self.swap.free(),
            b"Zswap" => stat.zswap,
            b"Zswapped" => stat.zswapped,
            b"CommitLimit" => self.commit_limit,
            // A lower bound: memory in use was committed; the kernel does not count committed, unused memory.
            b"Committed_AS" => stat
                .anon
                .saturating_add(stat.shmem)
                .saturating_add(self.swap.used),
            b"Percpu" => stat.percpu,
            b"Buffers" | b"VmallocUsed" | b"VmallocChunk" | b"HardwareCorrupted" | b"CmaTotal"
            | b"CmaFree" | b"EarlyMemtestBad" => 0,
            key if key == b"VmallocTotal" || key.starts_with(b"DirectMap") => {
                return Some(Value::Host);
            }
            key => statistic(key, stat)?,
        };
        Some(Value::Bytes(bytes))
    }
}

/// The lines about huge pages, of the host's default size.
pub(super) fn huge_pages(
    key: &[u8],
    host_value: u64,
    host: &HostMemory,
    figures: Option<&HugetlbFigures>,
) -> Option<Value> {
    let size = host.huge_page;
    // Without a controller the container may use the host's huge pages.
    let (limit, usage) = figures.map_or((Limit::Max, 0), |f| (f.limit, f.usage));
    let pages = |bytes: u64| bytes.checked_div(size).unwrap_or(0);
    let total = match limit {
        Limit::Max => host.huge_total,
        Limit::Value(bytes) => pages(bytes).min(host.huge_total),
    };
    let free = total.saturating_sub(pages(usage)).min(host.huge_free);
    let value = match key {
        b"Hugepagesize" => Value::Host,
        b"HugePages_Total" => Value::Count(total),
        b"HugePages_Free" => Value::Count(free),
        b"HugePages_Rsvd" | b"HugePages_Surp" => Value::Count(0),
        // All sizes on the host; of the default size the container's allowance.
        b"Hugetlb" => Value::Bytes(
            total
                .saturating_mul(size)
                .min(host_value.saturating_mul(1024)),
        ),
        _ => return None,
    };
    Some(value)
}

pub(super) fn without_zswap(stat: MemoryStat) -> MemoryStat {
    MemoryStat {
        zswap: 0,
        zswapped: 0,
        ..stat
    }
}

#[cfg(test)]
mod tests;
