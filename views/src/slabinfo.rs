//! `/proc/slabinfo`: the kernel's object caches, as far as they are kept per cgroup.
//!
//! ```text
//! # cat /proc/slabinfo
//! slabinfo - version: 2.1
//! # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables ...
//! ```
//!
//! The heading is the host's. Caches have rows where the kernel has a memory.kmem.slabinfo with
//! some (v1, before Linux 5.9): since then objects of all cgroups share their slabs. Readable by
//! root alone, as the kernel's. slabinfo(5).

use std::sync::Arc;

use vistafs_cgroup::MemoryWanted;
use vistafs_text::slabinfo;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

const FILE: &str = "proc/slabinfo";

inventory::submit! {
    ViewSpec {
        name: "slabinfo",
        path: FILE,
        summary: "the kernel's object caches, as far as they are kept per container",
        mode: 0o400,
        on_by_default: true,
        sources: &[Source::Controller("memory"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Slabinfo)),
    }
}

#[derive(Debug)]
struct Slabinfo;

impl View for Slabinfo {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let text = cx.host_text(FILE)?;
        if cx.memory(MemoryWanted::LIMIT)?.is_none() {
            // No memory controller: the host's file.
            out.extend_from_slice(&text);
            return Ok(());
        }
        let heading =
            slabinfo::heading(&text).map_err(|source| ViewError::Host { file: FILE, source })?;
        out.extend_from_slice(heading);
        cx.push_slabs(out)
    }
}
