//! Per-tenant metrics.
//!
//! A tenant chooses the names of its cgroups. So the label is escaped and limited in length, and
//! the tag before it identifies the tenant. A scrape has at most [`MOST`] tenants.

use std::fmt::Write as _;

use vistafs_container::Usage;

use super::{escaped, head};

/// Maximum number of exported tenants.
pub(crate) const MOST: usize = 10;
/// Maximum number of exported bytes of a cgroup path.
const LONGEST_PATH: usize = 200;

/// Name, help, value.
type Counter = (&'static str, &'static str, fn(&Usage) -> f64);
type Gauge = (&'static str, &'static str, fn(&Usage) -> usize);

const COUNTERS: [Counter; 2] = [
    (
        "vistafs_tenant_served_seconds_total",
        "Time that its requests took, commands and plugins excepted.",
        |usage| usage.served.as_secs_f64(),
    ),
    (
        "vistafs_tenant_queue_cpu_seconds_total",
        "CPU time of its requests that ran on offload threads.",
        |usage| usage.queue_cpu.as_secs_f64(),
    ),
];

const GAUGES: [Gauge; 5] = [
    (
        "vistafs_tenant_held_bytes",
        "Bytes of texts and listings that its open files hold.",
        |usage| usage.held_bytes,
    ),
    (
        "vistafs_tenant_waiting_bytes",
        "Bytes of its waiting requests, with what they write.",
        |usage| usage.waiting_bytes,
    ),
    (
        "vistafs_tenant_open_files",
        "Its open files and directories.",
        |usage| usage.open_files,
    ),
    (
        "vistafs_tenant_namespace_descriptors",
        "Descriptors that are held for its namespaces.",
        |usage| usage.descriptors,
    ),
    (
        "vistafs_tenant_offload_threads",
        "Offload threads that serve it just now.",
        |usage| usage.threads,
    ),
];

/// Appends the samples of tenants, whose tags must be unique.
pub(super) fn append(text: &mut String, tenants: &[Usage]) {
    let labels: Vec<String> = tenants.iter().map(labels).collect();
    let labelled = || labels.iter().zip(tenants);
    for (name, help, value) in COUNTERS {
        head(text, name, "counter", help);
        for (labels, usage) in labelled() {
            let _ = writeln!(text, "{name}{{{labels}}} {}", value(usage));
        }
    }
    for (name, help, value) in GAUGES {
        head(text, name, "gauge", help);
        for (labels, usage) in labelled() {
            let _ = writeln!(text, "{name}{{{labels}}} {}", value(usage));
        }
    }
    let name = "vistafs_tenant_waiting_requests";
    let help = "Its waiting requests: those that cost time, and those of commands and plugins.";
    head(text, name, "gauge", help);
    for (labels, usage) in labelled() {
        for (queue, length) in [("work", usage.waiting_work), ("slow", usage.waiting_slow)] {
            let _ = writeln!(text, "{name}{{{labels},queue=\"{queue}\"}} {length}");
        }
    }
}

fn labels(usage: &Usage) -> String {
    let tenant = match usage.tag {
        0 => "host".to_owned(),
        tag => format!("{tag:08x}"),
    };
    let path = usage.cgroup.as_deref().unwrap_or("".as_ref());
    let path = path.to_string_lossy();
    let ends = path.char_indices().map(|(start, c)| start + c.len_utf8());
    let end = ends.take_while(|end| *end <= LONGEST_PATH).last();
    let path = escaped(&path[..end.unwrap_or(0)]);
    format!("tenant=\"{tenant}\",cgroup=\"{path}\"")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_cgroup_is_no_more_than_a_label() {
        let name = b"/a\"} 1\nvistafs_up 1\r\xff\x1b[0m\\\xe2\x80\xae";
        let usage = Usage {
            tag: 0xab,
            cgroup: Some(OsStr::from_bytes(name).into()),
            served: Duration::from_millis(1500),
            waiting_slow: 3,
            ..Usage::default()
        };
        let mut text = String::new();
        append(&mut text, &[usage, Usage::default()]);
        let labels = "tenant=\"000000ab\",cgroup=\"/a\\\"} 1\\nvistafs_up 1\\\\r\u{fffd}\\\\u{1b}[0m\\\\\\\\u{202e}\"";
        for line in [
            format!("vistafs_tenant_served_seconds_total{{{labels}}} 1.5"),
            format!("vistafs_tenant_waiting_requests{{{labels},queue=\"slow\"}} 3"),
            "vistafs_tenant_held_bytes{tenant=\"host\",cgroup=\"\"} 0".to_owned(),
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        let known = |line: &str| line.starts_with("# ") || line.starts_with("vistafs_tenant_");
        assert!(text.lines().all(known), "{text}");
    }

    #[test]
    fn a_long_path_is_cut() {
        let usage = Usage {
            cgroup: Some("/\u{e9}".repeat(3000).into()),
            ..Usage::default()
        };
        assert!(labels(&usage).len() < LONGEST_PATH + 40);
    }
}
