//! The statistics of memory that `/proc/meminfo` and a node's meminfo have in common.

use vistafs_cgroup::MemoryStat;

/// Bytes of the statistic with this label; 0 where the kernel does not count it per cgroup. `None`:
/// the label is unknown.
pub(crate) fn statistic(key: &[u8], stat: &MemoryStat) -> Option<u64> {
    Some(match key {
        b"Cached" | b"FilePages" => stat.file,
        b"SwapCached" => stat.swap_cached,
        b"Active" => stat.active_anon.saturating_add(stat.active_file),
        b"Inactive" => stat.inactive_anon.saturating_add(stat.inactive_file),
        b"Active(anon)" => stat.active_anon,
        b"Inactive(anon)" => stat.inactive_anon,
        b"Active(file)" => stat.active_file,
        b"Inactive(file)" => stat.inactive_file,
        b"Unevictable" | b"Mlocked" => stat.unevictable,
        b"Dirty" => stat.file_dirty,
        b"Writeback" => stat.file_writeback,
        b"AnonPages" => stat.anon,
        b"Mapped" => stat.file_mapped,
        b"Shmem" => stat.shmem,
        b"KReclaimable" | b"SReclaimable" => stat.slab_reclaimable,
        b"Slab" => stat
            .slab_reclaimable
            .saturating_add(stat.slab_unreclaimable),
        b"SUnreclaim" => stat.slab_unreclaimable,
        b"KernelStack" => stat.kernel_stack,
        b"PageTables" => stat.page_tables,
        b"SecPageTables" => stat.sec_page_tables,
        b"AnonHugePages" => stat.anon_thp,
        b"ShmemHugePages" => stat.shmem_thp,
        b"FileHugePages" => stat.file_thp,
        b"NFS_Unstable" | b"Bounce" | b"WritebackTmp" | b"ShmemPmdMapped" | b"FilePmdMapped"
        | b"Unaccepted" | b"Balloon" | b"GPUActive" | b"GPUReclaim" | b"HighTotal"
        | b"HighFree" | b"LowTotal" | b"LowFree" | b"Quicklists" => 0,
        _ => return None,
    })
}
