//! `/proc/cpuinfo`: the host's blocks of the CPUs that the container can use.
//!
//! ```text
//! $ grep processor /proc/cpuinfo
//! processor       : 0
//! processor       : 1
//! ```
//!
//! Each visible CPU's block is the host's, byte for byte, in the form of its architecture. CPUs
//! keep the host's numbers, as in sched_getaffinity(2). proc_cpuinfo(5).

use std::sync::Arc;

use vistafs_text::cpuinfo;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

inventory::submit! {
    ViewSpec {
        name: "cpuinfo",
        path: "proc/cpuinfo",
        summary: "the host's description of the CPUs that the container can use",
        mode: 0o444,
        on_by_default: true,
        sources: &[Source::Controller("cpuset"), Source::Controller("cpu"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Cpuinfo)),
    }
}

#[derive(Debug)]
struct Cpuinfo;

impl View for Cpuinfo {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let visible = cx.visible_cpus()?;
        let host = cx.host_text("proc/cpuinfo")?;
        cpuinfo::filter(&host, &visible, cx.numbering(), out);
        Ok(())
    }

    fn keeps_its_length(&self) -> bool {
        true
    }
}
