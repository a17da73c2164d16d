//! `vistafs reload`: reloads the configuration.

use crate::cli::ReloadArgs;
use crate::output;
use vistafs_supervisor::question::{Question, ask};

pub(crate) fn reload(args: &ReloadArgs) -> anyhow::Result<u8> {
    let mount = args.mount.path()?;
    ask(&mount, &Question::Reload)?;
    let told = format!("{}: the new configuration is in effect\n", mount.display());
    output::print(told.as_bytes())?;
    Ok(0)
}
