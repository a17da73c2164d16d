//! The values shown for a container. Field names are the keys of the JSON.

use serde::Serialize;
use vistafs_cgroup::{MemoryWanted, SwapFigures, Version};
use vistafs_plugin_sdk::view::{Context, ViewError};
use vistafs_text::Limit;

/// One container, at one reading. `None` is what the kernel does not count for it.
#[derive(Debug, Serialize)]
pub(crate) struct Identity {
    /// The cgroup path that identifies the container best, or the last part of it.
    pub(crate) name: String,
    /// For how long it has been running.
    pub(crate) age_seconds: u64,
    /// Its cgroup in each hierarchy; empty when paths are not shown.
    pub(crate) cgroups: Vec<CgroupPath>,
    pub(crate) memory: Option<Amount>,
    pub(crate) swap: Option<Swap>,
    pub(crate) cpu: Cpu,
    pub(crate) tasks: Option<Tasks>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CgroupPath {
    /// `memory`, `cpu,cpuacct`, `name=systemd`; `unified` for version 2.
    pub(crate) hierarchy: String,
    pub(crate) version: u8,
    pub(crate) path: String,
}

/// Bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Amount {
    /// The least of its own limit and its ancestors'. `None`: there is none.
    pub(crate) limit: Option<u64>,
    pub(crate) usage: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Swap {
    #[serde(flatten)]
    pub(crate) amount: Amount,
    /// The kernel counts memory and swap together (v1).
    pub(crate) with_memory: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Cpu {
    /// How many CPUs it is shown.
    pub(crate) count: usize,
    /// Which: `0-1,4`.
    pub(crate) list: String,
    /// CPUs' worth of time that it may use. `None`: all.
    pub(crate) quota: Option<f64>,
    /// CPU time used in user mode.
    pub(crate) user_ns: Option<u64>,
    /// CPU time used in the kernel.
    pub(crate) system_ns: Option<u64>,
}

/// Threads.
#[derive(Debug, Serialize)]
pub(crate) struct Tasks {
    pub(crate) total: u64,
    pub(crate) running: u64,
    pub(crate) blocked: u64,
}

impl Identity {
    /// Of the container that is shown.
    ///
    /// # Errors
    /// When a file of a cgroup cannot be read or understood.
    pub(crate) fn of(cx: &mut Context<'_>, shows_paths: bool) -> Result<Self, ViewError> {
        let path = cx.container().path();
        let name = match path.file_name() {
            Some(last) if !shows_paths => last.to_string_lossy(),
            _ => path.to_string_lossy(),
        };
        let (memory, swap) = memory(cx)?;
        Ok(Self {
            name: name.into_owned(),
            age_seconds: cx.age().as_secs(),
            cgroups: if shows_paths { cgroups(cx) } else { Vec::new() },
            memory,
            swap,
            cpu: cpu(cx)?,
            tasks: cx.task_counts()?.map(|counts| Tasks {
                total: counts.total,
                running: counts.running,
                blocked: counts.blocked,
            }),
        })
    }
}

fn cgroups(cx: &Context<'_>) -> Vec<CgroupPath> {
    let all = cx.container().cgroups().iter();
    all.map(|cgroup| CgroupPath {
        hierarchy: cgroup.hierarchy().name().to_owned(),
        version: match cgroup.version() {
            Version::V1 => 1,
            Version::V2 => 2,
        },
        path: cgroup.path().to_string_lossy().into_owned(),
    })
    .collect()
}

fn bytes(limit: Limit) -> Option<u64> {
    match limit {
        Limit::Value(bytes) => Some(bytes),
        Limit::Max => None,
    }
}

fn memory(cx: &mut Context<'_>) -> Result<(Option<Amount>, Option<Swap>), ViewError> {
    let wanted = MemoryWanted {
        swap: true,
        ..MemoryWanted::USAGE
    };
    let Some(figures) = cx.memory(wanted)? else {
        return Ok((None, None));
    };
    let amount = |limit, usage| Amount {
        limit: bytes(limit),
        usage,
    };
    let swap = match figures.swap {
        // As in every other view: who is shown no swap has none.
        _ if !cx.shows_swap() => None,
        SwapFigures::NotAccounted => None,
        SwapFigures::Apart { limit, usage } => Some(Swap {
            amount: amount(limit, usage),
            with_memory: false,
        }),
        SwapFigures::Pool { limit, usage, .. } => Some(Swap {
            amount: amount(limit, usage),
            with_memory: true,
        }),
    };
    Ok((Some(amount(figures.limit, figures.usage)), swap))
}

fn cpu(cx: &mut Context<'_>) -> Result<Cpu, ViewError> {
    let visible = cx.visible_cpus()?;
    let mut list = Vec::new();
    visible.push_list(&mut list);
    let quota = cx.container().cpu_quota(&mut Vec::new())?;
    let usage = cx.cpu_usage(&mut Vec::new())?;
    Ok(Cpu {
        count: visible.len(),
        list: String::from_utf8_lossy(&list).into_owned(),
        quota: quota.map(|quota| micros(quota.quota) / micros(quota.period)),
        user_ns: usage.map(|usage| usage.user),
        system_ns: usage.map(|usage| usage.system),
    })
}

/// Both are below 2^52 in every kernel, and exact.
#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn micros(micros: u64) -> f64 {
    micros as f64
}
