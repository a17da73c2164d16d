//! `vistafs attach` and `vistafs detach`: views in running containers.
//!
//! Exit status: 0 when every wanted view is placed or removed, 3 when one is not, 1 when nothing could be
//! tried. A container that ends meanwhile is no failure.

use std::collections::BTreeMap;

use anyhow::bail;
use vistafs_attach::attach::{self, Outcome, Row, Selector, Wanted};

use crate::bindings;
use crate::cli::{AttachWorkerArgs, ContainerArgs};
use crate::output;
use vistafs_config::Config;

/// Some view was not placed or removed.
const LEFT: u8 = 3;

pub(crate) fn attach(args: &ContainerArgs, config: &Config, detach: bool) -> anyhow::Result<u8> {
    let of = match &args.cgroup {
        Some(path) => Selector::Cgroup(path),
        None if args.all => Selector::All,
        None => Selector::Pids(&args.pid),
    };
    let mut bindings = bindings::all(config)?;
    if let Some(unknown) = args
        .only
        .iter()
        .find(|name| !bindings.iter().any(|binding| binding.name == **name))
    {
        bail!("no view {unknown} serves files below /proc or /sys (vistafs views lists the views)");
    }
    if !args.only.is_empty() {
        bindings.retain(|binding| args.only.iter().any(|name| name == binding.name));
    }
    let views: Vec<&str> = bindings.iter().map(|binding| binding.path).collect();
    let wanted = Wanted {
        of,
        views: &views,
        detach,
        is_dry_run: args.dry_run,
    };
    let rows = attach::attach(&args.mount.path()?, &wanted)?;
    let text = if args.json {
        serde_json::to_string_pretty(&rows)? + "\n"
    } else if rows.is_empty() {
        "no container has anything to change\n".to_owned()
    } else {
        let head = ["CONTAINER", "PID", "NAMESPACE", "OUTCOME", "VIEWS"];
        output::table(head, summary(&rows).into_iter())
    };
    output::print(text.as_bytes())?;
    let is_left = rows.iter().any(|row| row.outcome == Outcome::Left);
    Ok(if is_left { LEFT } else { 0 })
}

pub(crate) fn work(args: &AttachWorkerArgs) -> anyhow::Result<u8> {
    attach::work(&args.mount.path()?, args.detach, args.dry_run)?;
    Ok(0)
}

/// One line for each container and result.
fn summary(rows: &[Row]) -> Vec<[String; 5]> {
    let mut lines: Vec<(&Row, String, Vec<&str>)> = Vec::new();
    let mut known = BTreeMap::new();
    for row in rows {
        let outcome = outcome(row);
        let key = (row.namespace, outcome.clone());
        let line = *known.entry(key).or_insert_with(|| {
            lines.push((row, outcome, Vec::new()));
            lines.len() - 1
        });
        if let Some((_, _, paths)) = lines.get_mut(line) {
            paths.extend(row.path.as_deref());
        }
    }
    let cells = |(row, outcome, paths): (&Row, String, Vec<&str>)| {
        [
            row.container.clone(),
            row.pid.to_string(),
            row.namespace.to_string(),
            outcome,
            if paths.is_empty() {
                "-".to_owned()
            } else {
                paths.join(" ")
            },
        ]
    };
    lines.into_iter().map(cells).collect()
}

fn outcome(row: &Row) -> String {
    let outcome = match row.outcome {
        Outcome::Attached => "attached",
        Outcome::Present => "present",
        Outcome::Detached => "detached",
        Outcome::Possible => "possible",
        Outcome::Left => "left",
        Outcome::Gone => "gone",
    };
    let why = row.why.as_deref();
    why.map_or_else(|| outcome.to_owned(), |why| format!("{outcome}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_with_one_result_share_a_line() {
        let row = |namespace, path: &str, outcome| Row {
            container: "/c".to_owned(),
            pid: 7,
            namespace,
            path: Some(path.to_owned()),
            outcome,
            why: (outcome == Outcome::Left).then(|| "masked".to_owned()),
        };
        let rows = [
            row(1, "/proc/stat", Outcome::Attached),
            row(1, "/proc/swaps", Outcome::Left),
            row(1, "/proc/uptime", Outcome::Attached),
            row(2, "/proc/stat", Outcome::Attached),
        ];
        let lines = summary(&rows);
        let ends: Vec<_> = lines.iter().map(|line| (&*line[3], &*line[4])).collect();
        assert_eq!(
            ends,
            [
                ("attached", "/proc/stat /proc/uptime"),
                ("left: masked", "/proc/swaps"),
                ("attached", "/proc/stat"),
            ]
        );
    }
}
