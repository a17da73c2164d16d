//! `/proc/zoneinfo`: the host's memory zones, without the usage of other containers.
//!
//! ```text
//! $ grep -A4 'zone *DMA32' /proc/zoneinfo
//! Node 0, zone    DMA32
//!   pages free     0
//!         boost    0
//!         min      11148
//!         low      13935
//! ```
//!
//! Sizes and watermarks of the zones are the host's; so are the sizes of the lists of free pages,
//! which are shown for the visible CPUs alone. The kernel does not count how much of a zone a
//! container has: all pages and events that are counted are zero. The container's share of the
//! whole memory is in `proc/vmstat`. proc_zoneinfo(5).

use std::sync::Arc;

use vistafs_cgroup::MemoryWanted;
use vistafs_text::zoneinfo::{self, Counts};
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

const FILE: &str = "proc/zoneinfo";

inventory::submit! {
    ViewSpec {
        name: "zoneinfo",
        path: FILE,
        summary: "the host's zones of memory, without what is in them",
        mode: 0o444,
        on_by_default: false,
        sources: &[
            Source::Controller("memory"),
            Source::Controller("cpuset"),
            Source::Controller("cpu"),
            Source::Host,
        ],
        options: &[],
        build: |_| Provider::File(Arc::new(Zoneinfo)),
    }
}

#[derive(Debug)]
struct Zoneinfo;

impl View for Zoneinfo {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let visible = cx.visible_cpus()?;
        let host = cx.host_text(FILE)?;
        let counts = if cx.memory(MemoryWanted::LIMIT)?.is_some() {
            Counts::Zero
        } else {
            // No memory controller: the container has the host's values.
            Counts::Kept
        };
        zoneinfo::filter(&host, &visible, cx.numbering(), counts, out)
            .map_err(|source| ViewError::Host { file: FILE, source })
    }
}
