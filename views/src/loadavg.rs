//! `/proc/loadavg`: how many of the container's threads want a CPU or wait for a disk.
//!
//! ```text
//! $ cat /proc/loadavg
//! 0.31 0.12 0.04 2/27 118
//! ```
//!
//! - the first three: the number of threads in state R or D, averaged over 1, 5 and 15 minutes by
//!   the kernel's formula. It is sampled every five seconds from the first reading on, which starts
//!   all three at the current number, until there was no read for 15 minutes (option
//!   `idle_seconds`);
//! - threads that run or wait for a CPU, at least 1 (the reader); and all threads;
//! - the newest thread's ID in its pid namespace.
//!
//! The last two are those of the last sample. A container at the root of all hierarchies cannot be
//! distinguished from the host: the host's file. proc_loadavg(5).

use std::sync::Arc;
use std::time::Duration;

use vistafs_container::{Container, LoadSampler};
use vistafs_text::loadavg;
use vistafs_view::{
    Context, OptionSpec, OptionValue, Options, Provider, Source, View, ViewError, ViewSpec,
    inventory,
};

const IDLE_SECONDS: &str = "idle_seconds";

inventory::submit! {
    ViewSpec {
        name: "loadavg",
        path: "proc/loadavg",
        summary: "the container's load averages, threads and newest process",
        mode: 0o444,
        on_by_default: true,
        sources: &[Source::Processes, Source::Host],
        options: &[OptionSpec {
            name: IDLE_SECONDS,
            default: OptionValue::Integer(900),
            range: Some(5..=86_400),
            summary: "for how long a container's load is sampled after it was last read, in seconds",
        }],
        build: |options| Provider::File(Arc::new(Loadavg::new(options))),
    }
}

#[derive(Debug)]
struct Loadavg {
    sampler: LoadSampler,
}

impl Loadavg {
    fn new(options: &Options) -> Self {
        let idle = u64::try_from(options.number(IDLE_SECONDS)).unwrap_or(0);
        Self {
            sampler: LoadSampler::new(Duration::from_secs(idle)),
        }
    }
}

impl View for Loadavg {
    fn must_walk(&self, container: &Container) -> bool {
        self.sampler.must_count(container)
    }

    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let Some(load) = cx.load(&self.sampler)? else {
            out.extend_from_slice(&cx.host_text("proc/loadavg")?);
            return Ok(());
        };
        // The reader itself counts as running, although it waits for vistafs.
        let runnable = load.counts.running.max(1);
        let total = load.counts.total.max(runnable);
        loadavg::push(out, &load.averages, runnable, total, load.counts.last_pid);
        Ok(())
    }
}
