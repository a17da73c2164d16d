//! `vistafs show VIEW`: what a process or a cgroup would see, without a mount.

use std::path::Path;

use anyhow::{Context as _, bail};
use vistafs_container::{Caller, ContainerError};

use crate::cli::ShowArgs;
use crate::engine::Engine;
use crate::output;
use vistafs_config::Config;

pub(crate) fn show(args: &ShowArgs, config: &Config) -> anyhow::Result<u8> {
    let engine = Engine::start(config)?;
    let (view, below) = engine.registry.resolve(&args.view)?;
    let caller = match (&args.cgroup, args.pid) {
        (Some(path), _) => {
            let path = Path::new("/").join(path);
            let container = engine.containers.at_path(&path);
            Caller::Inside(container.with_context(|| {
                format!(
                    "no cgroup {} in any hierarchy (a path as in /proc/PID/cgroup, from the top)",
                    path.display()
                )
            })?)
        }
        (None, pid) => {
            let pid = pid.unwrap_or_else(std::process::id);
            match engine.containers.caller(pid) {
                Err(ContainerError::CallerGone | ContainerError::Invisible) => {
                    bail!("no process {pid} (its number is the one that the host has for it)")
                }
                caller => {
                    caller.with_context(|| format!("cannot find the container of process {pid}"))?
                }
            }
        }
    };
    let mut text = Vec::new();
    engine
        .dispatcher
        .show(view, Path::new(below), &caller, &mut text)?;
    output::print(&text)?;
    Ok(0)
}
