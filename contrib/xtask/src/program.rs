//! Builds the programs of this workspace.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run;

/// A call of cargo that builds one program, and the name of its target.
pub(crate) struct Program {
    cargo: &'static [&'static str],
    name: &'static str,
}

/// The whole workspace with its tests: so each crate is built once, with one set of features.
const EVERYTHING: &[&str] = &["build", "--workspace", "--all-targets"];

/// vistafs in the developers' profile.
pub(crate) const DAEMON: Program = Program {
    cargo: EVERYTHING,
    name: "vistafs",
};

/// vistafs in the users' profile.
pub(crate) const FAST_DAEMON: Program = Program {
    cargo: &["build", "--package", "vistafs", "--release"],
    name: "vistafs",
};

/// The benchmark of reading (tests/bench).
pub(crate) const BENCH: Program = Program {
    cargo: EVERYTHING,
    name: "vistafs-bench",
};

/// The same in the users' profile, for measurements.
pub(crate) const FAST_BENCH: Program = Program {
    cargo: &["build", "--package", "vistafs-bench", "--release"],
    name: "vistafs-bench",
};

/// The program that attacks vistafs.
pub(crate) const SOAK: Program = Program {
    cargo: EVERYTHING,
    name: "vistafs-soak",
};

impl Program {
    /// Builds it and returns its path, as reported by cargo.
    pub(crate) fn build(&self) -> Result<PathBuf> {
        let mut command = run::cargo(self.cargo);
        command.arg("--message-format=json-render-diagnostics");
        let messages = run::stdout_of(&mut command)?;
        messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["target"]["name"] == self.name)
            // Its unit tests are a program of the same name.
            .filter(|message| message["profile"]["test"] == false)
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .with_context(|| format!("cargo made no program {}", self.name))
    }
}
