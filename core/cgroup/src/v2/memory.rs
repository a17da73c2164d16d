//! v2 memory controller, `cgroup-v2.rst`, "Memory Interface Files".
//!
//! A cgroup for which the controller is not enabled has none of the files; it is charged to the
//! nearest ancestor that has, whose usage and statistics then are the best that is known. The root
//! has no limit and no usage file.

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
    swap_limit: KeptFile,
    swap_usage: KeptFile,
}

impl Level {
    fn new(dir: &Arc<Dir>) -> Self {
        let file = |name| KeptFile::new(Arc::clone(dir), name, Shape::Whole);
        Self {
            limit: file("memory.max"),
            usage: file("memory.current"),
            stat: file("memory.stat"),
            swap_limit: file("memory.swap.max"),
            swap_usage: file("memory.swap.current"),
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

    pub(crate) fn figures(&self, text: &mut Vec<u8>) -> Result<Option<MemoryFigures>, HostError> {
        let mut figures: Option<MemoryFigures> = None;
        for (height, level) in self.levels.iter().enumerate() {
            let Some(limit) = level.limit.parse(text, single_value::limit_v2)? else {
                if height == 0 {
                    self.cgroup.ensure_alive()?;
                }
                continue;
            };
            let Some(known) = &mut figures else {
                figures = Some(level.own_figures(limit, text)?);
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
            if let SwapFigures::Apart { limit: swap, .. } = &mut known.swap
                && let Some(its_swap) = level.swap_limit.parse(text, single_value::limit_v2)?
            {
                *swap = its_swap.min(*swap);
            }
        }
        Ok(figures)
    }
}

impl Level {
    fn own_figures(&self, limit: Limit, text: &mut Vec<u8>) -> Result<MemoryFigures, HostError> {
        let mut swap = SwapFigures::NotAccounted;
        if let Some(limit) = self.swap_limit.parse(text, single_value::limit_v2)? {
            swap = SwapFigures::Apart {
                limit,
                usage: self
                    .swap_usage
                    .parse(text, single_value::number)?
                    .unwrap_or(0),
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
    fn names_are_matched_whole() {
        let stat = stat_of(b"file 10\nfile_mapped 3\nfile_dirty 2\nanon 5\nanon_thp 4\n").unwrap();
        assert_eq!((stat.file, stat.file_mapped, stat.file_dirty), (10, 3, 2));
        assert_eq!((stat.anon, stat.anon_thp), (5, 4));
        assert!(stat_of(b"anon -1\n").is_err());
    }
}
