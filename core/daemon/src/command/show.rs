//! `vistafs show VIEW`: what a process or a cgroup would see, without a mount.

use std::io::Write;

use anyhow::{Context as _, bail};
use vistafs_container::{Caller, ContainerError};
use vistafs_view::Provider;

use crate::cli::ShowArgs;
use crate::config::Config;
use crate::engine::Engine;

pub(crate) fn show(args: &ShowArgs, config: &Config) -> anyhow::Result<u8> {
    let engine = Engine::start(config)?;
    let view = engine.registry.find(&args.view)?;
    let caller = match (&args.cgroup, args.pid) {
        (Some(path), _) => {
            let path = std::path::Path::new("/").join(path);
            let container = engine.containers.at_path(&path);
            Caller::Inside(
                container
                    .with_context(|| format!("no cgroup {} in any hierarchy", path.display()))?,
            )
        }
        (None, pid) => {
            let pid = pid.unwrap_or_else(std::process::id);
            match engine.containers.caller(pid) {
                Err(ContainerError::CallerGone | ContainerError::Invisible) => {
                    bail!("no process {pid}")
                }
                caller => {
                    caller.with_context(|| format!("cannot find the container of process {pid}"))?
                }
            }
        }
    };
    let mut text = Vec::new();
    match (&caller, &view.provider) {
        (Caller::Host, _) => engine
            .containers
            .host()
            .read_now(view.spec.path, &mut text)?,
        (Caller::Inside(container), Provider::File(view)) => {
            engine.dispatcher.show(&**view, container, &mut text)?;
        }
        (Caller::Inside(_), _) => bail!("{} is not a file", view.spec.path),
    }
    let written = std::io::stdout().write_all(&text);
    match written {
        // `vistafs show ... | head -1` has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(0),
        written => written
            .map(|()| 0)
            .context("cannot write to standard output"),
    }
}
