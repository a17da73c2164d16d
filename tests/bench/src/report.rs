//! The tables and the JSON.

use anyhow::Result;
use serde_json::json;

use crate::figures::{decimal, hundredths, micros};
use crate::measure::{Results, Row};
use crate::neighbours::Beside;
use crate::plan::{FILES, File, Server, Way};

/// Limit of a quick run, in hundredths: noise alone is never this slow.
const INSANE: u64 = 2000;

/// A ratio with a target.
pub(crate) struct Ratio {
    pub(crate) file: File,
    pub(crate) way: Way,
    /// Latency of vistafs, in ns.
    pub(crate) own: u64,
    /// Relative to the null file system, in hundredths.
    pub(crate) own_ratio: u64,
    pub(crate) before_ratio: Option<u64>,
    /// Of lxcfs, if it is installed.
    pub(crate) lxcfs_ratio: Option<u64>,
    pub(crate) kernel_ratio: Option<u64>,
}

impl Results {
    fn single(&self, server: Server, file: File, way: Way) -> Option<&Row> {
        self.rows.iter().find(|row| {
            let what = &row.what;
            (what.server, what.file, what.way) == (server, file, way)
                && what.readers == 1
                && what.spread.is_none()
        })
    }

    pub(crate) fn ratios(&self) -> Vec<Ratio> {
        let mut ratios = Vec::new();
        for file in FILES {
            for way in Way::ALL {
                let p50 = |server| self.single(server, file, way).map(|row| row.p50);
                let (Some(own), Some(floor)) = (p50(Server::Vistafs), p50(Server::Null)) else {
                    continue;
                };
                let to_floor = |ns| hundredths(ns, floor);
                ratios.push(Ratio {
                    file,
                    way,
                    own,
                    own_ratio: to_floor(own),
                    before_ratio: p50(Server::Before).map(to_floor),
                    lxcfs_ratio: p50(Server::Lxcfs).map(to_floor),
                    kernel_ratio: p50(Server::Kernel).map(to_floor),
                });
            }
        }
        ratios
    }
}

fn told(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".into())
}

/// Prints all tables that have rows.
pub(crate) fn print(results: &Results) {
    if !results.rows.is_empty() {
        print_reading(results);
    }
    if !results.neighbours.is_empty() {
        print_neighbours(&results.neighbours);
    }
}

fn print_neighbours(all: &[Beside]) {
    println!(
        "\nOne reader of vistafs's meminfo, beside 16 readers in another container; µs.\n\n\
         | they read | alone: p50 | p99 | elsewhere | p50 | p99 | of vistafs: p50 | p99 \
         | of p99 elsewhere | target | |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for beside in all {
        let elsewhere = beside.elsewhere;
        let waited = elsewhere.map(|(_, waited)| waited);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            beside.crowd,
            micros(beside.alone.p50),
            micros(beside.alone.p99),
            elsewhere.map_or("-", |(server, _)| server.name()),
            told(waited.map(|waited| micros(waited.p50))),
            told(waited.map(|waited| micros(waited.p99))),
            micros(beside.vistafs.p50),
            micros(beside.vistafs.p99),
            decimal(beside.ratio()),
            told(beside.target.map(decimal)),
            match beside.target {
                Some(target) if beside.ratio() > target => "miss",
                Some(_) => "pass",
                None => "",
            },
        );
    }
}

fn print_reading(results: &Results) {
    println!(
        "One reader in one container: times of the null file system (the least that FUSE takes) \
         that each takes.\n\n\
         | file | way | vistafs, µs | vistafs | target | | before | lxcfs | kernel |\n\
         |---|---|---|---|---|---|---|---|---|"
    );
    let ratios = results.ratios();
    for ratio in &ratios {
        let verdict = if ratio.own_ratio <= ratio.file.target {
            "pass"
        } else {
            "miss"
        };
        println!(
            "| {} | {} | {} | {} | {} | {verdict} | {} | {} | {} |",
            ratio.file.name,
            ratio.way.name(),
            micros(ratio.own),
            decimal(ratio.own_ratio),
            decimal(ratio.file.target),
            told(ratio.before_ratio.map(decimal)),
            told(ratio.lxcfs_ratio.map(decimal)),
            told(ratio.kernel_ratio.map(decimal)),
        );
    }
    let passed = ratios.iter().filter(|r| r.own_ratio <= r.file.target);
    println!(
        "\n{} of {} targets are reached.",
        passed.count(),
        ratios.len()
    );
    println!(
        "\n| file | way | server | readers | containers | p50, µs | p99, µs | p99.9, µs | reads/s \
         | server's CPU, µs | its system calls |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for row in &results.rows {
        let what = &row.what;
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            what.file.name,
            what.way.name(),
            what.server.name(),
            what.readers,
            told(what.spread.map(|among| format!("{among}, in turns"))),
            micros(row.p50),
            micros(row.p99),
            micros(row.p999),
            row.per_second,
            if what.server == Server::Kernel {
                "-".into()
            } else {
                micros(row.cpu)
            },
            told(row.calls.map(decimal)),
        );
    }
    println!(
        "\n| server | when | resident, KiB | proportional, KiB | descriptors |\n|---|---|---|---|---|"
    );
    for memory in &results.memory {
        println!(
            "| {} | {} | {} | {} | {} |",
            memory.server.name(),
            memory.when,
            memory.held.resident,
            memory.held.proportional,
            memory.held.descriptors,
        );
    }
}

/// Returns whether no ratio is above the limit of a quick run.
pub(crate) fn is_sane(results: &Results) -> bool {
    let ratios = results.ratios();
    let slow = ratios.iter().filter(|ratio| ratio.own_ratio > INSANE);
    for ratio in slow.clone() {
        eprintln!(
            "{}, {}: {} times what FUSE takes at least",
            ratio.file.name,
            ratio.way.name(),
            decimal(ratio.own_ratio)
        );
    }
    !ratios.is_empty() && slow.count() == 0
}

/// Formats all results; times in ns, ratios and system calls in hundredths, memory in KiB.
pub(crate) fn json(results: &Results) -> Result<String> {
    let rows: Vec<_> = results
        .rows
        .iter()
        .map(|row| {
            json!({
                "file": row.what.file.name,
                "way": row.what.way.name(),
                "server": row.what.server.name(),
                "readers": row.what.readers,
                "containers": row.what.spread.unwrap_or(1),
                "p50_ns": row.p50,
                "p99_ns": row.p99,
                "p999_ns": row.p999,
                "reads_per_second": row.per_second,
                "server_cpu_ns": row.cpu,
                "server_calls_hundredths": row.calls,
            })
        })
        .collect();
    let targets: Vec<_> = results
        .ratios()
        .iter()
        .map(|ratio| {
            json!({
                "file": ratio.file.name,
                "way": ratio.way.name(),
                "ratio_hundredths": ratio.own_ratio,
                "target_hundredths": ratio.file.target,
                "before_ratio_hundredths": ratio.before_ratio,
                "lxcfs_ratio_hundredths": ratio.lxcfs_ratio,
                "kernel_ratio_hundredths": ratio.kernel_ratio,
            })
        })
        .collect();
    let memory: Vec<_> = results
        .memory
        .iter()
        .map(|memory| {
            json!({
                "server": memory.server.name(),
                "when": memory.when,
                "resident_kib": memory.held.resident,
                "proportional_kib": memory.held.proportional,
                "descriptors": memory.held.descriptors,
            })
        })
        .collect();
    let neighbours: Vec<_> = results
        .neighbours
        .iter()
        .map(|beside| {
            json!({
                "crowd_reads": beside.crowd,
                "alone_p99_ns": beside.alone.p99,
                "elsewhere": beside.elsewhere.map(|(server, _)| server.name()),
                "beside_elsewhere_p99_ns": beside.elsewhere.map(|(_, waited)| waited.p99),
                "beside_vistafs_p99_ns": beside.vistafs.p99,
                "ratio_hundredths": beside.ratio(),
                "target_hundredths": beside.target,
            })
        })
        .collect();
    let all = json!({
        "rows": rows,
        "targets": targets,
        "memory": memory,
        "neighbours": neighbours,
    });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}
