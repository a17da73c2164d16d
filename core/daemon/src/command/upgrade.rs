//! `vistafs upgrade`: replaces the running program by the installed one.

use serde_json::Value;

use crate::cli::UpgradeArgs;
use crate::output;
use vistafs_supervisor::question::{Question, ask};

pub(crate) fn upgrade(args: &UpgradeArgs) -> anyhow::Result<u8> {
    let mount = args.mount.path()?;
    let answer = ask(&mount, &Question::Upgrade)?;
    let version = answer.get("version").and_then(Value::as_str);
    let version = version.unwrap_or("of an unknown version");
    output::print(format!("{}: vistafs {version} serves\n", mount.display()).as_bytes())?;
    Ok(0)
}
