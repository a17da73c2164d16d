//! Parses the `metrics` of a mount.
//!
//! The server may run another version: unknown metrics are ignored.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::Serialize;

/// The status of a mount.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) supervisor: Option<ProcessStatus>,
    pub(crate) worker: ProcessStatus,
    /// Restarts of workers, by cause.
    pub(crate) restarts: BTreeMap<String, u64>,
    pub(crate) containers: u64,
    pub(crate) open_files: u64,
    pub(crate) in_flight: u64,
    /// Whether passthrough is enabled.
    pub(crate) passing: bool,
    /// Bytes held by open files of all tenants.
    pub(crate) held_bytes: u64,
    /// Bytes of all waiting requests, with their data.
    pub(crate) waiting_bytes: u64,
    pub(crate) offload_threads: u64,
    /// The tenants with the highest usage, largest first.
    pub(crate) tenants: Vec<TenantStatus>,
    pub(crate) views: Vec<ViewStatus>,
}

/// The usage of a tenant: a container with all containers in it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct TenantStatus {
    /// `host`, or a tag that distinguishes tenants of the same cgroup.
    pub(crate) tenant: String,
    pub(crate) cgroup: String,
    pub(crate) served_seconds: f64,
    pub(crate) queue_cpu_seconds: f64,
    pub(crate) held_bytes: u64,
    pub(crate) waiting_bytes: u64,
    /// Waiting requests for work.
    pub(crate) waiting_work: u64,
    /// Waiting requests for commands and plugins.
    pub(crate) waiting_slow: u64,
    pub(crate) open_files: u64,
    pub(crate) namespace_descriptors: u64,
    pub(crate) offload_threads: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ProcessStatus {
    pub(crate) pid: u64,
    /// Seconds.
    pub(crate) uptime: f64,
}

/// One operation of a view. Percentiles are in seconds, rounded up to the
/// bucket; `None`: above the largest bucket.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ViewStatus {
    pub(crate) view: String,
    pub(crate) operation: String,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl Status {
    /// Parses the metrics; `now` is in seconds since the epoch.
    pub(crate) fn parse(text: &str, now: f64) -> anyhow::Result<Self> {
        let samples: Vec<Sample<'_>> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Sample::parse)
            .collect::<anyhow::Result<_>>()?;
        let plain = |name: &str| {
            let sample = samples.iter().find(|sample| sample.name == name);
            sample.map(|sample| sample.value)
        };
        let needed = |name: &str| plain(name).with_context(|| format!("no {name}"));
        let process = |who: &str| -> anyhow::Result<ProcessStatus> {
            Ok(ProcessStatus {
                pid: whole(needed(&format!("vistafs_{who}_pid"))?),
                uptime: (now - needed(&format!("vistafs_{who}_start_time_seconds"))?).max(0.0),
            })
        };
        let restarts = samples
            .iter()
            .filter(|s| s.name == "vistafs_worker_restarts_total");
        Ok(Self {
            supervisor: match plain("vistafs_supervisor_pid") {
                Some(_) => Some(process("supervisor")?),
                None => None,
            },
            worker: process("worker")?,
            restarts: restarts
                .map(|s| (s.label("reason"), whole(s.value)))
                .collect(),
            containers: whole(needed("vistafs_containers")?),
            open_files: whole(needed("vistafs_open_files")?),
            in_flight: whole(needed("vistafs_requests_in_flight")?),
            passing: plain("vistafs_passing").is_some_and(|passing| passing > 0.0),
            held_bytes: whole(plain("vistafs_held_bytes").unwrap_or_default()),
            waiting_bytes: whole(plain("vistafs_waiting_bytes").unwrap_or_default()),
            offload_threads: whole(plain("vistafs_offload_threads").unwrap_or_default()),
            tenants: tenants(&samples),
            views: views(&samples),
        })
    }
}

fn tenants(samples: &[Sample<'_>]) -> Vec<TenantStatus> {
    let mut tenants: Vec<TenantStatus> = Vec::new();
    for sample in samples {
        let Some(what) = sample.name.strip_prefix("vistafs_tenant_") else {
            continue;
        };
        let (tenant, cgroup) = (sample.label("tenant"), sample.label("cgroup"));
        let at = tenants.iter().position(|known| known.tenant == tenant);
        let at = at.unwrap_or_else(|| {
            tenants.push(TenantStatus {
                tenant,
                cgroup,
                ..TenantStatus::default()
            });
            tenants.len() - 1
        });
        let status = &mut tenants[at];
        let count = whole(sample.value);
        match what {
            "served_seconds_total" => status.served_seconds = sample.value,
            "queue_cpu_seconds_total" => status.queue_cpu_seconds = sample.value,
            "held_bytes" => status.held_bytes = count,
            "waiting_bytes" => status.waiting_bytes = count,
            "waiting_requests" if sample.label("queue") == "work" => status.waiting_work = count,
            "waiting_requests" if sample.label("queue") == "slow" => status.waiting_slow = count,
            "open_files" => status.open_files = count,
            "namespace_descriptors" => status.namespace_descriptors = count,
            "offload_threads" => status.offload_threads = count,
            _ => {}
        }
    }
    tenants
}

fn views(samples: &[Sample<'_>]) -> Vec<ViewStatus> {
    let of = |name: &'static str, view: &str, operation: &str| {
        let (view, operation) = (view.to_owned(), operation.to_owned());
        samples.iter().filter(move |sample| {
            sample.name == name
                && sample.label("view") == view
                && sample.label("operation") == operation
        })
    };
    let requests = samples
        .iter()
        .filter(|s| s.name == "vistafs_requests_total");
    let status = |sample: &Sample<'_>| {
        let (view, operation) = (sample.label("view"), sample.label("operation"));
        let mut errors = of("vistafs_request_errors_total", &view, &operation);
        let buckets: Vec<(Option<f64>, u64)> =
            of("vistafs_request_seconds_bucket", &view, &operation)
                .map(|s| {
                    (
                        s.label("le").parse().ok().filter(|le: &f64| le.is_finite()),
                        whole(s.value),
                    )
                })
                .collect();
        ViewStatus {
            requests: whole(sample.value),
            errors: errors.next().map_or(0, |s| whole(s.value)),
            p50: percentile(&buckets, 50),
            p90: percentile(&buckets, 90),
            p99: percentile(&buckets, 99),
            view,
            operation,
        }
    };
    requests.map(status).collect()
}

/// Returns the upper bound of the bucket that contains a percentile.
fn percentile(buckets: &[(Option<f64>, u64)], of_hundred: u64) -> Option<f64> {
    let all = buckets.last()?.1;
    let enough = all.saturating_mul(of_hundred).div_ceil(100);
    buckets.iter().find(|(_, count)| *count >= enough)?.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts, far below 2^53"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

/// Parses a line: name, labels, value.
#[derive(Debug)]
struct Sample<'t> {
    name: &'t str,
    labels: Vec<(&'t str, String)>,
    value: f64,
}

impl<'t> Sample<'t> {
    fn parse(line: &'t str) -> anyhow::Result<Self> {
        let (before, value) = line.rsplit_once(' ').context("a line without a value")?;
        let value = value
            .parse()
            .with_context(|| format!("no number: {value}"))?;
        let (name, labels) = match before.split_once('{') {
            Some((name, rest)) => (name, labels(rest)?),
            None => (before, Vec::new()),
        };
        Ok(Self {
            name,
            labels,
            value,
        })
    }

    fn label(&self, name: &str) -> String {
        let label = self.labels.iter().find(|(label, _)| *label == name);
        label.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// `a="x",b="y"}`
fn labels(mut rest: &str) -> anyhow::Result<Vec<(&str, String)>> {
    let mut labels = Vec::new();
    while rest != "}" {
        let (name, after) = rest.split_once("=\"").context("labels without an end")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next() {
                Some((end, '"')) => break end + 1,
                Some((_, '\\')) => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c)) => value.push(c),
                    None => bail!("a label without an end"),
                },
                Some((_, c)) => value.push(c),
                None => bail!("a label without an end"),
            }
        };
        labels.push((name.trim_start_matches(','), value));
        rest = &after[end..];
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP vistafs_containers x\nvistafs_containers 2\nvistafs_open_files 1
vistafs_requests_in_flight 1\nvistafs_worker_pid 7\nvistafs_worker_start_time_seconds 90
vistafs_requests_total{view=\"proc/stat\",operation=\"read\"} 10
vistafs_request_errors_total{view=\"proc/stat\",operation=\"read\"} 3
vistafs_request_seconds_bucket{view=\"proc/stat\",operation=\"read\",le=\"0.1\"} 5
vistafs_request_seconds_bucket{view=\"proc/stat\",operation=\"read\",le=\"0.2\"} 9
vistafs_request_seconds_bucket{view=\"proc/stat\",operation=\"read\",le=\"+Inf\"} 10\n";

    #[test]
    fn a_text_in_order() {
        let status = Status::parse(TEXT, 100.0).unwrap();
        assert!(status.supervisor.is_none() && status.restarts.is_empty());
        assert_eq!((status.worker.pid, status.containers), (7, 2));
        assert!(!status.passing);
        assert!((status.worker.uptime - 10.0).abs() < 1e-9);
        assert!(status.tenants.is_empty());
        let view = &status.views[0];
        assert_eq!((view.requests, view.errors), (10, 3));
        assert_eq!((view.p50, view.p90, view.p99), (Some(0.1), Some(0.2), None));
        let more = "vistafs_supervisor_pid 3\nvistafs_supervisor_start_time_seconds 50
vistafs_passing 1\nvistafs_worker_restarts_total{reason=\"a \\\"b\\\" }\"} 4\n";
        let status = Status::parse(&(TEXT.to_owned() + more), 100.0).unwrap();
        assert_eq!(status.restarts["a \"b\" }"], 4);
        assert!(status.passing);
        assert_eq!(status.supervisor.unwrap().pid, 3);
    }

    #[test]
    fn tenants_with_the_same_cgroup_stay_apart() {
        let of = |what: &str, tenant: &str, more: &str, value: &str| {
            format!(
                "vistafs_tenant_{what}{{tenant=\"{tenant}\",cgroup=\"/a \\\"}} {{\\n\"{more}}} {value}\n"
            )
        };
        let text = TEXT.to_owned()
            + &of("served_seconds_total", "b", "", "2.5")
            + &of("served_seconds_total", "a", "", "0.5")
            + &of("waiting_requests", "a", ",queue=\"work\"", "7")
            + &of("waiting_requests", "a", ",queue=\"slow\"", "1")
            + &of("of_a_later_version", "a", "", "1");
        let status = Status::parse(&text, 100.0).unwrap();
        let names: Vec<_> = status.tenants.iter().map(|t| t.tenant.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        let a = &status.tenants[1];
        assert_eq!(a.cgroup, "/a \"} {\n");
        assert_eq!((a.waiting_work, a.waiting_slow), (7, 1));
        assert!((a.served_seconds - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_such_text_is_an_error() {
        for bad in [
            "",
            "x",
            "vistafs_containers x",
            "a{b=\"c} 1",
            "a{b 1",
            "a{b=\"\\ 1",
        ] {
            assert!(Status::parse(bad, 0.0).is_err(), "{bad}");
        }
    }
}
