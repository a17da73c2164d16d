//! v2 memory controller, `cgroup-v2.rst`, "Memory Interface Files".
//!
//! A cgroup whose controller is not enabled has none of the files; neither has the root.

use std::sync::Arc;

use vistafs_host::{Dir, FileSpec, HostError, Kept, KeptFiles};
use vistafs_text::{Limit, ParseError, flat_keyed, numa_stat, single_value};

use crate::memory::{self, MemoryStat, NodeMemory, SwapFigures};

/// The files of one cgroup.
#[derive(Debug)]
pub(crate) struct Level(KeptFiles<8>);

const LIMIT: usize = 0;
const USAGE: usize = 1;
const STAT: usize = 2;
const NUMA_STAT: usize = 3;
const SWAP_LIMIT: usize = 4;
const SWAP_USAGE: usize = 5;
const EVENTS: usize = 6;
const HIGH: usize = 7;

static FILES: [FileSpec; 8] = [
    FileSpec::whole("memory.max"),
    FileSpec::whole("memory.current"),
    FileSpec::whole("memory.stat"),
    FileSpec::whole("memory.numa_stat"),
    FileSpec::whole("memory.swap.max"),
    FileSpec::whole("memory.swap.current"),
    FileSpec::whole("memory.events"),
    FileSpec::whole("memory.high"),
];

impl Level {
    pub(crate) fn new(dir: &Arc<Dir>) -> Self {
        Self(KeptFiles::new(dir, &FILES))
    }
}

impl memory::Level for Level {
    fn limit(&self, _page_size: u64, text: &mut Vec<u8>) -> Result<Option<Limit>, HostError> {
        self.0.at(LIMIT).parse(text, single_value::limit_v2)
    }

    fn high(&self, text: &mut Vec<u8>) -> Result<Limit, HostError> {
        let high = self.0.at(HIGH).parse(text, single_value::limit_v2)?;
        Ok(high.unwrap_or(Limit::Max))
    }

    fn usage(&self, text: &mut Vec<u8>) -> Result<Option<u64>, HostError> {
        self.0.at(USAGE).parse(text, single_value::number)
    }

    fn stat(&self, text: &mut Vec<u8>) -> Result<MemoryStat, HostError> {
        self.0.at(STAT).parse_required(text, stat_of)
    }

    fn stat_file(&self) -> Kept<'_> {
        self.0.at(STAT)
    }

    fn counter(key: &[u8]) -> Option<&[u8]> {
        // The other keys are bytes, under names that /proc/vmstat does not have.
        Some(key)
    }

    fn oom_kills(&self, text: &mut Vec<u8>) -> Result<u64, HostError> {
        let find = |text: &[u8]| flat_keyed::find(text, b"oom_kill");
        Ok(self.0.at(EVENTS).parse(text, find)?.flatten().unwrap_or(0))
    }

    fn by_node(
        &self,
        _page_size: u64,
        text: &mut Vec<u8>,
    ) -> Result<Option<Vec<NodeMemory>>, HostError> {
        self.0.at(NUMA_STAT).parse(text, nodes_of)
    }

    fn swap_limit(&self, _page_size: u64, text: &mut Vec<u8>) -> Result<Option<Limit>, HostError> {
        self.0.at(SWAP_LIMIT).parse(text, single_value::limit_v2)
    }

    fn swap(&self, limit: Limit, text: &mut Vec<u8>) -> Result<SwapFigures, HostError> {
        Ok(SwapFigures::Apart {
            limit,
            usage: self
                .0
                .at(SWAP_USAGE)
                .parse(text, single_value::number)?
                .unwrap_or(0),
        })
    }
}

fn stat_of(text: &[u8]) -> Result<MemoryStat, ParseError> {
    let mut stat = MemoryStat::default();
    for entry in flat_keyed::entries(text) {
        let (key, value) = entry?;
        if let Some(field) = field(&mut stat, key) {
            *field = value;
        }
    }
    Ok(stat)
}

/// The use of a node is the sum of its page types; the kernel has no total.
fn nodes_of(text: &[u8]) -> Result<Vec<NodeMemory>, ParseError> {
    let mut nodes = Vec::new();
    for entry in numa_stat::entries(text) {
        let entry = entry?;
        for value in entry.nodes() {
            let (node, bytes) = value?;
            let of_node = memory::of_node(&mut nodes, node);
            if let Some(field) = field(&mut of_node.stat, entry.key) {
                *field = bytes;
            }
        }
    }
    for NodeMemory { usage, stat, .. } in &mut nodes {
        let kernel = [
            stat.kernel_stack,
            stat.page_tables,
            stat.sec_page_tables,
            stat.slab_reclaimable,
            stat.slab_unreclaimable,
        ];
        let parts = [stat.anon, stat.file].into_iter().chain(kernel);
        *usage = parts.fold(0, u64::saturating_add);
    }
    Ok(nodes)
}

/// Returns the statistic of a key, which memory.stat and memory.numa_stat share.
fn field<'s>(stat: &'s mut MemoryStat, key: &[u8]) -> Option<&'s mut u64> {
    Some(match key {
        b"anon" => &mut stat.anon,
        b"file" => &mut stat.file,
        b"shmem" => &mut stat.shmem,
        b"swapcached" => &mut stat.swap_cached,
        b"file_mapped" => &mut stat.file_mapped,
        b"file_dirty" => &mut stat.file_dirty,
        b"file_writeback" => &mut stat.file_writeback,
        b"active_anon" => &mut stat.active_anon,
        b"inactive_anon" => &mut stat.inactive_anon,
        b"active_file" => &mut stat.active_file,
        b"inactive_file" => &mut stat.inactive_file,
        b"unevictable" => &mut stat.unevictable,
        b"slab_reclaimable" => &mut stat.slab_reclaimable,
        b"slab_unreclaimable" => &mut stat.slab_unreclaimable,
        b"kernel_stack" => &mut stat.kernel_stack,
        b"pagetables" => &mut stat.page_tables,
        b"sec_pagetables" => &mut stat.sec_page_tables,
        b"percpu" => &mut stat.percpu,
        b"zswap" => &mut stat.zswap,
        b"zswapped" => &mut stat.zswapped,
        b"anon_thp" => &mut stat.anon_thp,
        b"file_thp" => &mut stat.file_thp,
        b"shmem_thp" => &mut stat.shmem_thp,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_whole() {
        let stat = stat_of(b"file 10\nfile_mapped 3\nfile_dirty 2\nanon 5\nanon_thp 4\n").unwrap();
        assert_eq!((stat.file, stat.file_mapped, stat.file_dirty), (10, 3, 2));
        assert_eq!((stat.anon, stat.anon_thp), (5, 4));
        assert!(stat_of(b"anon -1\n").is_err());
    }

    #[test]
    fn what_a_node_s_pages_are_for_is_its_use() {
        let text = b"anon N0=1 N1=10\nfile N0=2 N1=20\nshmem N0=2 N1=0\nkernel_stack N0=0 N1=5\n";
        let nodes = nodes_of(text).unwrap();
        let seen: Vec<_> = nodes
            .iter()
            .map(|n| (n.node, n.usage, n.stat.shmem))
            .collect();
        assert_eq!(seen, [(0, 3, 2), (1, 35, 0)]);
        assert!(nodes_of(b"anon N0\n").is_err());
    }
}
