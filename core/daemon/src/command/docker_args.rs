//! `vistafs docker-args`: prints the options that bind the views into a container of Docker or Podman.

use std::fmt::Write as _;

use anyhow::bail;
use vistafs_config::Config;

use crate::bindings;
use crate::cli::DockerArgs;
use crate::output;

/// Prints one option per line, for `docker run $(vistafs docker-args) ...`.
pub(crate) fn docker_args(args: &DockerArgs, config: &Config) -> anyhow::Result<u8> {
    let mount = args.mount.path()?;
    let Some(mount) = mount.to_str().filter(|path| !path.contains(is_special)) else {
        bail!(
            "{} cannot be part of a Docker option (mount vistafs at a path without blanks, commas and quotes)",
            mount.display()
        );
    };
    let mut text = String::new();
    let (accepted, others): (Vec<_>, Vec<_>) = bindings::all(config)?
        .into_iter()
        .partition(|binding| binding.is_accepted_by_runtimes());
    for binding in accepted {
        let access = if binding.is_writable { "" } else { ",readonly" };
        let path = binding.path;
        // Not -v, which creates a missing source: while vistafs is not serving, that would be
        // directories in its mount point. Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "--mount type=bind,src={mount}/{path},dst=/{path}{access}"
        );
    }
    output::print(text.as_bytes())?;
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|binding| binding.name).collect();
        log::info!(
            "omitted, because runtimes refuse mounts there: {} (vistafs oci-hook binds them, too)",
            names.join(", ")
        );
    }
    Ok(0)
}

/// Whether a character ends a word of the shell, or a field of `--mount`, which is CSV.
fn is_special(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '"')
}
