//! `/proc/swaps`: the container's swap as one area.
//!
//! ```text
//! $ cat /proc/swaps
//! Filename                                Type            Size            Used            Priority
//! none                                    virtual         131072          32768           0
//! ```
//!
//! Sizes in KiB, the same as `SwapTotal` and `SwapTotal` - `SwapFree` of `proc/meminfo` ([`swap`]).
//! A container without swap is shown the header alone. Columns are set as the running kernel sets
//! them. proc_swaps(5).
//!
//! [`swap`]: crate::swap

use std::sync::Arc;

use vistafs_cgroup::MemoryWanted;
use vistafs_text::swaps;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

use crate::host_memory;
use crate::swap::Swap;

const FILE: &str = "proc/swaps";

inventory::submit! {
    ViewSpec {
        name: "swaps",
        path: FILE,
        summary: "the container's swap",
        mode: 0o444,
        on_by_default: true,
        sources: &[Source::Controller("memory"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Swaps)),
    }
}

#[derive(Debug)]
struct Swaps;

impl View for Swaps {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let text = cx.host_text(FILE)?;
        let host_total = host_memory::bytes(cx, "SwapTotal");
        // Without swap on the host, no container has any.
        let swap = cx.shows_swap() && !matches!(host_total, Ok(0));
        let wanted = MemoryWanted {
            usage: swap,
            swap,
            ..MemoryWanted::LIMIT
        };
        let Some(figures) = cx.memory(wanted)? else {
            // No memory controller: the container has the host's values.
            out.extend_from_slice(&text);
            return Ok(());
        };
        let header =
            swaps::header(&text).map_err(|source| ViewError::Host { file: FILE, source })?;
        out.extend_from_slice(header.text);
        if !swap {
            return Ok(());
        }
        let swap = Swap::of(&figures, host_total?);
        let size = swap.total / 1024;
        if size > 0 {
            let area = swaps::Area {
                name: b"none",
                kind: b"virtual",
                size,
                // Rounded as in meminfo, which shows the free amount.
                used: size - swap.free() / 1024,
                priority: 0,
            };
            header.push_area(&area, out);
        }
        Ok(())
    }
}
