//! v1 memory controller, `memory.rst`.
//!
//! The limit files hold "no limit" as the largest page-aligned number. `memory.memsw.*` exist only
//! with swap accounting. `memory.stat` keeps hierarchical sums under `total_` names; it has no
//! kernel memory (slab, stacks, page tables).

use std::sync::Arc;

use vistafs_host::{Dir, HostError, KeptFile, Shape};
use vistafs_text::{Limit, flat_keyed, single_value};

use crate::Cgroup;
use crate::memory::{MemoryFigures, MemoryStat, SwapFigures, headroom};

#[derive(Debug)]
struct Level {
    limit: KeptFile,
    usage: KeptFile,
    stat: KeptFile,
    pool_limit: KeptFile,
    pool_usage: KeptFile,
    swappiness: KeptFile,
}

impl Level {
    fn new(dir: &Arc<Dir>) -> Self {
        let file = |name| KeptFile::new(Arc::clone(dir), name, Shape::Whole);
        Self {
            limit: file("memory.limit_in_bytes"),
            usage: file("memory.usage_in_bytes"),
            stat: file("memory.stat"),
            pool_limit: file("memory.memsw.limit_in_bytes"),
            pool_usage: file("memory.memsw.usage_in_bytes"),
            swappiness: file("memory.swappiness"),
        }
    }
}

/// The files of a cgroup and its ancestors.
#[derive(Debug)]
pub struct Memory {
    cgroup: Arc<Cgroup>,
    levels: Vec<Level>,
}

impl Memory {
    pub(crate) fn new(cgroup: &Arc<Cgroup>) -> Self {
        Self {
            cgroup: Arc::clone(cgroup),
            levels: cgroup.levels().iter().map(Level::new).collect(),
        }
    }

    pub(crate) fn figures(
        &self,
        page_size: u64,
        text: &mut Vec<u8>,
    ) -> Result<Option<MemoryFigures>, HostError> {
        let parse_limit = |text: &[u8]| single_value::limit_v1(text, page_size);
        let mut figures: Option<MemoryFigures> = None;
        for (height, level) in self.levels.iter().enumerate() {
            let Some(limit) = level.limit.parse(text, parse_limit)? else {
                if height == 0 {
                    self.cgroup.ensure_alive()?;
                }
                continue;
            };
            let Some(known) = &mut figures else {
                figures = Some(level.own_figures(limit, page_size, text)?);
                continue;
            };
            if limit != Limit::Max {
                known.limit = known.limit.min(limit);
                let usage = level.usage.parse(text, single_value::number)?.unwrap_or(0);
                let reclaimable = level.stat(text)?.reclaimable();
                known.ancestors_headroom =
                    known
                        .ancestors_headroom
                        .min(headroom(limit, usage, reclaimable));
            }
            if let SwapFigures::Pool { limit: pool, .. } = &mut known.swap
                && let Some(its_pool) = level.pool_limit.parse(text, parse_limit)?
            {
                *pool = its_pool.min(*pool);
            }
        }
        Ok(figures)
    }
}

impl Level {
    fn own_figures(
        &self,
        limit: Limit,
        page_size: u64,
        text: &mut Vec<u8>,
    ) -> Result<MemoryFigures, HostError> {
        let parse_limit = |text: &[u8]| single_value::limit_v1(text, page_size);
        let mut swap = SwapFigures::NotAccounted;
        if let Some(limit) = self.pool_limit.parse(text, parse_limit)? {
            swap = SwapFigures::Pool {
                limit,
                usage: self
                    .pool_usage
                    .parse(text, single_value::number)?
                    .unwrap_or(0),
                swappiness: self.swappiness.parse(text, single_value::number)?,
            };
        }
        Ok(MemoryFigures {
            limit,
            usage: self.usage.parse(text, single_value::number)?.unwrap_or(0),
            stat: self.stat(text)?,
            ancestors_headroom: Limit::Max,
            swap,
        })
    }

    fn stat(&self, text: &mut Vec<u8>) -> Result<MemoryStat, HostError> {
        self.stat.read_required(text)?;
        stat_of(text).map_err(|e| HostError::malformed(&self.stat.path(), e))
    }
}

fn stat_of(text: &[u8]) -> Result<MemoryStat, vistafs_text::ParseError> {
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
}
