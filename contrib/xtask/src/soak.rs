//! `cargo xtask soak`: all attacks on vistafs in turns, beside containers that make random system calls.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use crate::program::{DAEMON, SOAK};
use crate::run;

/// The length of a short run, in which each kind of attack comes once.
const QUICK_SECONDS: u64 = 60;

/// Attack vistafs from containers for a while; print the seed that repeats a failure
#[derive(Args)]
pub(crate) struct SoakArgs {
    /// How long to attack, in seconds.
    #[arg(long, default_value_t = QUICK_SECONDS)]
    seconds: u64,
    /// The seed of the random numbers; absent: another one each time.
    #[arg(long)]
    seed: Option<u64>,
}

impl SoakArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if !run::is_root() {
            bail!("mounting takes root");
        }
        let succeeded = run::loud(&mut self.command()?)?.success();
        Ok(if succeeded {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn command(&self) -> Result<Command> {
        let daemon = DAEMON.build()?;
        let mut command = Command::new(SOAK.build()?);
        command
            .args(["--seconds", &self.seconds.to_string()])
            .env("VISTAFS_BIN", daemon);
        if let Some(seed) = self.seed {
            command.args(["--seed", &seed.to_string()]);
        }
        Ok(command)
    }
}
