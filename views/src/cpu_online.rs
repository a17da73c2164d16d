//! `/sys/devices/system/cpu/online`: the CPUs that the container can use.
//!
//! ```text
//! $ cat /sys/devices/system/cpu/online
//! 0-1
//! ```
//!
//! The visible CPUs in the kernel's list format. glibc's `sysconf(_SC_NPROCESSORS_ONLN)` reads it.

use std::sync::Arc;

use vistafs_text::CpuSet;
use vistafs_text::cpuinfo::Numbering;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

inventory::submit! {
    ViewSpec {
        name: "cpu-online",
        path: "sys/devices/system/cpu/online",
        summary: "the CPUs that the container can use",
        mode: 0o444,
        on_by_default: true,
        sources: &[Source::Controller("cpuset"), Source::Controller("cpu"), Source::Host],
        options: &[],
        build: |_| Provider::File(Arc::new(Online)),
    }
}

#[derive(Debug)]
struct Online;

impl View for Online {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let visible = cx.visible_cpus()?;
        match cx.numbering() {
            Numbering::Physical => visible.push_list(out),
            Numbering::Renumbered => (0..).take(visible.len()).collect::<CpuSet>().push_list(out),
        }
        out.push(b'\n');
        Ok(())
    }
}
