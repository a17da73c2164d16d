//! Checks that do not run the program.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::outcome::Outcome;
use crate::test::Report;
use crate::{features, manifests, new_plugin, recipe, run};

/// Format, lints and documentation, each as a suite.
pub(crate) fn check(report: &Report) {
    report.suite("fmt", || {
        let status = run::loud(&mut run::cargo(&["fmt", "--all", "--check"]))?;
        Ok(Outcome::of(status.success()))
    });
    report.suite("clippy", || {
        let args = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        Ok(Outcome::of(run::loud(&mut run::cargo(&args))?.success()))
    });
    report.suite("features", features::check);
    report.suite("rust-version", rust_version);
    report.suite("kubernetes", manifests::check);
    report.suite("new plugin", new_plugin::check);
    report.suite("new view", recipe::check);
    report.suite("doc", || {
        let mut doc = run::cargo(&["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-Dwarnings");
        Ok(Outcome::of(run::loud(&mut doc)?.success()))
    });
}

/// No dependency may need a newer compiler than the workspace declares. (For our own code, clippy's
/// `incompatible_msrv` checks this.)
fn rust_version() -> Result<Outcome> {
    let text = run::stdout_of(&mut run::cargo(&["metadata", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let version_of = |package: &Value| -> Vec<u32> {
        let text = package["rust_version"].as_str().unwrap_or_default();
        text.split('.').filter_map(|n| n.parse().ok()).collect()
    };
    let own = packages
        .iter()
        .find(|p| p["name"] == "vistafs")
        .context("no package vistafs")?;
    let promised = version_of(own);
    let mut good = !promised.is_empty();
    for package in packages.iter().filter(|p| version_of(p) > promised) {
        run::say(&format!(
            "{} wants Rust {}",
            package["name"], package["rust_version"]
        ));
        good = false;
    }
    Ok(Outcome::of(good))
}
