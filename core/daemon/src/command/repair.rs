//! `vistafs repair`: the views of running containers live again, after everything had died.
//!
//! Exit status: 0 when no dead mount is left, 3 when one is, 1 when nothing could be looked for.

use crate::cli::{RepairArgs, RepairWorkerArgs};
use crate::output;
use vistafs_attach::repair::{self, Outcome, Row, Wanted};

/// Some mount is dead still.
const LEFT: u8 = 3;

pub(crate) fn repair(args: &RepairArgs) -> anyhow::Result<u8> {
    let wanted = Wanted {
        pids: &args.pid,
        is_dry_run: args.dry_run,
    };
    let rows = repair::repair(&args.mount.path()?, &wanted)?;
    if args.at_start {
        repair::report(&rows);
        return Ok(0);
    }
    let text = if args.json {
        serde_json::to_string_pretty(&rows)? + "\n"
    } else if rows.is_empty() {
        "nothing is dead\n".to_owned()
    } else {
        let head = ["CONTAINER", "PID", "NAMESPACE", "PATH", "SHOWS", "OUTCOME"];
        output::table(head, rows.iter().map(cells))
    };
    output::print(text.as_bytes())?;
    let is_left = rows.iter().any(|row| row.outcome != Outcome::Repaired);
    Ok(if is_left { LEFT } else { 0 })
}

pub(crate) fn work(args: &RepairWorkerArgs) -> anyhow::Result<u8> {
    repair::work(&args.mount.path()?, args.dry_run)?;
    Ok(0)
}

fn cells(row: &Row) -> [String; 6] {
    let outcome = match row.outcome {
        Outcome::Repaired => "repaired",
        Outcome::Dead => "dead",
        Outcome::Left => "left",
    };
    let why = row.why.as_deref();
    let or_none = |path: &Option<String>| path.clone().unwrap_or_else(|| "-".to_owned());
    [
        row.container.clone(),
        row.pid.to_string(),
        row.namespace.to_string(),
        or_none(&row.path),
        or_none(&row.shows),
        why.map_or_else(|| outcome.to_owned(), |why| format!("{outcome}: {why}")),
    ]
}
