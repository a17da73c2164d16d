//! v1 memory controller, `memory.rst`.
//!
//! The limit files hold "no limit" as the largest page-aligned number. `memory.memsw.*` exist only
//! with swap accounting. `memory.stat` has hierarchical sums under `total_` names and no kernel
//! memory (slab, stacks, page tables). `memory.numa_stat` counts, in pages, the LRU lists:
//! anonymous (with shared memory), file and unevictable.

use std::sync::Arc;

use vistafs_host::{Dir, FileSpec, HostError, Kept, KeptFiles, Shape};
use vistafs_text::{Limit, ParseError, flat_keyed, numa_stat, single_value, slabinfo};

use crate::memory::{self, MemoryStat, NodeMemory, SwapFigures};

/// The files of one cgroup.
#[derive(Debug)]
pub(crate) struct Level(KeptFiles<9>);

const LIMIT: usize = 0;
const USAGE: usize = 1;
const STAT: usize = 2;
const NUMA_STAT: usize = 3;
const POOL_LIMIT: usize = 4;
const POOL_USAGE: usize = 5;
const SWAPPINESS: usize = 6;
const OOM_CONTROL: usize = 7;
const SLABINFO: usize = 8;

static FILES: [FileSpec; 9] = [
    FileSpec::whole("memory.limit_in_bytes"),
    FileSpec::whole("memory.usage_in_bytes"),
    FileSpec::whole("memory.stat"),
    FileSpec::whole("memory.numa_stat"),
    FileSpec::whole("memory.memsw.limit_in_bytes"),
    FileSpec::whole("memory.memsw.usage_in_bytes"),
    FileSpec::whole("memory.swappiness"),
    FileSpec::whole("memory.oom_control"),
    FileSpec::new("memory.kmem.slabinfo", Shape::Records),
];

impl Level {
    pub(crate) fn new(dir: &Arc<Dir>) -> Self {
        Self(KeptFiles::new(dir, &FILES))
    }

    /// Rows of slabs of this cgroup without its descendants: before Linux 5.9, with kernel memory
    /// accounting.
    pub(crate) fn push_slabs(
        &self,
        out: &mut Vec<u8>,
        text: &mut Vec<u8>,
    ) -> Result<(), HostError> {
        let file = self.0.at(SLABINFO);
        if file.read(text)? {
            for row in slabinfo::rows(text) {
                let malformed = |e| HostError::malformed(&file.path(), e);
                out.extend_from_slice(row.map_err(malformed)?);
            }
        }
        Ok(())
    }
}

impl memory::Level for Level {
    fn limit(&self, page_size: u64, text: &mut Vec<u8>) -> Result<Option<Limit>, HostError> {
        self.0
            .at(LIMIT)
            .parse(text, |text| single_value::limit_v1(text, page_size))
    }

    fn high(&self, _text: &mut Vec<u8>) -> Result<Limit, HostError> {
        // The soft limit does not throttle: it only decides which cgroup is reclaimed first.
        Ok(Limit::Max)
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
        let name = key.strip_prefix(b"total_")?;
        // These count charged and uncharged pages, not pages moved to and from disks.
        (!matches!(name, b"pgpgin" | b"pgpgout")).then_some(name)
    }

    fn oom_kills(&self, text: &mut Vec<u8>) -> Result<u64, HostError> {
        // Without descendants: v1 has no hierarchical count.
        let find = |text: &[u8]| flat_keyed::find(text, b"oom_kill");
        Ok(self
            .0
            .at(OOM_CONTROL)
            .parse(text, find)?
            .flatten()
            .unwrap_or(0))
    }

    fn by_node(
        &self,
        page_size: u64,
        text: &mut Vec<u8>,
    ) -> Result<Option<Vec<NodeMemory>>, HostError> {
        self.0
            .at(NUMA_STAT)
            .parse(text, |text| nodes_of(text, page_size))
    }

    fn swap_limit(&self, page_size: u64, text: &mut Vec<u8>) -> Result<Option<Limit>, HostError> {
        self.0
            .at(POOL_LIMIT)
            .parse(text, |text| single_value::limit_v1(text, page_size))
    }

    fn swap(&self, limit: Limit, text: &mut Vec<u8>) -> Result<SwapFigures, HostError> {
        Ok(SwapFigures::Pool {
            limit,
            usage: self
                .0
                .at(POOL_USAGE)
                .parse(text, single_value::number)?
                .unwrap_or(0),
            swappiness: self.0.at(SWAPPINESS).parse(text, single_value::number)?,
        })
    }
}

fn nodes_of(text: &[u8], page_size: u64) -> Result<Vec<NodeMemory>, ParseError> {
    let mut nodes = Vec::new();
    for entry in numa_stat::entries(text) {
        let entry = entry?;
        for value in entry.nodes() {
            let (node, pages) = value?;
            let of_node = memory::of_node(&mut nodes, node);
            let field = match entry.key {
                b"hierarchical_total" => &mut of_node.usage,
                b"hierarchical_anon" => &mut of_node.stat.anon,
                b"hierarchical_file" => &mut of_node.stat.file,
                b"hierarchical_unevictable" => &mut of_node.stat.unevictable,
                _ => continue,
            };
            *field = pages.saturating_mul(page_size);
        }
    }
    Ok(nodes)
}

fn stat_of(text: &[u8]) -> Result<MemoryStat, ParseError> {
    let mut stat = MemoryStat::default();
    for entry in flat_keyed::entries(text) {
        let (key, value) = entry?;
        let field = match key {
            b"total_cache" => &mut stat.file,
            b"total_rss" => &mut stat.anon,
            b"total_rss_huge" => &mut stat.anon_thp,
            b"total_shmem" => &mut stat.shmem,
            b"total_mapped_file" => &mut stat.file_mapped,
            b"total_dirty" => &mut stat.file_dirty,
            b"total_writeback" => &mut stat.file_writeback,
            b"total_swapcached" => &mut stat.swap_cached,
            b"total_inactive_anon" => &mut stat.inactive_anon,
            b"total_active_anon" => &mut stat.active_anon,
            b"total_inactive_file" => &mut stat.inactive_file,
            b"total_active_file" => &mut stat.active_file,
            b"total_unevictable" => &mut stat.unevictable,
            _ => continue,
        };
        *field = value;
    }
    Ok(stat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hierarchical_sums_count() {
        let stat =
            stat_of(b"cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\ntotal_rss_huge 7\n").unwrap();
        assert_eq!((stat.file, stat.anon, stat.anon_thp), (10, 20, 7));
        assert!(stat_of(b"total_cache many\n").is_err());
    }

    #[test]
    fn nodes_are_counted_in_pages() {
        let text =
            b"total=9 N0=9 N1=0\nhierarchical_total=5 N0=2 N1=3\nhierarchical_file=1 N0=0 N1=1\n";
        let nodes = nodes_of(text, 4096).unwrap();
        let seen: Vec<_> = nodes
            .iter()
            .map(|n| (n.node, n.usage, n.stat.file))
            .collect();
        assert_eq!(seen, [(0, 8192, 0), (1, 12_288, 4096)]);
        assert!(nodes_of(b"hierarchical_total=5 N0=x\n", 4096).is_err());
    }
}
