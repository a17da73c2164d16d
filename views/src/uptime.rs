//! `/proc/uptime`: how long the container has been running, and its CPUs' idle time.
//!
//! ```text
//! $ cat /proc/uptime
//! 60.41 95.20
//! ```
//!
//! First: now (CLOCK_BOOTTIME) - start of the container's init. Offsets of a time namespace are in
//! both and cancel out.
//! Second: the idle time of the visible CPUs as `proc/stat` shows it: visible CPUs x first - CPU time
//! that the container used - time that its quota held back.
//! Both in seconds, cut to hundredths. proc_uptime(5).

use std::sync::Arc;
use std::time::Duration;

use vistafs_text::uptime;
use vistafs_view::{Context, Provider, Source, View, ViewError, ViewSpec, inventory};

use crate::cpu_time;

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
        let visible = cx.visible_cpus()?;
        let ticks = cpu_time::read(cx, &visible, |ledger| ledger.sum().idle)?;
        let idle = match ticks {
            Some(ticks) => {
                let ns = u128::from(ticks) * 1_000_000_000 / u128::from(cx.host().clk_tck());
                Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
            }
            // The kernel does not count its usage: it counts as zero.
            None => up.saturating_mul(u32::try_from(visible.len()).unwrap_or(u32::MAX)),
        };
        uptime::push(out, up, idle);
        Ok(())
    }
}
