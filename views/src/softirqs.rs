//! `/proc/softirqs`: the host's soft interrupts on the CPUs that the container can use.
//!
//! ```text
//! $ cat /proc/softirqs
//!                     CPU1       CPU3
//!           HI:          0          0
//!        TIMER:        197        433
//! ```
//!
//! Columns of other CPUs are left out, those of CPUs that are possible and not online as well. A
//! soft interrupt belongs to no container, so the numbers are the host's. proc_softirqs(5).

use std::sync::Arc;

use vistafs_text::cpu_columns;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

const FILE: &str = "proc/softirqs";

inventory::submit! {
    ViewSpec {
        name: "softirqs",
        path: FILE,
        summary: "the host's soft interrupts on the CPUs that the container can use",
        mode: 0o444,
        on_by_default: false,
        sources: &[Source::Controller("cpuset"), Source::Controller("cpu"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Softirqs)),
    }
}

#[derive(Debug)]
struct Softirqs;

impl View for Softirqs {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let visible = cx.visible_cpus()?;
        let host = cx.host_text(FILE)?;
        cpu_columns::filter(&host, &visible, cx.numbering(), out)
            .map_err(|source| ViewError::Host { file: FILE, source })
    }
}
