//! `/proc/uptime`: how long the container has been running, and its CPUs' idle time.
//!
//! ```text
//! $ cat /proc/uptime
//! 60.41 95.20
//! ```
//!
//! First: now (CLOCK_BOOTTIME) - start of the container's init. Offsets of a time namespace are in
//! both and cancel out.
//! Second: visible CPUs x first - CPU time that the container used, not below 0.
//! Both in seconds, cut to hundredths. proc_uptime(5).

use std::sync::Arc;
use std::time::Duration;

use vistafs_text::uptime;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

inventory::submit! {
    ViewSpec {
        name: "uptime",
        path: "proc/uptime",
        summary: "time since the container's start, and its CPUs' idle time",
        mode: 0o444,
        on_by_default: true,
        sources: &[Source::Processes, Source::Controller("cpuacct"), Source::Controller("cpuset"), Source::Controller("cpu")],
        options: &[],
        build: |_| Provider::File(Arc::new(Uptime)),
    }
}

#[derive(Debug)]
struct Uptime;

impl View for Uptime {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let up = cx.age();
        let cpus = u32::try_from(cx.visible_cpus()?.len()).unwrap_or(u32::MAX);
        let used = cx.cpu_usage(&mut Vec::new())?.unwrap_or_default().total();
        let idle = up
            .saturating_mul(cpus)
            .saturating_sub(Duration::from_nanos(used));
        uptime::push(out, up, idle);
        Ok(())
    }
}
