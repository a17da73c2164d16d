//! `/proc/interrupts`: the host's interrupts on the CPUs that the container can use.
//!
//! ```text
//! $ cat /proc/interrupts
//!            CPU1       CPU3
//!   1:          9          0   IO-APIC   1-edge      i8042
//! LOC:       2813       2374   Local timer interrupts
//! ERR:          0
//! ```
//!
//! Columns of other CPUs are left out. An interrupt belongs to no container, so the numbers are the
//! host's. proc_interrupts(5).

use std::sync::Arc;

use vistafs_text::cpu_columns;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

const FILE: &str = "proc/interrupts";

inventory::submit! {
    ViewSpec {
        name: "interrupts",
        path: FILE,
        summary: "the host's interrupts on the CPUs that the container can use",
        mode: 0o444,
        on_by_default: false,
        sources: &[Source::Controller("cpuset"), Source::Controller("cpu"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Interrupts)),
    }
}

#[derive(Debug)]
struct Interrupts;

impl View for Interrupts {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let visible = cx.visible_cpus()?;
        let host = cx.host_text(FILE)?;
        cpu_columns::filter(&host, &visible, cx.numbering(), out)
            .map_err(|source| ViewError::Host { file: FILE, source })
    }
}
