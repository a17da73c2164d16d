//! `/proc/diskstats`: the container's I/O on the disks that it has used.
//!
//! ```text
//! $ cat /proc/diskstats
//!  254       0 vda 1733 0 150696 0 7 0 8208 0 0 0 0 0 0 0 0 0 0
//! ```
//!
//! Lines, order and number of columns are those of the running host's file, but only for disks that
//! the container has read from, written to or discarded on; partitions are not counted per
//! container. Reads, writes, discards and their sectors (512 bytes) are the container's
//! ([`device_io`]); merges, times, flushes and what is in flight: zero. Where the controller io is not
//! enabled for the container, as mostly for those of users, the kernel does not count its I/O: all of the host's
//! lines are there, with zeros. proc_diskstats(5).

use std::sync::Arc;

use vistafs_text::{IoCounts, diskstats};
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

use crate::device_io;

const FILE: &str = "proc/diskstats";

inventory::submit! {
    ViewSpec {
        name: "diskstats",
        path: FILE,
        summary: "the container's I/O on the disks that it has used",
        mode: 0o444,
        on_by_default: true,
        sources: &[Source::Controller("blkio"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Diskstats)),
    }
}

#[derive(Debug)]
struct Diskstats;

impl View for Diskstats {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let text = cx.host_text(FILE)?;
        let shown = device_io::read(cx, |ledger| {
            for line in diskstats::lines(&text) {
                let line = line?;
                if let Some(done) = ledger.done(line.device) {
                    line.push_with(done, out);
                }
            }
            Ok(())
        })?;
        match shown {
            Some(outcome) => outcome.map_err(|source| ViewError::Host { file: FILE, source }),
            None if cx.container().has_own_cgroup() => {
                for line in diskstats::lines(&text) {
                    let line = line.map_err(|source| ViewError::Host { file: FILE, source })?;
                    line.push_with(&IoCounts::default(), out);
                }
                Ok(())
            }
            None => {
                out.extend_from_slice(&text);
                Ok(())
            }
        }
    }
}
