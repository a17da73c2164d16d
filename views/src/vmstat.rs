//! `/proc/vmstat`: the container's memory in pages, and its paging events.
//!
//! ```text
//! $ grep -E '^(nr_free_pages|nr_anon_pages|pgfault) ' /proc/vmstat
//! nr_free_pages 32768
//! nr_anon_pages 16384
//! pgfault 3849
//! ```
//!
//! The fields and their order are those of the running host's file; each number is replaced:
//!
//! - `nr_free_pages`: limit - usage, as `MemFree` of `proc/meminfo`;
//! - other `nr_...`: the bytes of memory.stat, in the unit of the field ([`amount`]);
//! - a counter with the name of one in memory.stat (`pgfault`, `workingset_refault_file`,
//!   `thp_fault_alloc`, ...): that one;
//! - `oom_kill`: the container's OOM kills;
//! - everything else: zero, including new fields of the kernel.
//!
//! The kernel documents no list of the fields: they are those of its mm/vmstat.c.

use std::cell::Cell;
use std::sync::Arc;

use vistafs_cgroup::{MemoryStat, MemoryWanted};
use vistafs_text::{flat_keyed, number, single_value};
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

use crate::host_memory;

const FILE: &str = "proc/vmstat";

inventory::submit! {
    ViewSpec {
        name: "vmstat",
        path: FILE,
        summary: "the container's memory in pages, and its paging events",
        mode: 0o444,
        on_by_default: true,
        sources: &[Source::Controller("memory"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Vmstat)),
    }
}

thread_local! {
    /// Buffer for the counters, reused by a thread's readings.
    static COUNTERS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug)]
struct Vmstat;

impl View for Vmstat {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let text = cx.host_text(FILE)?;
        let Some(figures) = cx.memory(MemoryWanted {
            statistics: true,
            ..MemoryWanted::USAGE
        })?
        else {
            // No memory controller: the container has the host's values.
            out.extend_from_slice(&text);
            return Ok(());
        };
        let units = Units {
            page: cx.host().page_size().max(1),
            huge_page: huge_page_size(cx, &figures.stat)?,
        };
        let free = figures.free(host_memory::bytes(cx, "MemTotal")?);
        let mut room = COUNTERS.take();
        let counters = cx.memory_counters(&mut room)?;
        for entry in flat_keyed::entries(&text) {
            let (key, _) = entry.map_err(|source| ViewError::Host { file: FILE, source })?;
            let value = match amount(key, &figures.stat) {
                Some(amount) => units.of(amount),
                None if key == b"nr_free_pages" => free / units.page,
                None => counters.as_ref().and_then(|c| c.get(key)).unwrap_or(0),
            };
            out.extend_from_slice(key);
            out.push(b' ');
            number::push_u64(out, value);
            out.push(b'\n');
        }
        drop(counters);
        COUNTERS.set(room);
        Ok(())
    }
}

/// Bytes, and the unit in which a field counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    Pages(u64),
    HugePages(u64),
    Kib(u64),
}

/// Memory in use, by the name of the field; `None`: the field is of another kind.
fn amount(key: &[u8], stat: &MemoryStat) -> Option<Amount> {
    let bytes = match key {
        b"nr_anon_pages" => stat.anon,
        // The kernel's includes the swap cache; memory.stat's `file` does not.
        b"nr_file_pages" => stat.file.saturating_add(stat.swap_cached),
        b"nr_swapcached" => stat.swap_cached,
        b"nr_mapped" => stat.file_mapped,
        b"nr_shmem" => stat.shmem,
        b"nr_dirty" => stat.file_dirty,
        b"nr_writeback" => stat.file_writeback,
        b"nr_zone_write_pending" => stat.file_dirty.saturating_add(stat.file_writeback),
        b"nr_active_anon" | b"nr_zone_active_anon" => stat.active_anon,
        b"nr_inactive_anon" | b"nr_zone_inactive_anon" => stat.inactive_anon,
        b"nr_active_file" | b"nr_zone_active_file" => stat.active_file,
        b"nr_inactive_file" | b"nr_zone_inactive_file" => stat.inactive_file,
        // Locked pages are most of the unevictable memory.
        b"nr_unevictable" | b"nr_zone_unevictable" | b"nr_mlock" => stat.unevictable,
        b"nr_slab_reclaimable" => stat.slab_reclaimable,
        b"nr_slab_unreclaimable" => stat.slab_unreclaimable,
        b"nr_page_table_pages" => stat.page_tables,
        b"nr_sec_page_table_pages" => stat.sec_page_tables,
        b"nr_kernel_stack" => return Some(Amount::Kib(stat.kernel_stack)),
        b"nr_anon_transparent_hugepages" => return Some(Amount::HugePages(stat.anon_thp)),
        b"nr_shmem_hugepages" => return Some(Amount::HugePages(stat.shmem_thp)),
        b"nr_file_hugepages" => return Some(Amount::HugePages(stat.file_thp)),
        _ => return None,
    };
    Some(Amount::Pages(bytes))
}

/// Bytes, never 0.
#[derive(Debug)]
struct Units {
    page: u64,
    huge_page: u64,
}

impl Units {
    fn of(&self, amount: Amount) -> u64 {
        match amount {
            Amount::Pages(bytes) => bytes / self.page,
            Amount::HugePages(bytes) => bytes / self.huge_page,
            Amount::Kib(bytes) => bytes / 1024,
        }
    }
}

/// Bytes of a page that a PMD maps, which memory.stat's `..._thp` are made of.
fn huge_page_size(cx: &Context<'_>, stat: &MemoryStat) -> Result<u64, ViewError> {
    const FILE: &str = "sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
    if (stat.anon_thp, stat.shmem_thp, stat.file_thp) == (0, 0, 0) {
        return Ok(1);
    }
    let text = cx.host_text(FILE)?;
    let size = single_value::number(&text);
    let size = size.map_err(|source| ViewError::Host { file: FILE, source })?;
    Ok(size.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit() {
        let units = Units {
            page: 4096,
            huge_page: 2 << 20,
        };
        let stat = MemoryStat {
            anon: 8191,
            anon_thp: 4 << 20,
            kernel_stack: 16384,
            file: 4096,
            swap_cached: 8192,
            ..MemoryStat::default()
        };
        for (key, value) in [
            ("nr_anon_pages", 1),
            ("nr_file_pages", 3),
            ("nr_anon_transparent_hugepages", 2),
            ("nr_kernel_stack", 16),
        ] {
            let amount = amount(key.as_bytes(), &stat).unwrap();
            assert_eq!(units.of(amount), value, "{key}");
        }
        assert_eq!(amount(b"nr_free_pages", &stat), None);
    }
}
