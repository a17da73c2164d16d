//! The container's CPU time as its visible CPUs' counters: what `proc/stat` and `proc/uptime` show.
//!
//! Both use the container's one [`Ledger`], so that they agree. It outlives this process
//! (`lasting.rs`).

mod lasting;
pub(crate) mod ledger;

use std::cell::Cell;

use vistafs_cgroup::PerCpu;
use vistafs_text::CpuSet;
use vistafs_view::{Context, ViewError};

use ledger::{Ledger, Reading};

thread_local! {
    /// Buffer for the kernel's counters per CPU, reused by a thread's readings.
    static PER_CPU: Cell<Vec<PerCpu>> = const { Cell::new(Vec::new()) };
}

/// Takes a reading and calls `show` with the counters. `None`: the kernel does not count the container's CPU
/// time.
pub(crate) fn read<T>(
    cx: &mut Context<'_>,
    visible: &CpuSet,
    show: impl FnOnce(&Ledger) -> T,
) -> Result<Option<T>, ViewError> {
    // Before the counters: then the later of two readings has the higher counters.
    let age = cx.age();
    let mut per_cpu = PER_CPU.take();
    let Some(usage) = cx.cpu_usage(&mut per_cpu)? else {
        return Ok(None);
    };
    let reading = Reading {
        age,
        usage,
        per_cpu: &per_cpu,
        visible,
        moves: cx.container().moves(),
        ticks_per_second: cx.host().clk_tck(),
    };
    let shown = cx.container().kept(|ledger: &mut Ledger| {
        ledger.enter(&reading);
        show(ledger)
    });
    PER_CPU.set(per_cpu);
    Ok(Some(shown))
}
