//! `vistafs views`: the table of all views.

use serde::Serialize;
use serde::de::DeserializeOwned;
use vistafs_cgroup::Hierarchies;
use vistafs_host::Host;
use vistafs_view::{Origin, Refusal, Registered, Status};

use crate::cli::ViewsArgs;
use crate::engine;
use crate::output;
use crate::outside;
use crate::plugins::Loader;
use vistafs_config::Config;
use vistafs_supervisor::link::{PutAside, Quarantined};
use vistafs_supervisor::plugins::LeftOut;
use vistafs_supervisor::question::{Question, ask};

#[derive(Serialize)]
struct Row {
    path: &'static str,
    name: &'static str,
    on: bool,
    why: String,
    from: String,
    sources: Vec<String>,
    summary: String,
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
    if let Some(view) = &args.restore {
        let view = view.clone();
        ask(&args.mount.path()?, &Question::Restore { view })?;
        return Ok(0);
    }
    // Without a mount, or without the right to ask, the table shows the configuration alone.
    let mut status = ask(&args.mount.path()?, &Question::Status).unwrap_or_default();
    let left_out: Vec<LeftOut> = told(&mut status, "left_out");
    let put_aside: Vec<PutAside> = told(&mut status, "put_aside");
    let quarantined: Vec<Quarantined> = told(&mut status, "quarantined");
    let loader = Loader::Command {
        left_out: &left_out,
    };
    let registry = outside::registry_with(config, config.selection(), loader)?;
    let mut registry = registry.on(&Host::running(config.host_ttl())?);
    for view in put_aside {
        registry.put_aside(&view.name, &view.why);
    }
    let hierarchies = engine::hierarchies()?;
    let rows: Vec<Row> = registry
        .all()
        .iter()
        .map(|view| row(view, &hierarchies).without(&quarantined))
        .chain(registry.refused().iter().map(refused))
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

/// Returns a list of the supervisor's status: disabled views or plugins.
fn told<T: DeserializeOwned>(status: &mut serde_json::Value, what: &str) -> Vec<T> {
    let told = status.get_mut(what).map(serde_json::Value::take);
    serde_json::from_value(told.unwrap_or_default()).unwrap_or_default()
}

/// Returns the row of a plugin that could not be loaded, which has no view names.
fn refused(refusal: &Refusal) -> Row {
    let from = match &refusal.origin {
        Origin::Plugin(file) => file.file_name().map(|name| name.to_string_lossy()),
        _ => None,
    };
    Row {
        path: "-",
        name: "",
        on: false,
        why: format!("refused: {}", refusal.why),
        from: refusal.origin.to_string(),
        sources: Vec::new(),
        summary: format!("the views of {}", from.unwrap_or_default()),
        options: Vec::new(),
    }
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
        why: match &view.status {
            Status::On if view.spec.on_by_default => "by default".to_owned(),
            Status::On => "enabled in the configuration".to_owned(),
            Status::OffByDefault => "by default".to_owned(),
            Status::Disabled => "disabled in the configuration".to_owned(),
            Status::NotOnHost => "the host has no such file".to_owned(),
            Status::PutAside(why) => format!("disabled after crashes: {why}"),
            Status::Refused(why) => format!("refused: {why}"),
            Status::Replaced(name) => format!("the configuration has view {name} in its place"),
        },
        from: view.origin.to_string(),
        sources: view
            .spec
            .sources
            .iter()
            .map(|s| s.on(hierarchies))
            .collect(),
        summary: view.spec.summary.to_owned(),
        options: view.spec.options.iter().map(option).collect(),
    }
}

impl Row {
    /// The same, with how many containers do not get the view.
    fn without(mut self, quarantined: &[Quarantined]) -> Self {
        let containers = quarantined.iter().filter(|one| one.view == self.name);
        match containers.count() {
            0 => {}
            1 => self.why += "; disabled for 1 container that crashed workers with it",
            many => {
                self.why +=
                    &format!("; disabled for {many} containers that crashed workers with it");
            }
        }
        self
    }
}

fn cells(row: &Row) -> [String; 5] {
    let status = format!("{} {}", if row.on { "on" } else { "off" }, row.why);
    [
        row.path.to_owned(),
        status,
        row.from.clone(),
        row.sources.join(", "),
        row.summary.clone(),
    ]
}
