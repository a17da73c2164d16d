//! Validates the Kubernetes manifests against the API schemas.
//!
//! `kubernetes-validate` from PyPI contains the schemas of many releases, so no cluster is needed. It is
//! installed once, into a directory below `target`.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::outcome::Outcome;
use crate::run;

const VALIDATOR: &str = "kubernetes-validate==1.37.0";
/// The oldest supported release, and the newest one that the validator has.
const RELEASES: [&str; 2] = ["1.33", "1.37"];
const MANIFESTS: [&str; 2] = [
    "contrib/kubernetes/vistafs.yaml",
    "contrib/kubernetes/pod.yaml",
];

/// Unknown fields are errors, too; also checks that the validator reports an error.
pub(crate) fn check() -> Result<Outcome> {
    let dir = run::workspace().join("target/kubernetes-validate");
    if let Err(error) = install(&dir) {
        return Ok(Outcome::missing(format!("no {VALIDATOR}: {error:#}")));
    }
    let mut good = true;
    for release in RELEASES {
        good &= is_valid(&dir, release, &MANIFESTS)?;
    }
    let wrong = dir.join("wrong.yaml");
    let text = std::fs::read_to_string(run::workspace().join(MANIFESTS[0]))?;
    std::fs::write(&wrong, text.replace("hostPID:", "hostPid:"))?;
    if is_valid(&dir, RELEASES[0], &[wrong])? {
        bail!("a wrong manifest passes");
    }
    Ok(Outcome::of(good))
}

fn is_valid(dir: &Path, release: &str, manifests: &[impl AsRef<std::ffi::OsStr>]) -> Result<bool> {
    let mut validate = Command::new(dir.join("bin/kubernetes-validate"));
    validate
        .args(["--strict", "-k", release])
        .args(manifests)
        .current_dir(run::workspace());
    Ok(run::loud(&mut validate)?.success())
}

fn install(dir: &Path) -> Result<()> {
    if dir.join("bin/kubernetes-validate").is_file() {
        return Ok(());
    }
    run::quiet(Command::new("python3").args(["-m", "venv"]).arg(dir))?;
    run::quiet(Command::new(dir.join("bin/pip")).args(["install", "--quiet", VALIDATOR]))?;
    Ok(())
}
