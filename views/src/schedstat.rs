//! `/proc/schedstat`: the host's scheduler statistics of the CPUs that the container can use.
//!
//! ```text
//! $ cat /proc/schedstat
//! version 16
//! timestamp 4294897661
//! cpu1 0 0 0 0 0 0 11301102706 2455716841 1945
//! domain0 f 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
//! ```
//!
//! Lines of other CPUs are left out. The kernel does not keep these numbers per container, so they
//! are the host's. Documentation/scheduler/sched-stats.rst.

use std::sync::Arc;

use vistafs_text::schedstat;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

const FILE: &str = "proc/schedstat";

inventory::submit! {
    ViewSpec {
        name: "schedstat",
        path: FILE,
        summary: "the host's scheduler statistics of the CPUs that the container can use",
        mode: 0o444,
        on_by_default: false,
        sources: &[Source::Controller("cpuset"), Source::Controller("cpu"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Schedstat)),
    }
}

#[derive(Debug)]
struct Schedstat;

impl View for Schedstat {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let visible = cx.visible_cpus()?;
        let host = cx.host_text(FILE)?;
        schedstat::filter(&host, &visible, cx.numbering(), out)
            .map_err(|source| ViewError::Host { file: FILE, source })
    }
}
