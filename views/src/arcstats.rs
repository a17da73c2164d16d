//! `/proc/spl/kstat/zfs/arcstats`: the file cache of ZFS, of which nothing is the container's.
//!
//! ```text
//! $ grep ^size /proc/spl/kstat/zfs/arcstats
//! size                            4    0
//! ```
//!
//! ZFS has one cache (ARC) for the whole host. htop, btop and netdata subtract its size from the
//! memory in use; subtracted from a container's usage, that gives 0 or less. So every value is
//! zero; names and types are the host's. Served where the host has the file.

use std::sync::Arc;

use vistafs_text::kstat;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

const FILE: &str = "proc/spl/kstat/zfs/arcstats";

inventory::submit! {
    ViewSpec {
        name: "arcstats",
        path: FILE,
        summary: "no cache of ZFS: it is the host's",
        mode: 0o444,
        on_by_default: true,
        sources: &[Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Arcstats)),
    }
}

#[derive(Debug)]
struct Arcstats;

impl View for Arcstats {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let text = cx.host_text(FILE)?;
        if !cx.container().has_own_cgroup() {
            out.extend_from_slice(&text);
            return Ok(());
        }
        let malformed = |source| ViewError::Host { file: FILE, source };
        kstat::push_zeroed(&text, out).map_err(malformed)
    }
}
