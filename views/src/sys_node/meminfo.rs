//! A node's `meminfo` and its counts of huge pages.
//!
//! The kernel has no limit by node: the container's holds for all of its nodes together. Each visible
//! node is shown its share of it, so that a sum over the nodes is what `/proc/meminfo` shows:
//!
//! - `MemTotal` = limit x the node's total / total of the visible nodes;
//! - `MemFree`: of the container's free memory, what falls to the node as its `MemTotal` - its use is
//!   to that of all; never more, together, than is free in the container;
//! - `MemUsed` = `MemTotal` - `MemFree`;
//! - statistics: memory.numa_stat.
//!
//! Huge pages of the default size are shared out in the same way. Without a memory controller the
//! host's values are shown.

use vistafs_cgroup::{HugetlbFigures, MemoryFigures, MemoryWanted, NodeMemory};
use vistafs_text::number::push_u64;
use vistafs_text::{ParseError, meminfo};
use vistafs_view::ViewError;

use crate::memory_fields::statistic;
use crate::sys_tree::Seen;
use crate::unknown_fields::UnknownFields;

/// The host's memory on one node: bytes, and huge pages.
#[derive(Debug, Clone, Copy, Default)]
struct HostNode {
    node: u32,
    total: u64,
    huge_total: u64,
    huge_free: u64,
}

/// Memory shown for a node: bytes, and huge pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Shown {
    total: u64,
    free: u64,
    huge_total: u64,
    huge_free: u64,
}

/// Appends the meminfo of a visible node. `false`: it is the host's.
pub(super) fn push(
    node: u32,
    seen: &mut Seen<'_>,
    unknown: &UnknownFields,
    out: &mut Vec<u8>,
) -> Result<bool, ViewError> {
    let Some(figures) = seen.context().memory(MemoryWanted::USAGE)? else {
        return Ok(false);
    };
    let nodes = host_nodes(seen)?;
    let used = seen.context().memory_by_node()?;
    let mut shown = memory_of(node, &figures, &nodes, &used);
    (shown.huge_total, shown.huge_free) = huge_pages_of(node, &nodes, seen)?;
    let of_node = used.iter().find(|used| used.node == node);
    let stat = of_node.map(|used| used.stat).unwrap_or_default();

    let path = meminfo_path(node);
    let text = seen.host_text(&path)?;
    for line in meminfo::lines(&text) {
        let line = line.map_err(|source| seen.malformed(&path, source))?;
        let key = label(line.key);
        let kib = |bytes: u64| bytes / 1024;
        let value = match key {
            b"MemTotal" => kib(shown.total),
            b"MemFree" => kib(shown.free),
            b"MemUsed" => kib(shown.total) - kib(shown.free),
            b"HugePages_Total" => shown.huge_total,
            b"HugePages_Free" => shown.huge_free,
            b"HugePages_Surp" => 0,
            key => statistic(key, &stat).map_or_else(
                || {
                    unknown.note("meminfo of nodes", key);
                    0
                },
                kib,
            ),
        };
        line.push_with(value, out);
    }
    Ok(true)
}

/// Appends a count of the huge pages of one size in a visible node. `false`: it is the host's.
pub(super) fn push_huge_pages(
    node: u32,
    size: &str,
    count: &str,
    seen: &mut Seen<'_>,
    out: &mut Vec<u8>,
) -> Result<bool, ViewError> {
    let default = seen.context().host().huge_page_size()?;
    if default.is_none_or(|bytes| size != format!("hugepages-{}kB", bytes / 1024)) {
        return Ok(false);
    }
    let nodes = host_nodes(seen)?;
    let (total, free) = huge_pages_of(node, &nodes, seen)?;
    let value = match count {
        "nr_hugepages" => total,
        "free_hugepages" => free,
        "surplus_hugepages" => 0,
        _ => return Ok(false),
    };
    push_u64(out, value);
    out.push(b'\n');
    Ok(true)
}

fn meminfo_path(node: u32) -> String {
    format!("node{node}/meminfo")
}

/// A line's label without the `Node N ` before it.
fn label(key: &[u8]) -> &[u8] {
    key.rsplit(|byte| *byte == b' ').next().unwrap_or(key)
}

/// The host's memory on the visible nodes.
fn host_nodes(seen: &mut Seen<'_>) -> Result<Vec<HostNode>, ViewError> {
    let visible = seen.nodes()?.clone();
    let read = |node| {
        let path = meminfo_path(node);
        let text = seen.host_text(&path)?;
        seen.parsed(&path, &text, |text| host_node(node, text))
    };
    visible.iter().map(read).collect()
}

fn host_node(node: u32, text: &[u8]) -> Result<HostNode, ParseError> {
    let mut host = HostNode {
        node,
        ..HostNode::default()
    };
    let mut has_total = false;
    for line in meminfo::lines(text) {
        let line = line?;
        match label(line.key) {
            b"MemTotal" => {
                host.total = line.value.saturating_mul(1024);
                has_total = true;
            }
            b"HugePages_Total" => host.huge_total = line.value,
            b"HugePages_Free" => host.huge_free = line.value,
            _ => {}
        }
    }
    match has_total {
        true => Ok(host),
        false => Err(ParseError::new("MemTotal", 1, text)),
    }
}

fn memory_of(node: u32, figures: &MemoryFigures, nodes: &[HostNode], used: &[NodeMemory]) -> Shown {
    let sum = nodes.iter().map(|n| n.total).fold(0, u64::saturating_add);
    let limit = figures.limit.or_total(sum);
    let total_of = |host: &HostNode| share(limit, host.total, sum);
    // Free memory if each node had a separate limit.
    let room_of = |host: &HostNode| {
        let used = used.iter().find(|used| used.node == host.node);
        total_of(host).saturating_sub(used.map_or(0, |used| used.usage))
    };
    let room = nodes.iter().map(room_of).fold(0, u64::saturating_add);
    let free = limit.saturating_sub(figures.usage).min(room);
    let own = nodes.iter().find(|host| host.node == node);
    own.map_or_else(Shown::default, |host| Shown {
        total: total_of(host),
        free: share(free, room_of(host), room),
        ..Shown::default()
    })
}

/// Total and free huge pages of the default size.
fn huge_pages_of(
    node: u32,
    nodes: &[HostNode],
    seen: &mut Seen<'_>,
) -> Result<(u64, u64), ViewError> {
    let figures = seen.context().huge_pages()?;
    let size = seen.context().host().huge_page_size()?;
    Ok(shared_huge_pages(node, nodes, figures, size))
}

fn shared_huge_pages(
    node: u32,
    nodes: &[HostNode],
    figures: Option<HugetlbFigures>,
    size: Option<u64>,
) -> (u64, u64) {
    let Some(host) = nodes.iter().find(|host| host.node == node) else {
        return (0, 0);
    };
    let (Some(figures), Some(size)) = (figures, size.filter(|size| *size > 0)) else {
        return (host.huge_total, host.huge_free);
    };
    let sum = |of: fn(&HostNode) -> u64| nodes.iter().map(of).fold(0, u64::saturating_add);
    let (all, all_free) = (sum(|n| n.huge_total), sum(|n| n.huge_free));
    let limit = figures.limit.or_total(all.saturating_mul(size)) / size;
    let free = limit.saturating_sub(figures.usage / size).min(all_free);
    let total = share(limit, host.huge_total, all);
    (total, share(free, host.huge_free, all_free).min(total))
}

/// The share of `amount` that falls to `part` of `whole`, rounded down.
fn share(amount: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(amount) * u128::from(part.min(whole));
    let share = product.checked_div(u128::from(whole)).unwrap_or(0);
    // No more than the amount.
    u64::try_from(share).unwrap_or(amount)
}

#[cfg(test)]
mod tests {
    use vistafs_cgroup::{MemoryStat, SwapFigures};
    use vistafs_text::Limit;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn figures(limit: Limit, usage: u64) -> MemoryFigures {
        MemoryFigures {
            limit,
            usage,
            stat: MemoryStat::default(),
            headroom: Limit::Max,
            ancestors_headroom: Limit::Max,
            swap: SwapFigures::NotAccounted,
        }
    }

    fn host(node: u32, total: u64) -> HostNode {
        HostNode {
            node,
            total,
            huge_total: 10,
            huge_free: 6,
        }
    }

    fn uses(node: u32, usage: u64) -> NodeMemory {
        NodeMemory {
            node,
            usage,
            ..NodeMemory::default()
        }
    }

    fn total_and_free(figures: &MemoryFigures, used: &[NodeMemory]) -> [(u64, u64); 2] {
        let nodes = [host(0, 12 * GIB), host(2, 4 * GIB)];
        [0, 2].map(|node| {
            let shown = memory_of(node, figures, &nodes, used);
            (shown.total, shown.free)
        })
    }

    #[test]
    fn the_limit_is_shared_by_the_sizes_of_the_nodes() {
        let four = figures(Limit::Value(4 * GIB), GIB);
        let even = total_and_free(&four, &[uses(0, GIB)]);
        assert_eq!(even, [(3 * GIB, 2 * GIB), (GIB, GIB)]);
        let without_numbers = total_and_free(&four, &[]);
        let three_quarters = 3 * GIB * 3 / 4;
        assert_eq!(without_numbers[0], (3 * GIB, three_quarters));
        let unlimited = total_and_free(&figures(Limit::Max, 0), &[]);
        assert_eq!(unlimited, [(12 * GIB, 12 * GIB), (4 * GIB, 4 * GIB)]);
    }

    /// A node may use more than its share; the excess reduces the free memory of the other nodes.
    #[test]
    fn no_more_is_free_than_in_the_container() {
        let four = figures(Limit::Value(4 * GIB), 3 * GIB);
        let shown = total_and_free(&four, &[uses(2, 3 * GIB)]);
        assert_eq!(shown, [(3 * GIB, GIB), (GIB, 0)]);
        let full = figures(Limit::Value(4 * GIB), 5 * GIB);
        let shown = total_and_free(&full, &[uses(0, 5 * GIB)]);
        assert_eq!(shown, [(3 * GIB, 0), (GIB, 0)]);
    }

    #[test]
    fn huge_pages_are_shared_alike() {
        let nodes = [host(0, GIB), host(1, GIB)];
        let limited = |limit, usage| {
            let figures = Some(HugetlbFigures { limit, usage });
            shared_huge_pages(1, &nodes, figures, Some(1024))
        };
        assert_eq!(limited(Limit::Max, 0), (10, 6));
        assert_eq!(limited(Limit::Value(8 * 1024), 2 * 1024), (4, 3));
        assert_eq!(limited(Limit::Value(0), 0), (0, 0));
        assert_eq!(shared_huge_pages(1, &nodes, None, Some(1024)), (10, 6));
        assert_eq!(shared_huge_pages(5, &nodes, None, None), (0, 0));
    }

    #[test]
    fn absurd_numbers_are_cut() {
        assert_eq!(share(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(share(u64::MAX, 5, 3), u64::MAX);
        assert_eq!(share(7, 0, 0), 0);
        let nodes = [host(0, u64::MAX), host(2, u64::MAX)];
        let shown = memory_of(0, &figures(Limit::Max, 0), &nodes, &[]);
        assert!(shown.free <= shown.total);
    }
}
