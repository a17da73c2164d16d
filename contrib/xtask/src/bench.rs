//! `cargo xtask bench`: measures the cost of vistafs on this machine and prints it as a table.
//!
//! The numbers depend on the machine and its load; no number makes the command fail.

mod crowd;
mod loadavg;
mod micro;
mod page_cache;
mod reading;
mod thread;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::run;

pub(crate) use reading::quick;

/// Measures what vistafs costs: without a scenario, all of what reading costs.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    scenario: Option<Scenario>,
    #[command(flatten)]
    reading: reading::ReadingArgs,
}

#[derive(Subcommand)]
enum Scenario {
    /// The ratios that vistafs is to reach, and whether it does.
    Targets(reading::ReadingArgs),
    /// The effect of many readers of one container on another one.
    Neighbours(reading::ReadingArgs),
    Loadavg(loadavg::LoadavgArgs),
    PageCache(page_cache::PageCacheArgs),
    Micro(micro::MicroArgs),
}

impl BenchArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if let Some(Scenario::Micro(args)) = &self.scenario {
            return args.run();
        }
        if !run::is_root() {
            bail!("mounting takes root");
        }
        match self.scenario {
            None => return self.reading.run(&[]),
            Some(Scenario::Targets(args)) => return args.run(&["--targets"]),
            Some(Scenario::Neighbours(args)) => return args.run(&["--neighbours"]),
            Some(Scenario::Loadavg(args)) => args.run()?,
            Some(Scenario::PageCache(args)) => args.run()?,
            Some(Scenario::Micro(args)) => return args.run(),
        }
        Ok(ExitCode::SUCCESS)
    }
}
