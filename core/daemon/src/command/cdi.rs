//! `vistafs cdi generate`: the views as devices of the Container Device Interface.
//!
//! Each view is a device of its name, and `all` is all of them: `--device vistafs.dev/view=all`.
//! Views that runtimes accept as mounts are mounts; `vistafs oci-hook` binds the others. The
//! specification: github.com/cncf-tags/container-device-interface, SPEC.md.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::bindings;
use crate::cli::{CdiArgs, CdiCommand, CdiGenerateArgs};
use crate::output;
use vistafs_attach::Binding;
use vistafs_config::Config;

/// The oldest that has all that is said here; runtimes refuse versions that they do not know.
const VERSION: &str = "0.5.0";
const KIND: &str = "vistafs.dev/view";
const ALL: &str = "all";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    cdi_version: &'static str,
    kind: &'static str,
    devices: Vec<Device>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    name: &'static str,
    container_edits: Edits,
}

#[derive(Serialize)]
struct Edits {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<Mount>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hooks: Vec<Hook>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    host_path: String,
    container_path: String,
    options: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hook {
    hook_name: &'static str,
    path: String,
    args: Vec<String>,
    /// Seconds.
    timeout: u32,
}

pub(crate) fn cdi(args: &CdiArgs, config: &Config) -> anyhow::Result<u8> {
    match &args.command {
        CdiCommand::Generate(args) => generate(args, config),
    }
}

fn generate(args: &CdiGenerateArgs, config: &Config) -> anyhow::Result<u8> {
    let mount = args.mount.path()?;
    let program = match &args.hook {
        Some(path) if path.is_absolute() => path.clone(),
        Some(path) => bail!(
            "--hook {}: runtimes want an absolute path, as /usr/bin/vistafs",
            path.display()
        ),
        None => std::env::current_exe().context("cannot find the path of this program")?,
    };
    let mut bindings = bindings::all(config)?;
    if args.no_hooks {
        bindings.retain(|binding| binding.is_accepted_by_runtimes());
    }
    let one = |binding: &Binding| -> anyhow::Result<Device> {
        Ok(Device {
            name: binding.name,
            container_edits: edits(&[*binding], &mount, &program)?,
        })
    };
    let mut devices = vec![Device {
        name: ALL,
        container_edits: edits(&bindings, &mount, &program)?,
    }];
    for binding in &bindings {
        devices.push(one(binding)?);
    }
    let spec = Spec {
        cdi_version: VERSION,
        kind: KIND,
        devices,
    };
    let text = serde_json::to_string_pretty(&spec)? + "\n";
    match &args.output {
        Some(path) => replace(path, &text).with_context(|| {
            format!(
                "cannot write {} (without --output it goes to standard output)",
                path.display()
            )
        })?,
        None => output::print(text.as_bytes())?,
    }
    Ok(0)
}

/// Runtimes read the directory at any time, and take no file whose name does not end in .json.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.extension().is_none_or(|extension| extension != "json") {
        bail!(
            "runtimes read files whose names end in .json: {} needs that ending",
            path.display()
        );
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let beside: PathBuf = path.with_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(std::fs::rename(&beside, path)?)
}

fn edits(bindings: &[Binding], mount: &Path, program: &Path) -> anyhow::Result<Edits> {
    let (let_by, others): (Vec<&Binding>, Vec<&Binding>) = bindings
        .iter()
        .partition(|binding| binding.is_accepted_by_runtimes());
    let mut mounts = Vec::new();
    for binding in let_by {
        mounts.push(Mount {
            host_path: text(&binding.source(mount))?,
            container_path: text(&binding.target())?,
            options: bindings::options(*binding).to_vec(),
        });
    }
    let mut hooks = Vec::new();
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|binding| binding.name).collect();
        hooks.push(Hook {
            hook_name: "createContainer",
            path: text(program)?,
            args: vec![
                "vistafs".to_owned(),
                "oci-hook".to_owned(),
                "--mount".to_owned(),
                text(mount)?,
                "--only".to_owned(),
                names.join(","),
            ],
            timeout: 10,
        });
    }
    Ok(Edits { mounts, hooks })
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{} is not UTF-8, which JSON requires", path.display()))
}
