//! `/proc/meminfo`: the container's memory and swap.
//!
//! ```text
//! $ head -3 /proc/meminfo
//! MemTotal:         262144 kB
//! MemFree:          249032 kB
//! MemAvailable:     252416 kB
//! ```
//!
//! Order, labels and padding are the running host's; each value is replaced:
//!
//! - `MemTotal` = limit: the least of the container's, its ancestors' and the host's total;
//! - `MemFree` = limit - usage;
//! - `MemAvailable` = `MemFree` + reclaimable memory (file pages and reclaimable slab), bounded by
//!   memory.high and by the memory left in each ancestor and on the host;
//! - swap: see [`swap`](crate::swap);
//! - statistics: the container's memory.stat;
//! - sizes of address space and page sizes: the host's;
//! - values that the kernel does not count per container: zero. Unknown fields are zero as well,
//!   and logged once.
//!
//! proc_meminfo(5), and the kernel's `Documentation/filesystems/proc.rst`.

mod shown;

use std::sync::Arc;

use vistafs_cgroup::MemoryWanted;
use vistafs_text::meminfo;
use vistafs_view::{
    Context, OptionSpec, OptionValue, Options, Provider, Source, View, ViewError, ViewSpec,
    inventory,
};

use crate::unknown_fields::UnknownFields;
use shown::{HostMemory, Shown};

inventory::submit! {
    ViewSpec {
        name: "meminfo",
        path: "proc/meminfo",
        summary: "the container's memory and swap: limits, use, statistics",
        mode: 0o444,
        on_by_default: true,
        sources: &[Source::Controller("memory"), Source::Controller("hugetlb"), Source::Host],
        options: &[
            OptionSpec {
                name: "zswap",
                default: OptionValue::Bool(true),
                range: None,
                summary: "show the container's use of zswap; false shows none",
            },
            OptionSpec {
                name: "bounded",
                default: OptionValue::Bool(true),
                range: None,
                summary: "MemAvailable is no more than ancestors and the host can give; false looks at the container alone",
            },
        ],
        build: |options| Provider::File(Arc::new(Meminfo::new(options))),
    }
}

#[derive(Debug)]
struct Meminfo {
    zswap: bool,
    bounded: bool,
    unknown: UnknownFields,
}

impl Meminfo {
    fn new(options: &Options) -> Self {
        Self {
            zswap: options.flag("zswap"),
            bounded: options.flag("bounded"),
            unknown: UnknownFields::default(),
        }
    }
}

impl View for Meminfo {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        const FILE: &str = "proc/meminfo";
        let text = cx.host_text(FILE)?;
        let host = HostMemory::read(&text);
        let wanted = MemoryWanted {
            headroom: self.bounded,
            // Without swap on the host, no container has any.
            swap: cx.shows_swap() && host.as_ref().is_ok_and(|host| host.swap_total > 0),
            ..MemoryWanted::ALL
        };
        let Some(figures) = cx.memory(wanted)? else {
            // No memory controller: the container has the host's values.
            out.extend_from_slice(&text);
            return Ok(());
        };
        let malformed = |source| ViewError::Host { file: FILE, source };
        let host = host.map_err(malformed)?;
        let shown = Shown::new(&figures, &host, cx.shows_swap(), self.bounded);
        let huge_pages = cx.huge_pages()?;
        for line in meminfo::lines(&text) {
            let line = line.map_err(malformed)?;
            let bytes = if line.key.starts_with(b"Huge") {
                shown::huge_pages(line.key, line.value, &host, huge_pages.as_ref())
            } else {
                let stat = if self.zswap {
                    figures.stat
                } else {
                    shown::without_zswap(figures.stat)
                };
                shown.field(line.key, &stat)
            };
            match bytes {
                Some(shown::Value::Bytes(bytes)) => line.push_with(bytes / 1024, out),
                Some(shown::Value::Count(count)) => line.push_with(count, out),
                Some(shown::Value::Host) => out.extend_from_slice(line.text),
                None => {
                    self.unknown.note("/proc/meminfo", line.key);
                    line.push_with(0, out);
                }
            }
        }
        Ok(())
    }

    fn keeps_its_length(&self) -> bool {
        true
    }
}
