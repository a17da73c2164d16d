//! `metrics`: the counters in the Prometheus exposition format.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>. Only root on the host finds the
//! file, as with `at`.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use vistafs_container::Usage;
use vistafs_view::{Context, Errno, View, ViewError};

use crate::figures::{self, Figures, Operation};

mod tenants;

pub(crate) use tenants::MOST as TENANTS;

/// The file's name.
pub(crate) const NAME: &str = "metrics";

/// The supervisor's values about itself and its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervision {
    /// Process ID.
    pub pid: u32,
    /// Its start time.
    pub started: SystemTime,
    /// Number of worker restarts by reason. A reason is a word.
    pub restarts: Vec<(String, u64)>,
}

/// The view at the file's path; the dispatcher renders its contents.
#[derive(Debug)]
pub(crate) struct Placeholder;

impl View for Placeholder {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Err(ViewError::Answer(Errno::NOENT))
    }
}

/// All exported values.
pub(crate) struct Snapshot<'s> {
    pub(crate) figures: &'s Figures,
    pub(crate) views: &'s [&'static str],
    pub(crate) containers: usize,
    pub(crate) open_files: usize,
    pub(crate) started: SystemTime,
    pub(crate) passing: bool,
    pub(crate) held_bytes: usize,
    pub(crate) waiting_bytes: usize,
    pub(crate) offload_threads: usize,
    /// The tenants with the highest usage; their tags are unique.
    pub(crate) tenants: &'s [Usage],
    pub(crate) supervision: Option<&'s Supervision>,
}

impl Snapshot<'_> {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut gauge = |name: &str, help: &str, value: &dyn std::fmt::Display| {
            head(&mut text, name, "gauge", help);
            let _ = writeln!(text, "{name} {value}");
        };
        gauge(
            "vistafs_worker_pid",
            "Process that serves.",
            &std::process::id(),
        );
        let started = seconds(self.started);
        gauge(
            "vistafs_worker_start_time_seconds",
            "Since when it serves.",
            &started,
        );
        gauge(
            "vistafs_containers",
            "Containers that have asked and live.",
            &self.containers,
        );
        gauge(
            "vistafs_open_files",
            "Files that are open.",
            &self.open_files,
        );
        gauge(
            "vistafs_passing",
            "Whether the host's files are passed to containers.",
            &u8::from(self.passing),
        );
        let in_flight = self.figures.in_flight();
        gauge(
            "vistafs_requests_in_flight",
            "Requests under way.",
            &in_flight,
        );
        gauge(
            "vistafs_held_bytes",
            "Bytes of texts and listings that open files hold.",
            &self.held_bytes,
        );
        gauge(
            "vistafs_waiting_bytes",
            "Bytes of waiting requests, with what they write.",
            &self.waiting_bytes,
        );
        gauge(
            "vistafs_offload_threads",
            "Threads for requests that wait in queues.",
            &self.offload_threads,
        );
        if let Some(supervision) = self.supervision {
            gauge(
                "vistafs_supervisor_pid",
                "Process that holds the mount.",
                &supervision.pid,
            );
            let started = seconds(supervision.started);
            gauge(
                "vistafs_supervisor_start_time_seconds",
                "Since when it does.",
                &started,
            );
            let name = "vistafs_worker_restarts_total";
            head(&mut text, name, "counter", "Restarts of workers.");
            for (reason, count) in &supervision.restarts {
                let reason = escaped(reason);
                let _ = writeln!(text, "{name}{{reason=\"{reason}\"}} {count}");
            }
        }
        tenants::append(&mut text, self.tenants);
        self.requests(&mut text);
        text
    }

    fn requests(&self, text: &mut String) {
        let all = || {
            self.views.iter().enumerate().flat_map(|(index, path)| {
                Operation::ALL.map(|operation| {
                    let labels = format!("view=\"{path}\",operation=\"{}\"", operation.name());
                    (labels, self.figures.of(index, operation))
                })
            })
        };
        let all: Vec<_> = all().collect();
        let name = "vistafs_requests_total";
        head(text, name, "counter", "Requests that were answered.");
        for (labels, counts) in &all {
            let _ = writeln!(text, "{name}{{{labels}}} {}", counts.requests());
        }
        let name = "vistafs_request_errors_total";
        head(
            text,
            name,
            "counter",
            "Requests that were answered with an error.",
        );
        for (labels, counts) in &all {
            let _ = writeln!(text, "{name}{{{labels}}} {}", counts.errors);
        }
        let name = "vistafs_request_seconds";
        head(text, name, "histogram", "How long requests took.");
        // Omits hundreds of zeros.
        for (labels, counts) in all.iter().filter(|(_, counts)| counts.requests() > 0) {
            let mut so_far = 0;
            for (bucket, count) in counts.buckets.iter().enumerate() {
                so_far += count;
                let longest = figures::longest(bucket).map(|longest| longest.as_secs_f64());
                let longest =
                    longest.map_or_else(|| "+Inf".to_owned(), |longest| longest.to_string());
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{longest}\"}} {so_far}");
            }
            let sum = Duration::from_nanos(counts.nanos).as_secs_f64();
            let _ = writeln!(text, "{name}_sum{{{labels}}} {sum}");
            let _ = writeln!(text, "{name}_count{{{labels}}} {so_far}");
        }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Escapes a label: one line, without control characters for a terminal or a parser of lines.
fn escaped(label: &str) -> String {
    let mut escaped = String::with_capacity(label.len());
    for character in label.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\\' | '"' => escaped.extend(['\\', character]),
            // Also the marks that change the text direction.
            c if c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                // The backslash is text here.
                escaped.push('\\');
                escaped.extend(c.escape_default());
            }
            c => escaped.push(c),
        }
    }
    escaped
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told() {
        let figures = Figures::new(1);
        let mut counted = figures.begin(Operation::Read);
        counted.view = Some(0);
        let _ = counted.end(Err::<(), ()>(()));
        let supervision = Supervision {
            pid: 7,
            started: UNIX_EPOCH + Duration::from_secs(5),
            restarts: vec![("killed \"9\"".to_owned(), 2)],
        };
        let snapshot = Snapshot {
            figures: &figures,
            views: &["proc/stat"],
            containers: 3,
            open_files: 4,
            started: UNIX_EPOCH,
            passing: true,
            held_bytes: 5,
            waiting_bytes: 6,
            offload_threads: 7,
            tenants: &[],
            supervision: Some(&supervision),
        };
        let text = snapshot.text();
        for line in [
            "vistafs_containers 3",
            "vistafs_open_files 4",
            "vistafs_requests_in_flight 0",
            "vistafs_passing 1",
            "vistafs_held_bytes 5",
            "vistafs_waiting_bytes 6",
            "vistafs_offload_threads 7",
            "vistafs_supervisor_start_time_seconds 5",
            "vistafs_worker_restarts_total{reason=\"killed \\\"9\\\"\"} 2",
            "vistafs_requests_total{view=\"proc/stat\",operation=\"read\"} 1",
            "vistafs_requests_total{view=\"proc/stat\",operation=\"open\"} 0",
            "vistafs_request_errors_total{view=\"proc/stat\",operation=\"read\"} 1",
            "vistafs_request_seconds_bucket{view=\"proc/stat\",operation=\"read\",le=\"+Inf\"} 1",
            "vistafs_request_seconds_count{view=\"proc/stat\",operation=\"read\"} 1",
        ] {
            assert!(
                text.lines().any(|one| one == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(
            text.contains("operation=\"read\",le=\"0.000001\"}"),
            "{text}"
        );
    }
}
