//! The cost of a read on vistafs, on lxcfs, on a file system that does nothing, and on the kernel's own
//! files: builds and runs the program of `tests/bench`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::outcome::Outcome;
use crate::program::{BENCH, DAEMON, FAST_BENCH, FAST_DAEMON, Program};
use crate::run;

/// The files to measure, and the output.
#[derive(Args)]
pub(crate) struct ReadingArgs {
    /// Where to write all figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to draw the ratios.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// How often each is measured; the median counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// Milliseconds of each slice.
    #[arg(long)]
    slice: Option<u64>,
    /// Only these files, as `meminfo`; may be given more than once.
    #[arg(long)]
    file: Vec<String>,
    /// Numbers of containers to spread readers over, as `1,100,1000`.
    #[arg(long, value_delimiter = ',')]
    containers: Vec<usize>,
    /// Text of a configuration file for vistafs.
    #[arg(long)]
    config: Option<String>,
    /// Another program vistafs, to compare with.
    #[arg(long)]
    before: Option<PathBuf>,
}

impl ReadingArgs {
    pub(super) fn run(&self, scope: &[&str]) -> Result<ExitCode> {
        let mut bench = command(&FAST_BENCH, FAST_DAEMON.build()?)?;
        bench.args(scope);
        for (option, path) in [
            ("--json", &self.json),
            ("--svg", &self.svg),
            ("--before", &self.before),
        ] {
            if let Some(path) = path {
                bench.arg(option).arg(std::path::absolute(path)?);
            }
        }
        let rounds = self.rounds.map(|rounds| rounds as u64);
        for (option, number) in [("--rounds", rounds), ("--slice", self.slice)] {
            if let Some(number) = number {
                bench.args([option, &number.to_string()]);
            }
        }
        for file in &self.file {
            bench.args(["--file", file]);
        }
        for number in &self.containers {
            bench.args(["--containers", &number.to_string()]);
        }
        if let Some(config) = &self.config {
            bench.args(["--config", config]);
        }
        let ended = run::loud(&mut bench)?;
        Ok(if ended.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// A short run of it that shows that all of it works, and that nothing takes many times as long as it
/// should; of what developers have built anyway.
pub(crate) fn quick() -> Result<Outcome> {
    if !run::is_root() {
        return Ok(Outcome::missing("a bench takes root".into()));
    }
    let mut bench = command(&BENCH, DAEMON.build()?)?;
    Ok(Outcome::of(run::loud(bench.arg("--quick"))?.success()))
}

fn command(bench: &Program, daemon: PathBuf) -> Result<Command> {
    let mut command = Command::new(bench.build()?);
    let daemon = daemon.to_str().context("a path that is not UTF-8")?;
    command.args(["run", "--vistafs", daemon]);
    Ok(command)
}
