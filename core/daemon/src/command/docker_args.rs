//! `vistafs docker-args`: the options that bind the views into a container of Docker or Podman.

use std::fmt::Write as _;

use anyhow::bail;

use crate::bindings;
use crate::cli::DockerArgs;
use crate::output;
use vistafs_config::Config;

/// One option a line, so that `docker run $(vistafs docker-args) ...` takes them.
pub(crate) fn docker_args(args: &DockerArgs, config: &Config) -> anyhow::Result<u8> {
    let mount = args.mount.path()?;
    let Some(mount) = mount.to_str().filter(|path| !path.contains(is_special)) else {
        bail!(
            "{} cannot be said in an option of Docker (mount vistafs where the path has no blank and no colon)",
            mount.display()
        );
    };
    let mut text = String::new();
    let (let_by, others): (Vec<_>, Vec<_>) = bindings::all(config)?
        .into_iter()
        .partition(|binding| binding.is_accepted_by_runtimes());
    for binding in let_by {
        let access = if binding.is_writable { "rw" } else { "ro" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "-v {mount}/{0}:/{0}:{access}", binding.path);
    }
    output::print(text.as_bytes())?;
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|binding| binding.name).collect();
        log::info!(
            "left out, as runtimes refuse mounts there: {} (vistafs oci-hook binds them, too)",
            names.join(", ")
        );
    }
    Ok(0)
}

/// What ends an option for the shell or for Docker.
fn is_special(c: char) -> bool {
    c.is_whitespace() || c == ':' || c == ','
}
