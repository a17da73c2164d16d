//! `cargo xtask bench`: what vistafs costs, measured on this machine and printed as a table.
//!
//! The numbers are of this machine and this hour; nothing fails because of them.

mod crowd;
mod loadavg;
mod pinned;
mod thread;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::run;

/// Measures what vistafs costs.
#[derive(Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    Loadavg(loadavg::LoadavgArgs),
    Pinned(pinned::PinnedArgs),
}

impl BenchArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if !run::is_root() {
            bail!("mounting takes root");
        }
        match self.scenario {
            Scenario::Loadavg(args) => args.run()?,
            Scenario::Pinned(args) => args.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
