//! The time of renderings and parsers without a mount: the micro-benchmarks of `tests/bench/benches`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::run;

/// Times of each view's rendering, of each parser and of the configuration, by criterion; takes no root.
#[derive(Args)]
pub(crate) struct MicroArgs {
    /// Only those whose name has this in it: `meminfo`, `warm`, `parsers/`.
    filter: Option<String>,
    /// Keeps the times by this name, to compare with later.
    #[arg(long, value_name = "NAME", conflicts_with = "baseline")]
    save_baseline: Option<String>,
    /// Compares with the times that were kept by this name, not with those of the last run.
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
}

impl MicroArgs {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let mut cargo = run::cargo(&["bench", "-q", "-p", "vistafs-bench", "--bench", "micro"]);
        cargo.arg("--").args(&self.filter);
        for (option, name) in [
            ("--save-baseline", &self.save_baseline),
            ("--baseline", &self.baseline),
        ] {
            if let Some(name) = name {
                cargo.args([option, name]);
            }
        }
        let is_done = run::loud(&mut cargo)?.success();
        Ok(if is_done {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
