//! `/proc/stat`: the container's CPU time, as its CPUs' counters.
//!
//! ```text
//! $ head -2 /proc/stat
//! cpu  1200 0 300 4500 0 0 0 150 0 0
//! cpu0 1200 0 300 4500 0 0 0 150 0 0
//! ```
//!
//! - `user`, `nice`, `system`: CPU time that the container used. v1 counts it per CPU; the time on
//!   CPUs that are not visible is spread over the visible ones. v2 counts the sum alone, which is
//!   spread evenly;
//! - `steal`: time that the container wanted and its quota did not give (option `steal`);
//! - `idle`: the rest of the time since the container's start;
//! - iowait, irq, softirq, guest: zero;
//! - `cpu` is the exact sum of the lines below it, and no counter ever goes down ([`cpu_time`]);
//! - `btime`: the host's, less the offset of the container's time namespace, so that `ps` may add
//!   process start times to it;
//! - `procs_running`, `procs_blocked`: the container's threads;
//! - `intr`, `ctxt`, `processes`, `softirq`: zero, for the kernel counts them for the host alone
//!   (option `host_counters`).
//!
//! All times in USER_HZ ticks. proc_stat(5).

use std::sync::Arc;

use vistafs_container::Container;
use vistafs_text::cpuinfo::Numbering;
use vistafs_text::stat::{self, CpuTimes};
use vistafs_text::{CpuSet, ParseError, number};
use vistafs_view::{
    Context, OptionSpec, OptionValue, Options, Provider, Source, View, ViewError, ViewSpec,
    inventory,
};

use crate::cpu_time;
use crate::unknown_fields::UnknownFields;

inventory::submit! {
    ViewSpec {
        name: "stat",
        path: "proc/stat",
        summary: "the container's CPU time, per visible CPU",
        mode: 0o444,
        on_by_default: true,
        sources: &[
            Source::Controller("cpuacct"),
            Source::Controller("cpuset"),
            Source::Controller("cpu"),
            Source::Processes,
            Source::Host,
        ],
        options: &[
            OptionSpec {
                name: "steal",
                default: OptionValue::Bool(true),
                range: None,
                summary: "show time that the quota held back as steal; false shows it as idle",
            },
            OptionSpec {
                name: "host_counters",
                default: OptionValue::Bool(false),
                range: None,
                summary: "show the host's intr, ctxt, processes and softirq; false shows 0",
            },
        ],
        build: |options| Provider::File(Arc::new(Stat::new(options))),
    }
}

#[derive(Debug)]
struct Stat {
    steal: bool,
    host_counters: bool,
    unknown: UnknownFields,
}

impl Stat {
    fn new(options: &Options) -> Self {
        Self {
            steal: options.flag("steal"),
            host_counters: options.flag("host_counters"),
            unknown: UnknownFields::default(),
        }
    }
}

impl View for Stat {
    fn must_walk(&self, container: &Container) -> bool {
        container.must_count_tasks()
    }

    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let host = cx.host_text("proc/stat")?;
        let visible = cx.visible_cpus()?;
        let numbering = cx.numbering();
        let line = |times: CpuTimes| {
            if self.steal {
                times
            } else {
                without_steal(times)
            }
        };
        let shown = cpu_time::read(cx, &visible, |ledger| {
            stat::push_cpu_line(out, stat::Label::Sum, &line(ledger.sum()));
            for (ordinal, cpu) in (0..).zip(&visible) {
                let label = label(numbering, cpu, ordinal);
                stat::push_cpu_line(out, label, &line(ledger.of(cpu)));
            }
        })?;
        if shown.is_none() {
            push_host_cpus(&host, &visible, numbering, out)?;
        }
        self.push_rest(cx, &host, out)
    }
}

impl Stat {
    /// The lines except those of CPUs.
    fn push_rest(&self, cx: &Context<'_>, host: &[u8], out: &mut Vec<u8>) -> Result<(), ViewError> {
        let counts = cx.task_counts()?;
        for line in stat::lines(host) {
            let value = match (line.key, counts) {
                (key, _) if key.starts_with(b"cpu") => continue,
                // The reader itself counts as running, although it waits for vistafs.
                (b"procs_running", Some(counts)) => counts.running.max(1),
                (b"procs_blocked", Some(counts)) => counts.blocked,
                (b"btime", _) => boot_time(cx, line.text)?,
                // The container cannot be distinguished from the host.
                (_, None) => {
                    out.extend_from_slice(line.text);
                    continue;
                }
                (b"intr" | b"ctxt" | b"processes" | b"softirq", _) if self.host_counters => {
                    out.extend_from_slice(line.text);
                    continue;
                }
                (b"intr" | b"ctxt" | b"processes", _) => 0,
                (b"softirq" | b"", _) => {
                    // Its columns remain: Prometheus's procfs rejects the file without them.
                    stat::push_zeroed(&line, out);
                    continue;
                }
                (key, _) => {
                    self.unknown.note("/proc/stat", key);
                    stat::push_zeroed(&line, out);
                    continue;
                }
            };
            out.extend_from_slice(line.key);
            out.push(b' ');
            number::push_u64(out, value);
            out.push(b'\n');
        }
        Ok(())
    }
}

fn without_steal(times: CpuTimes) -> CpuTimes {
    CpuTimes {
        idle: times.idle.saturating_add(times.steal),
        steal: 0,
        ..times
    }
}

fn label(numbering: Numbering, cpu: u32, ordinal: u32) -> stat::Label {
    stat::Label::Cpu(match numbering {
        Numbering::Physical => cpu,
        Numbering::Renumbered => ordinal,
    })
}

/// Where the kernel does not count the container's CPU time, its CPUs are as busy as the host's.
fn push_host_cpus(
    host: &[u8],
    visible: &CpuSet,
    numbering: Numbering,
    out: &mut Vec<u8>,
) -> Result<(), ViewError> {
    let malformed = |source| ViewError::Host {
        file: "proc/stat",
        source,
    };
    let shown = || {
        stat::cpu_times(host).filter_map(|line| match line {
            Ok((stat::Label::Cpu(cpu), times)) => visible.contains(cpu).then_some(Ok((cpu, times))),
            Ok((stat::Label::Sum, _)) => None,
            Err(error) => Some(Err(malformed(error))),
        })
    };
    let sum = shown().try_fold(CpuTimes::default(), |sum, line| {
        line.map(|(_, times)| sum + times)
    })?;
    stat::push_cpu_line(out, stat::Label::Sum, &sum);
    for (ordinal, line) in (0..).zip(shown()) {
        let (cpu, times) = line?;
        stat::push_cpu_line(out, label(numbering, cpu, ordinal), &times);
    }
    Ok(())
}

/// Seconds since 1970 at which the container's clock "since boot" was 0.
fn boot_time(cx: &Context<'_>, line: &[u8]) -> Result<u64, ViewError> {
    let text = line.strip_prefix(b"btime").map(number::trim);
    let host = text
        .and_then(number::parse_u64)
        .ok_or_else(|| ViewError::Host {
            file: "proc/stat",
            source: ParseError::new("btime and a number of seconds", 1, line),
        })?;
    let offset = cx.container().boottime_offset().seconds;
    Ok(host.saturating_add_signed(offset.saturating_neg()))
}
