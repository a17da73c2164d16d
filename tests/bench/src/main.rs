//! `vistafs-bench`, which `cargo xtask bench` builds and runs: the cost of a read on vistafs,
//! lxcfs, a null file system (the minimum cost of FUSE), and the kernel's own files.
//!
//! | file | owns |
//! |---|---|
//! | `plan.rs` | files, ways to read, servers, and the targets of vistafs |
//! | `server.rs` | one file server, mounted and on the one CPU |
//! | `null.rs` | the null file system |
//! | `container.rs` | a process in its own cgroup and namespaces that executes read jobs |
//! | `reader.rs` | that process |
//! | `job.rs` | their protocol |
//! | `used.rs` | CPU time and memory of a server |
//! | `calls.rs` | its system calls |
//! | `measure.rs` | the interleaved rounds |
//! | `neighbours.rs` | the effect of one container's readers on another |
//! | `figures.rs` | medians and quantiles |
//! | `report.rs`, `chart.rs` | the tables, the JSON and the chart |
//! | `render.rs` | one rendering of `lib.rs`, for counting its instructions |
//!
//! Readers and servers share one CPU: a round trip to another CPU would measure its wake-up time.
//! All servers are measured in turns, slice by slice, so that other load on the machine slows all
//! of them. Only medians of slices within one run are compared.

mod calls;
mod chart;
mod container;
mod figures;
mod job;
mod measure;
mod neighbours;
mod null;
mod plan;
mod reader;
mod render;
mod report;
mod server;
mod used;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use measure::Scope;
use vistafs_bench::allocations;
use vistafs_bench::captured::Warmth;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

#[derive(Parser)]
#[command(name = "vistafs-bench", about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures and prints tables.
    Run(RunArgs),
    /// Serves files that never change.
    #[command(hide = true)]
    Null {
        texts: PathBuf,
        mount_point: PathBuf,
        /// By way of the page cache.
        #[arg(long)]
        kept: bool,
    },
    /// Reads as standard input says, in a container.
    #[command(hide = true)]
    Reader { files: PathBuf },
    /// Renders a view of a captured host between two stops.
    #[command(hide = true)]
    Render {
        root: PathBuf,
        view: String,
        /// As a reader has it who is not the first.
        #[arg(long)]
        warm: bool,
        /// Once more before that.
        #[arg(long)]
        slowly: bool,
    },
    /// Calls a parser between two stops.
    #[command(hide = true)]
    Parse { parser: String },
}

/// The files to measure, and the output.
#[derive(clap::Args)]
struct RunArgs {
    /// The vistafs to measure.
    #[arg(long)]
    vistafs: PathBuf,
    /// Another vistafs, to compare with.
    #[arg(long)]
    before: Option<PathBuf>,
    /// The ratios that vistafs is to reach, and nothing else.
    #[arg(long)]
    targets: bool,
    /// A few short slices that show that all of it works; fails if vistafs takes many times the least.
    #[arg(long, conflicts_with = "targets")]
    quick: bool,
    /// Only the effect of readers of one container on another one.
    #[arg(long, conflicts_with_all = ["targets", "quick"])]
    neighbours: bool,
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
    #[arg(long, default_value = "")]
    config: String,
    /// Where to write all figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to draw the ratios.
    #[arg(long)]
    svg: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => args.run(),
        Command::Null {
            texts,
            mount_point,
            kept,
        } => null::serve(&texts, &mount_point, kept).map(|()| ExitCode::SUCCESS),
        Command::Reader { files } => reader::read(&files).map(|()| ExitCode::SUCCESS),
        Command::Render {
            root,
            view,
            warm,
            slowly,
        } => {
            let warmth = if warm { Warmth::Warm } else { Warmth::Cold };
            render::render(&root, &view, warmth, slowly).map(|()| ExitCode::SUCCESS)
        }
        Command::Parse { parser } => render::parse(&parser).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("vistafs-bench: {error:#}");
        ExitCode::FAILURE
    })
}

impl RunArgs {
    fn run(self) -> Result<ExitCode> {
        let scope = if self.quick {
            Scope::Quick
        } else if self.neighbours {
            Scope::Neighbours
        } else if self.targets {
            Scope::Targets
        } else {
            Scope::All
        };
        let mut plan = measure::Plan::new(scope);
        plan.rounds = self.rounds.unwrap_or(plan.rounds).max(1);
        plan.slice = self
            .slice
            .map_or(plan.slice, std::time::Duration::from_millis);
        if !self.containers.is_empty() {
            plan.containers = self.containers;
        }
        plan.only = self.file;
        let results = measure::run(&plan, &self.vistafs, self.before.as_deref(), &self.config)?;
        report::print(&results);
        if let Some(path) = &self.json {
            fs::write(path, report::json(&results)?)
                .with_context(|| format!("writing {}", path.display()))?;
        }
        if let Some(path) = &self.svg {
            fs::write(path, chart::svg(&results))
                .with_context(|| format!("writing {}", path.display()))?;
        }
        if self.quick && !report::is_sane(&results) {
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}
