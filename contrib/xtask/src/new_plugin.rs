//! `cargo xtask new-plugin NAME`: creates a working plugin as a template.
//!
//! It is a separate workspace, in any directory, with path dependencies on this one and a copy of its
//! `Cargo.lock`: so it builds offline. The check step creates one, builds it and runs its tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::outcome::Outcome;
use crate::run;
use crate::work_dir;

/// Makes a plugin in a directory of its own, to begin from.
#[derive(Args)]
pub(crate) struct NewPluginArgs {
    /// Name of the plugin and of its view: a-z, 0-9, `-`.
    name: String,
    /// The directory to make; default: NAME, here.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl NewPluginArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let dir = self.dir.unwrap_or_else(|| PathBuf::from(&self.name));
        make(&self.name, &dir)?;
        println!("{}: cargo test, then README.md", dir.display());
        Ok(ExitCode::SUCCESS)
    }
}

const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("new_plugin/Cargo.toml.in")),
    ("README.md", include_str!("new_plugin/README.md.in")),
    ("src/lib.rs", include_str!("new_plugin/lib.rs.in")),
];

/// Makes the plugin in `dir`, which is not there yet.
fn make(name: &str, dir: &Path) -> Result<()> {
    check_name(name)?;
    if dir.exists() {
        bail!(
            "{} is there already (--dir DIR makes another)",
            dir.display()
        );
    }
    let vistafs = run::workspace();
    let vistafs = vistafs
        .to_str()
        .filter(|path| !path.contains(['"', '\\']))
        .context("the path of vistafs's sources cannot stand in a Cargo.toml")?;
    fs::create_dir_all(dir.join("src"))
        .with_context(|| format!("cannot make {}", dir.display()))?;
    for (path, text) in FILES {
        let text = text
            .replace("@NAME@", name)
            .replace("@CRATE@", &name.replace('-', "_"))
            .replace("@RUST@", env!("CARGO_PKG_RUST_VERSION"))
            .replace("@VISTAFS@", vistafs);
        let path = dir.join(path);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    // The versions that vistafs itself is built with.
    let lock = dir.join("Cargo.lock");
    fs::copy(run::workspace().join("Cargo.lock"), &lock)
        .with_context(|| format!("cannot write {}", lock.display()))?;
    Ok(())
}

/// A name that cargo takes for a package, and vistafs for a view and in a path.
fn check_name(name: &str) -> Result<()> {
    let is_word = |word: &str| {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !word.is_empty() && word.chars().all(is_part)
    };
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins_well || name.len() > 64 || !name.split('-').all(is_word) {
        bail!("{name:?} cannot be a plugin's name: a-z, 0-9 and single `-` inside, at most 64");
    }
    // It would depend on itself, or shadow a crate of every program.
    if ["std", "core", "alloc", "test", "proc-macro"].contains(&name)
        || name.starts_with("vistafs-")
    {
        bail!("{name:?} is the name of another crate");
    }
    Ok(())
}

/// Makes one, builds it as its README says, and runs its tests.
pub(crate) fn check() -> Result<Outcome> {
    let dir = work_dir::in_target("new-plugin")?;
    make("site-hello", &dir)?;
    let mut good = true;
    for task in ["build", "test"] {
        let mut command = run::cargo(&[task, "--offline"]);
        command
            .current_dir(&dir)
            // Reuses the build of shared dependencies.
            .env("CARGO_TARGET_DIR", run::workspace().join("target"))
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .args(["--config", "profile.dev.package.'*'.debug=false"]);
        good &= run::loud(&mut command)?.success();
    }
    good &= run::workspace()
        .join("target/debug/libsite_hello.so")
        .is_file();
    Ok(Outcome::of(good))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work_dir::WorkDir;

    #[test]
    fn names_are_those_of_crates_and_views() {
        for good in ["hello", "site-gpu2", "a"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Hello",
            "2nd",
            "a--b",
            "-a",
            "a-",
            "a/b",
            "a_b",
            "é",
            "std",
            "vistafs-x",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        let work = WorkDir::new().unwrap();
        let dir = work.path.join("hello");
        make("hello", &dir).unwrap();
        for (path, _) in FILES {
            let text = fs::read_to_string(dir.join(path)).unwrap();
            assert!(!text.contains('@'), "{path}: {text}");
        }
        let again = make("hello", &dir).unwrap_err().to_string();
        assert!(again.contains("is there already"), "{again}");
        work.remove();
    }
}
