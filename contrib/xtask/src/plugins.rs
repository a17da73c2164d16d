//! Builds the example plugins: the Rust ones with cargo, the C ones with cc and the header alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run;

/// Warnings are errors, since examples are copied.
const CC: &[&str] = &[
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-O2",
    "-fPIC",
    "-shared",
];

/// The build profile of plugins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The developers' profile, which builds faster.
    Dev,
    /// The users' profile.
    Release,
}

/// Builds each plugin in `plugins/examples`; returns the shared objects, sorted by name.
///
/// # Errors
/// A plugin that fails to build; a missing C compiler.
pub(crate) fn examples(profile: Profile) -> Result<Vec<PathBuf>> {
    let top = run::workspace().join("plugins/examples");
    let mut objects = in_rust(&top, profile)?;
    for source in sources_in_c(&top)? {
        objects.push(in_c(&source)?);
    }
    objects.sort();
    Ok(objects)
}

fn in_rust(top: &Path, profile: Profile) -> Result<Vec<PathBuf>> {
    let args = ["metadata", "--format-version", "1", "--no-deps"];
    let metadata: Value = serde_json::from_str(&run::stdout_of(&mut run::cargo(&args))?)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let is_example = |one: &&Value| {
        let path = one["manifest_path"].as_str();
        path.is_some_and(|path| Path::new(path).starts_with(top))
    };
    // One call for all, so that shared dependencies are built once.
    let mut command = run::cargo(&["build", "--message-format=json-render-diagnostics"]);
    match profile {
        Profile::Dev => command.args(["--workspace", "--all-targets"]),
        Profile::Release => command.arg("--release"),
    };
    for package in packages.iter().filter(is_example) {
        let name = package["name"]
            .as_str()
            .context("a package without a name")?;
        if profile == Profile::Release {
            command.args(["--package", name]);
        }
    }
    let messages = run::stdout_of(&mut command)?;
    let objects = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| is_example(&message))
        .filter_map(|message| message["filenames"].as_array().cloned())
        .flatten()
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .filter(|path| path.extension().is_some_and(|ext| ext == "so"));
    Ok(objects.collect())
}

fn sources_in_c(top: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for directory in fs::read_dir(top).with_context(|| format!("reading {}", top.display()))? {
        let directory = directory?.path();
        let Some(name) = directory.file_name() else {
            continue;
        };
        let source = directory.join(name).with_extension("c");
        if source.is_file() {
            sources.push(source);
        }
    }
    Ok(sources)
}

/// Compiles `plugins/examples/NAME/NAME.c` with the command in its README.
fn in_c(source: &Path) -> Result<PathBuf> {
    if !run::is_there("cc") {
        bail!(
            "no C compiler for {} (apt-get install gcc)",
            source.display()
        );
    }
    let name = source.file_stem().context("a source without a name")?;
    let out = run::workspace().join("target/plugins");
    fs::create_dir_all(&out)?;
    let object = out.join(format!("vistafs_{}.so", name.to_string_lossy()));
    let mut compile = Command::new("cc");
    compile
        .args(CC)
        .arg("-I")
        .arg(run::workspace().join("plugins/abi/include"))
        .arg("-o")
        .arg(&object)
        .arg(source);
    run::quiet(&mut compile)?;
    Ok(object)
}
