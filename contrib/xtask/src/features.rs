//! Packagers choose views: each view must build without the others, and the program without any.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::outcome::Outcome;
use crate::run;

const VIEWS: &str = "vistafs-views";
const PROGRAM: &str = "vistafs";

/// Builds the views with each single feature, and the program with none and with one, without warnings. The
/// program only forwards its features, so errors can only be in the crate of the views.
pub(crate) fn check() -> Result<Outcome> {
    let mut good = alone(PROGRAM, "")? && alone(PROGRAM, "meminfo")? && alone(PROGRAM, "plugins")?;
    for feature in features(VIEWS)? {
        if !alone(VIEWS, &feature)? {
            run::say(&format!(
                "{VIEWS} does not do with the feature {feature:?} alone"
            ));
            good = false;
        }
    }
    Ok(Outcome::of(good && alone(VIEWS, "")?))
}

fn alone(package: &str, features: &str) -> Result<bool> {
    let mut clippy = run::cargo(&["clippy", "--quiet", "--package", package]);
    clippy
        .args(["--no-default-features", "--features", features])
        .args(["--", "-D", "warnings"]);
    Ok(run::loud(&mut clippy)?.success())
}

/// The features of a package except `default`.
fn features(package: &str) -> Result<Vec<String>> {
    let args = ["metadata", "--format-version", "1", "--no-deps"];
    let metadata: Value = serde_json::from_str(&run::stdout_of(&mut run::cargo(&args))?)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let found = packages.iter().find(|one| one["name"] == package);
    let features = found.and_then(|one| one["features"].as_object());
    let names = features.context("no features")?.keys();
    Ok(names.filter(|name| *name != "default").cloned().collect())
}
