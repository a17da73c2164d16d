//! Memory and swap of a cgroup, on either version.

mod counters;
mod recent;
mod wanted;

use std::sync::Arc;
use std::time::{Duration, Instant};

use vistafs_host::{HostError, Kept};
use vistafs_text::Limit;

pub use counters::MemoryCounters;
use recent::{Charged, Recent};
pub use wanted::MemoryWanted;

use crate::{Cgroup, Version, v1, v2};

/// Hierarchical counters of `memory.stat`, in bytes. Counters that a version lacks are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are those of cgroup v2's memory.stat"
)]
pub struct MemoryStat {
    pub anon: u64,
    pub file: u64,
    pub shmem: u64,
    pub swap_cached: u64,
    pub file_mapped: u64,
    pub file_dirty: u64,
    pub file_writeback: u64,
    pub active_anon: u64,
    pub inactive_anon: u64,
    pub active_file: u64,
    pub inactive_file: u64,
    pub unevictable: u64,
    pub slab_reclaimable: u64,
    pub slab_unreclaimable: u64,
    pub kernel_stack: u64,
    pub page_tables: u64,
    pub sec_page_tables: u64,
    pub percpu: u64,
    pub zswap: u64,
    pub zswapped: u64,
    pub anon_thp: u64,
    pub file_thp: u64,
    pub shmem_thp: u64,
}

impl MemoryStat {
    /// Page cache and slab that the kernel can reclaim, bytes.
    #[must_use]
    pub fn reclaimable(&self) -> u64 {
        self.active_file
            .saturating_add(self.inactive_file)
            .saturating_add(self.slab_reclaimable)
    }
}

/// Memory use of a cgroup on one node, hierarchical, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeMemory {
    /// Number of the node.
    pub node: u32,
    /// In use, as far as the kernel counts per node.
    pub usage: u64,
    /// Statistics; 0 where the kernel does not count per node.
    pub stat: MemoryStat,
}

/// The figures of a node, appended if it has none yet.
pub(crate) fn of_node(nodes: &mut Vec<NodeMemory>, node: u32) -> &mut NodeMemory {
    let known = nodes.iter().position(|known| known.node == node);
    let at = known.unwrap_or_else(|| {
        nodes.push(NodeMemory {
            node,
            ..NodeMemory::default()
        });
        nodes.len() - 1
    });
    &mut nodes[at]
}

/// Swap of a cgroup, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapFigures {
    /// The kernel does not account swap here.
    NotAccounted,
    /// v2: swap has a limit of its own.
    Apart {
        /// Least of its own limit and its ancestors'.
        limit: Limit,
        /// In use.
        usage: u64,
    },
    /// v1: one pool for memory and swap together.
    Pool {
        /// Least of its own limit of memory+swap and its ancestors'.
        limit: Limit,
        /// Memory and swap in use.
        usage: u64,
        /// memory.swappiness of the cgroup; 0 means that it is never swapped out.
        swappiness: Option<u64>,
    },
}

impl SwapFigures {
    fn set_limit(&mut self, now: Limit) {
        if let Self::Apart { limit, .. } | Self::Pool { limit, .. } = self {
            *limit = now;
        }
    }
}

/// All memory figures of a cgroup at one instant, in bytes. Unwanted figures hold the value for
/// "not counted": 0, `Max`, `NotAccounted`.
#[derive(Debug, Clone, Copy)]
pub struct MemoryFigures {
    /// Least of its own limit and its ancestors'.
    pub limit: Limit,
    /// In use, page cache included.
    pub usage: u64,
    /// Statistics.
    pub stat: MemoryStat,
    /// Bytes left before throttling: memory.high less its usage, plus reclaimable memory. `Max`
    /// when nothing throttles it.
    pub headroom: Limit,
    /// Bytes left in the tightest *ancestor*: the least of its limit and memory.high less its
    /// usage, plus its reclaimable memory. `Max` when no ancestor has a limit.
    pub ancestors_headroom: Limit,
    /// Swap.
    pub swap: SwapFigures,
}

impl MemoryFigures {
    /// Bytes left below the limit, or below `host_total` without a limit.
    #[must_use]
    pub fn free(&self, host_total: u64) -> u64 {
        self.limit.or_total(host_total).saturating_sub(self.usage)
    }
}

/// The memory files of one cgroup, as one version names them.
pub(crate) trait Level {
    /// Its own limit; `None`: the controller is absent.
    fn limit(&self, page_size: u64, text: &mut Vec<u8>) -> Result<Option<Limit>, HostError>;
    /// Bytes above which its tasks are throttled.
    fn high(&self, text: &mut Vec<u8>) -> Result<Limit, HostError>;
    /// Bytes in use; `None`: not counted.
    fn usage(&self, text: &mut Vec<u8>) -> Result<Option<u64>, HostError>;
    /// Statistics.
    fn stat(&self, text: &mut Vec<u8>) -> Result<MemoryStat, HostError>;
    /// Use by node; `None`: not counted.
    fn by_node(
        &self,
        page_size: u64,
        text: &mut Vec<u8>,
    ) -> Result<Option<Vec<NodeMemory>>, HostError>;
    /// Its own limit of swap, or of memory and swap; `None`: swap is not accounted.
    fn swap_limit(&self, page_size: u64, text: &mut Vec<u8>) -> Result<Option<Limit>, HostError>;
    /// The file of statistics.
    fn stat_file(&self) -> Kept<'_>;
    /// The /proc/vmstat name of a counter of the statistics; `None`: it has none.
    fn counter(key: &[u8]) -> Option<&[u8]>;
    /// Number of processes killed by the OOM killer.
    fn oom_kills(&self, text: &mut Vec<u8>) -> Result<u64, HostError>;
    /// Swap, with the given limit.
    fn swap(&self, limit: Limit, text: &mut Vec<u8>) -> Result<SwapFigures, HostError>;
}

/// The memory files of a cgroup and its ancestors.
#[derive(Debug)]
pub struct Memory {
    cgroup: Arc<Cgroup>,
    levels: Levels,
    // One for each level.
    recent: Box<[Recent]>,
}

/// Own files first.
#[derive(Debug)]
enum Levels {
    V1(Box<[v1::memory::Level]>),
    V2(Box<[v2::memory::Level]>),
}

impl Memory {
    /// Names the files and opens none.
    #[must_use]
    pub fn new(cgroup: &Arc<Cgroup>) -> Self {
        let dirs = cgroup.levels();
        Self {
            levels: match cgroup.version() {
                Version::V1 => Levels::V1(dirs.map(v1::memory::Level::new).collect()),
                Version::V2 => Levels::V2(dirs.map(v2::memory::Level::new).collect()),
            },
            recent: cgroup.levels().map(|_| Recent::default()).collect(),
            cgroup: Arc::clone(cgroup),
        }
    }

    /// Reads the wanted figures; use and statistics may be as old as `age`. `None`: neither this
    /// cgroup nor an ancestor has the controller.
    ///
    /// A cgroup whose controller is not enabled is charged to the nearest ancestor that has it;
    /// that ancestor's figures are the best available.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed, or the cgroup has been removed.
    pub fn figures(
        &self,
        wanted: MemoryWanted,
        (age, page_size): (Duration, u64),
        text: &mut Vec<u8>,
    ) -> Result<Option<MemoryFigures>, HostError> {
        let facts = (age, page_size);
        match &self.levels {
            Levels::V1(levels) => self.walk(levels, wanted, facts, text),
            Levels::V2(levels) => self.walk(levels, wanted, facts, text),
        }
    }

    /// Counts of events. `None`: as for [`figures`](Self::figures).
    ///
    /// # Errors
    /// As [`figures`](Self::figures).
    pub fn counters<'t>(
        &self,
        text: &'t mut Vec<u8>,
    ) -> Result<Option<MemoryCounters<'t>>, HostError> {
        match &self.levels {
            Levels::V1(levels) => self.count(levels, text),
            Levels::V2(levels) => self.count(levels, text),
        }
    }

    /// Appends the rows of `memory.kmem.slabinfo`; none where the kernel has no rows per cgroup.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn push_slabs(&self, out: &mut Vec<u8>, text: &mut Vec<u8>) -> Result<(), HostError> {
        match &self.levels {
            Levels::V1(levels) => levels
                .first()
                .map_or(Ok(()), |own| own.push_slabs(out, text)),
            Levels::V2(_) => Ok(()),
        }
    }

    fn count<'t, L: Level>(
        &self,
        levels: &[L],
        text: &'t mut Vec<u8>,
    ) -> Result<Option<MemoryCounters<'t>>, HostError> {
        for level in levels {
            // First, because both use the same buffer; the statistics are read once because they
            // cost most.
            let oom_kills = level.oom_kills(text)?;
            let statistics = level.stat_file();
            if !statistics.read(text)? {
                continue;
            }
            return MemoryCounters::parse(text, oom_kills, L::counter)
                .map(Some)
                .map_err(|source| HostError::malformed(&statistics.path(), source));
        }
        self.cgroup.ensure_alive()?;
        Ok(None)
    }

    /// Memory use by node. Empty: the kernel does not count it for the charged cgroup.
    ///
    /// # Errors
    /// As [`figures`](Self::figures).
    pub fn by_node(
        &self,
        page_size: u64,
        text: &mut Vec<u8>,
    ) -> Result<Vec<NodeMemory>, HostError> {
        match &self.levels {
            Levels::V1(levels) => self.charged_by_node(levels, page_size, text),
            Levels::V2(levels) => self.charged_by_node(levels, page_size, text),
        }
    }

    fn charged_by_node<L: Level>(
        &self,
        levels: &[L],
        page_size: u64,
        text: &mut Vec<u8>,
    ) -> Result<Vec<NodeMemory>, HostError> {
        for (height, level) in levels.iter().enumerate() {
            if level.limit(page_size, text)?.is_some() {
                return Ok(level.by_node(page_size, text)?.unwrap_or_default());
            }
            if height == 0 {
                self.cgroup.ensure_alive()?;
            }
        }
        Ok(Vec::new())
    }

    /// A missing file counts as no usage, unless the cgroup was removed meanwhile.
    fn counted(&self, usage: Option<u64>) -> Result<u64, HostError> {
        if usage.is_none() {
            self.cgroup.ensure_alive()?;
        }
        Ok(usage.unwrap_or(0))
    }

    /// The charge of a level, and whether it was read now.
    fn charged<L: Level>(
        &self,
        (height, level): (usize, &L),
        wanted: MemoryWanted,
        (age, page_size): (Duration, u64),
        text: &mut Vec<u8>,
    ) -> Result<(Charged, bool), HostError> {
        let recent = self.recent.get(height);
        if let Some(charged) = recent.and_then(|recent| recent.get(wanted, age)) {
            return Ok((charged, false));
        }
        let read = Instant::now();
        let mut charged = Charged {
            usage: 0,
            stat: MemoryStat::default(),
            swap: SwapFigures::NotAccounted,
        };
        if wanted.usage {
            charged.usage = self.counted(level.usage(text)?)?;
        }
        if wanted.statistics {
            charged.stat = level.stat(text)?;
        }
        if wanted.swap
            && let Some(limit) = level.swap_limit(page_size, text)?
        {
            charged.swap = level.swap(limit, text)?;
        }
        if let Some(recent) = recent
            && !age.is_zero()
        {
            recent.set(read, wanted, charged);
        }
        Ok((charged, true))
    }

    fn walk<L: Level>(
        &self,
        levels: &[L],
        wanted: MemoryWanted,
        facts: (Duration, u64),
        text: &mut Vec<u8>,
    ) -> Result<Option<MemoryFigures>, HostError> {
        let (_, page_size) = facts;
        let mut figures: Option<MemoryFigures> = None;
        for (height, level) in levels.iter().enumerate() {
            let Some(limit) = level.limit(page_size, text)? else {
                if height == 0 {
                    self.cgroup.ensure_alive()?;
                }
                continue;
            };
            let Some(known) = &mut figures else {
                let (mut own, is_new) = self.charged((height, level), wanted, facts, text)?;
                if wanted.swap
                    && !is_new
                    && let Some(now) = level.swap_limit(page_size, text)?
                {
                    own.swap.set_limit(now);
                }
                let high = match wanted.statistics {
                    true => level.high(text)?,
                    false => Limit::Max,
                };
                figures = Some(MemoryFigures {
                    limit,
                    headroom: headroom(high, own.usage, own.stat.reclaimable()),
                    usage: own.usage,
                    stat: own.stat,
                    ancestors_headroom: Limit::Max,
                    swap: own.swap,
                });
                continue;
            };
            if limit != Limit::Max {
                known.limit = known.limit.min(limit);
            }
            let bound = match wanted.headroom {
                true => limit.min(level.high(text)?),
                false => Limit::Max,
            };
            if bound != Limit::Max {
                let charged = MemoryWanted {
                    statistics: true,
                    ..MemoryWanted::USAGE
                };
                let (charged, _) = self.charged((height, level), charged, facts, text)?;
                let left = headroom(bound, charged.usage, charged.stat.reclaimable());
                known.ancestors_headroom = known.ancestors_headroom.min(left);
            }
            if let SwapFigures::Apart { limit: swap, .. } | SwapFigures::Pool { limit: swap, .. } =
                &mut known.swap
                && let Some(its_swap) = level.swap_limit(page_size, text)?
            {
                *swap = its_swap.min(*swap);
            }
        }
        Ok(figures)
    }
}

/// Bytes left in an ancestor with this limit.
fn headroom(limit: Limit, usage: u64, reclaimable: u64) -> Limit {
    match limit {
        Limit::Max => Limit::Max,
        Limit::Value(bytes) => Limit::Value(
            bytes
                .saturating_sub(usage)
                .saturating_add(reclaimable)
                .min(bytes),
        ),
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

    use super::*;

    #[test]
    fn statistics_are_read_once_for_the_counters() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = dir.path().join("c/one");
        std::fs::create_dir_all(&cgroup).unwrap();
        std::fs::write(cgroup.join("memory.stat"), "anon 1\npgfault 7\n").unwrap();
        std::fs::write(cgroup.join("memory.events"), "oom_kill 3\n").unwrap();
        let mounts = b"30 1 0:30 / /c rw - cgroup2 cgroup2 rw\n";
        let hierarchies = crate::Hierarchies::discover(mounts, dir.path()).unwrap();
        let located = hierarchies.locate_path(std::path::Path::new("/one"));
        let memory = Memory::new(located.unwrap().in_hierarchy(0).unwrap());

        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, &cgroup, WatchFlags::ACCESS).unwrap();
        let mut text = Vec::new();
        assert!(memory.counters(&mut text).unwrap().is_some());
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&watch, &mut buffer);
        let mut read = Vec::new();
        while let Ok(event) = events.next() {
            let name = event.file_name().unwrap().to_str().unwrap();
            if read.last().is_none_or(|last| last != name) {
                read.push(name.to_owned());
            }
        }
        assert_eq!(read, ["memory.events", "memory.stat"]);
    }

    #[test]
    fn headroom_is_never_more_than_the_limit() {
        assert_eq!(headroom(Limit::Max, 5, 5), Limit::Max);
        assert_eq!(headroom(Limit::Value(100), 30, 10), Limit::Value(80));
        assert_eq!(headroom(Limit::Value(100), 130, 10), Limit::Value(10));
        assert_eq!(headroom(Limit::Value(100), 30, 90), Limit::Value(100));
    }
}
