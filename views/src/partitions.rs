//! `/proc/partitions`: the disks that the container has used.
//!
//! ```text
//! $ cat /proc/partitions
//! major minor  #blocks  name
//!
//!  254        0    4194304 vda
//! ```
//!
//! The host's lines of the same disks as in `proc/diskstats`, byte for byte: their sizes are the
//! hardware's. The kernel does not count I/O per partition and container, so no partition is shown.
//! proc_partitions(5).

use std::sync::Arc;

use vistafs_text::partitions;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

use crate::device_io;

const FILE: &str = "proc/partitions";

inventory::submit! {
    ViewSpec {
        name: "partitions",
        path: FILE,
        summary: "the disks that the container has used",
        mode: 0o444,
        on_by_default: false,
        sources: &[Source::Controller("blkio"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Partitions)),
    }
}

#[derive(Debug)]
struct Partitions;

impl View for Partitions {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let text = cx.host_text(FILE)?;
        let shown = device_io::read(cx, |ledger| {
            for line in partitions::lines(&text) {
                let line = line?;
                let used = |device| ledger.done(device).is_some();
                if line.device.is_none_or(used) {
                    out.extend_from_slice(line.text);
                }
            }
            Ok(())
        })?;
        match shown {
            Some(outcome) => outcome.map_err(|source| ViewError::Host { file: FILE, source }),
            None => {
                // The kernel does not count the container's I/O: the host's list.
                out.extend_from_slice(&text);
                Ok(())
            }
        }
    }

    fn keeps_its_length(&self) -> bool {
        true
    }
}
