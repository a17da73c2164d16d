//! `vistafs views`: the table of all views.

use anyhow::Context as _;
use serde::Serialize;
use vistafs_cgroup::Hierarchies;
use vistafs_host::Host;
use vistafs_view::{Registered, Registry, Status};

use crate::cli::ViewsArgs;
use crate::config::Config;
use crate::engine;
use crate::output;

#[derive(Serialize)]
struct Row {
    path: &'static str,
    name: &'static str,
    on: bool,
    why: &'static str,
    from: &'static str,
    sources: Vec<String>,
    summary: &'static str,
    options: Vec<OptionRow>,
}

#[derive(Serialize)]
struct OptionRow {
    name: &'static str,
    default: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    summary: &'static str,
}

pub(crate) fn views(args: &ViewsArgs, config: &Config) -> anyhow::Result<u8> {
    let registry =
        Registry::collect(&config.selection()).context("the configuration cannot be used")?;
    let registry = registry.on(&Host::running(config.epoch())?);
    let hierarchies = engine::hierarchies()?;
    let rows: Vec<Row> = registry
        .all()
        .iter()
        .map(|view| row(view, &hierarchies))
        .collect();
    let text = if args.json {
        serde_json::to_string_pretty(&rows)? + "\n"
    } else {
        let head = ["PATH", "STATUS", "FROM", "SOURCES HERE", "SHOWS"];
        output::table(head, rows.iter().map(cells))
    };
    output::print(text.as_bytes())?;
    Ok(0)
}

fn row(view: &Registered, hierarchies: &Hierarchies) -> Row {
    let option = |o: &vistafs_view::OptionSpec| OptionRow {
        name: o.name,
        default: o.default.to_string(),
        range: o
            .range
            .as_ref()
            .map(|range| format!("{} to {}", range.start(), range.end())),
        summary: o.summary,
    };
    Row {
        path: view.spec.path,
        name: view.spec.name,
        on: view.status == Status::On,
        why: match view.status {
            Status::On if view.spec.on_by_default => "by default",
            Status::On => "enabled in the configuration",
            Status::OffByDefault => "by default",
            Status::Disabled => "disabled in the configuration",
            Status::NotOnHost => "the host has no such file",
        },
        from: "built in",
        sources: view
            .spec
            .sources
            .iter()
            .map(|s| s.on(hierarchies))
            .collect(),
        summary: view.spec.summary,
        options: view.spec.options.iter().map(option).collect(),
    }
}

fn cells(row: &Row) -> [String; 5] {
    let status = format!("{} {}", if row.on { "on" } else { "off" }, row.why);
    [
        row.path.to_owned(),
        status,
        row.from.to_owned(),
        row.sources.join(", "),
        row.summary.to_owned(),
    ]
}
