//! The programs for tests and guests, built by one call of cargo, so that each crate is built once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::nextest;
use crate::plugins::{Profile, examples};
use crate::program::DAEMON;
use crate::run;

/// The test programs of guests, by nextest's names.
const GUEST_BINARIES: [&str; 3] = [
    "vistafs-tests::machine",
    "vistafs-tests::guest",
    "vistafs-tests::hosts",
];
/// The plugins in tests/plugins.
const TEST_PLUGINS: [&str; 3] = ["echo", "meminfo", "odd"];

/// The files that were built.
pub(crate) struct Artifacts {
    /// vistafs in the developers' profile.
    pub(crate) daemon: PathBuf,
    /// The test runner.
    pub(crate) nextest: PathBuf,
    /// The test programs of guests.
    pub(crate) programs: Vec<PathBuf>,
    /// nextest's metadata of them, for a machine without cargo.
    pub(crate) binaries_metadata: PathBuf,
    pub(crate) cargo_metadata: PathBuf,
    /// A directory with the plugins of the tests.
    pub(crate) plugins: PathBuf,
    /// A program that calls musl's sysconf(3), if there is a compiler for it.
    pub(crate) musl_sysconf: Option<PathBuf>,
}

impl Artifacts {
    /// Builds all of them.
    pub(crate) fn build() -> Result<Artifacts> {
        let daemon = DAEMON.build()?;
        let nextest = nextest::program()?;
        let directory = run::workspace().join("target/test/artifacts");
        fs::create_dir_all(&directory)?;
        let mut list = Command::new(&nextest);
        list.args(["nextest", "list", "--workspace"])
            .args(["--list-type", "binaries-only", "--message-format", "json"])
            .current_dir(run::workspace());
        let mut list: Value = serde_json::from_str(&run::stdout_of(&mut list)?)?;
        let binaries = list["rust-binaries"]
            .as_object_mut()
            .context("nextest lists no test programs")?;
        binaries.retain(|name, _| GUEST_BINARIES.contains(&name.as_str()));
        let paths = binaries.values().map(|one| one["binary-path"].as_str());
        let programs: Option<Vec<PathBuf>> = paths.map(|path| path.map(PathBuf::from)).collect();
        let programs = programs.filter(|all| all.len() == GUEST_BINARIES.len());
        let programs = programs.context("nextest does not list the test programs of guests")?;
        let binaries_metadata = directory.join("binaries.json");
        fs::write(&binaries_metadata, list.to_string())?;
        let cargo_metadata = directory.join("cargo.json");
        let mut metadata = run::cargo(&["metadata", "--format-version", "1", "--no-deps"]);
        fs::write(&cargo_metadata, run::stdout_of(&mut metadata)?)?;
        Ok(Artifacts {
            daemon,
            nextest,
            programs,
            binaries_metadata,
            cargo_metadata,
            plugins: plugins(&directory)?,
            musl_sysconf: musl_sysconf(&directory)?,
        })
    }
}

/// A directory with the plugins of the tests, for a machine without cargo.
fn plugins(artifacts: &Path) -> Result<PathBuf> {
    let directory = artifacts.join("plugins");
    fs::create_dir_all(&directory)?;
    for name in TEST_PLUGINS {
        let file = format!("libvistafs_test_plugin_{name}.so");
        let built = run::workspace().join("target/debug").join(&file);
        // Each test copies some of them, and most of their size is debug information.
        let mut strip = Command::new("strip");
        strip.arg("--strip-debug").arg("-o");
        run::quiet(strip.arg(directory.join(&file)).arg(built))?;
    }
    for object in examples(Profile::Dev)? {
        let name = object.file_name().context("a file without a name")?;
        fs::copy(&object, directory.join(name))?;
    }
    Ok(directory)
}

/// A program that calls musl's sysconf(3), for a machine without a compiler. `None`: this machine lacks one
/// too.
fn musl_sysconf(artifacts: &Path) -> Result<Option<PathBuf>> {
    if !run::is_there("musl-gcc") {
        return Ok(None);
    }
    let source = run::workspace().join("tests/tests/machine/sys_trees/sysconf.c");
    let program = artifacts.join("sysconf-musl");
    let mut compile = Command::new("musl-gcc");
    compile
        .args(["-static", "-O", "-o"])
        .arg(&program)
        .arg(source);
    run::quiet(&mut compile)?;
    Ok(Some(program))
}

/// vistafs as one static binary, built as in INSTALL.md. It links this machine's C library, so that no other
/// target has to be installed; procedural macros cannot be static, hence `--target`.
pub(crate) fn static_program() -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let flags = format!("target.{target}.rustflags=['-C', 'target-feature=+crt-static']");
    let args = [
        "build",
        "--package",
        "vistafs",
        // A static program cannot load shared objects.
        "--no-default-features",
        "--features",
        "all-views",
        "--target",
        &target,
        "--config",
        &flags,
        // The test runs it once: a faster build is enough.
        "--config",
        "profile.dev.opt-level=0",
    ];
    if !run::loud(&mut run::cargo(&args))?.success() {
        bail!("the static program was not built");
    }
    Ok(run::workspace()
        .join("target")
        .join(target)
        .join("debug/vistafs"))
}
