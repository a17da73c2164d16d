//! `vistafs status`: prints the status of a mount, as text or JSON.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::Value;

use crate::cli::StatusArgs;
use crate::output;
use crate::status::{Status, TenantStatus, ViewStatus};
use vistafs_supervisor::question::{Question, ask};

pub(crate) fn status(args: &StatusArgs) -> anyhow::Result<u8> {
    let mount = args.mount.path()?;
    let file = mount.join("metrics");
    let read = std::fs::read_to_string(&file);
    if read
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
        && let Ok(answer) = ask(&mount, &Question::Status)
        && answer["page_cache"] == true
    {
        // There is nothing in that tree that is not a container's.
        let text = if args.json {
            serde_json::to_string_pretty(&answer)? + "\n"
        } else {
            told_by_supervisor(&answer)
        };
        output::print(text.as_bytes())?;
        return Ok(0);
    }
    let text = read.with_context(|| {
        format!(
            "cannot read {} (is vistafs mounted there? only root on the host can)",
            file.display()
        )
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let status = Status::parse(&text, now.as_secs_f64())
        .with_context(|| format!("{} is not as expected", file.display()))?;
    let text = if args.json {
        serde_json::to_string_pretty(&status)? + "\n"
    } else {
        told(&status)
    };
    output::print(text.as_bytes())?;
    Ok(0)
}

fn told(status: &Status) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{what:<12}{value}");
    };
    if let Some(supervisor) = &status.supervisor {
        let since = format!("process {}, up {:.0} s", supervisor.pid, supervisor.uptime);
        line("supervisor", since);
        for (reason, count) in &status.restarts {
            line("restarts", format!("{count}: {reason}"));
        }
    }
    let worker = &status.worker;
    line(
        "worker",
        format!("process {}, up {:.0} s", worker.pid, worker.uptime),
    );
    line("containers", status.containers.to_string());
    line("open files", status.open_files.to_string());
    line("requests", format!("{} under way", status.in_flight));
    if status.passing {
        line(
            "passing",
            "the host's files, to containers too (SIGUSR2 ends that)".into(),
        );
    }
    let held = format!("{} bytes, for open files", status.held_bytes);
    line("held", held);
    let waiting = format!("{} bytes, in queues", status.waiting_bytes);
    line("waiting", waiting);
    line("threads", format!("{} offload", status.offload_threads));
    if !status.tenants.is_empty() {
        let head = [
            "TENANT", "TIME", "CPU", "HELD", "WAITING", "QUEUED", "SLOW", "OPEN", "FDS", "THREADS",
            "CGROUP",
        ];
        text.push('\n');
        text += &output::table(head, status.tenants.iter().map(tenant_cells));
    }
    let asked: Vec<_> = status
        .views
        .iter()
        .filter(|view| view.requests > 0)
        .collect();
    if !asked.is_empty() {
        let head = [
            "VIEW",
            "OPERATION",
            "REQUESTS",
            "ERRORS",
            "P50",
            "P90",
            "P99",
        ];
        text.push('\n');
        text += &output::table(head, asked.into_iter().map(cells));
    }
    text
}

fn told_by_supervisor(answer: &Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let process = |who: &str| {
        let (pid, since) = (&answer[who]["pid"], answer[who]["since"].as_u64());
        let up = now.saturating_sub(since.unwrap_or(now));
        format!("process {pid}, up {up} s")
    };
    let mut text = format!("{:<12}{}\n", "supervisor", process("supervisor"));
    let restarts = answer["restarts"]["last"].as_array().into_iter().flatten();
    for why in restarts.filter_map(|end| end["why"].as_str()) {
        text += &format!("{:<12}{why}\n", "restart");
    }
    let worker = match answer["worker"]["serving"] == true {
        true => process("worker"),
        false => "none serves".to_owned(),
    };
    text + &format!("{:<12}{worker}\n", "worker")
}

fn tenant_cells(tenant: &TenantStatus) -> [String; 11] {
    let ms = |seconds: f64| format!("{:.0} ms", seconds * 1e3);
    let kib = |bytes: u64| format!("{} KiB", bytes.div_ceil(1024));
    [
        tenant.tenant.clone(),
        ms(tenant.served_seconds),
        ms(tenant.queue_cpu_seconds),
        kib(tenant.held_bytes),
        kib(tenant.waiting_bytes),
        tenant.waiting_work.to_string(),
        tenant.waiting_slow.to_string(),
        tenant.open_files.to_string(),
        tenant.namespace_descriptors.to_string(),
        tenant.offload_threads.to_string(),
        tenant.cgroup.clone(),
    ]
}

fn cells(view: &ViewStatus) -> [String; 7] {
    let at_most = |seconds: Option<f64>| match seconds {
        Some(seconds) => format!("{} us", (seconds * 1e6).round()),
        None => "longer".to_owned(),
    };
    [
        view.view.clone(),
        view.operation.clone(),
        view.requests.to_string(),
        view.errors.to_string(),
        at_most(view.p50),
        at_most(view.p90),
        at_most(view.p99),
    ]
}
