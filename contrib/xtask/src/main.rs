//! The developer commands of vistafs, beyond cargo itself: `cargo xtask --help`.
//!
//! `test` runs all tests on a bare Debian 12; `bench` measures the cost of vistafs; `vm` runs a command in a
//! virtual machine; `soak` attacks vistafs from containers; `capture` makes the fixtures of the golden tests;
//! `deb` builds the Debian packages, `header` the plugin header, and `new-plugin` a template plugin.

mod bench;
mod capture;
mod check;
mod deb;
mod features;
mod header;
mod manifests;
mod new_plugin;
mod outcome;
mod packages;
mod plugins;
mod program;
mod recipe;
mod run;
mod soak;
mod test;
mod vm;
mod work_dir;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    Test(test::TestArgs),
    Bench(Box<bench::BenchArgs>),
    Capture(capture::CaptureArgs),
    Deb(deb::DebArgs),
    Header(header::HeaderArgs),
    NewPlugin(new_plugin::NewPluginArgs),
    Soak(soak::SoakArgs),
    Vm(vm::VmArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Task::Test(args) => args.run(),
        Task::Bench(args) => args.run(),
        Task::Capture(args) => args.run(),
        Task::Deb(args) => args.run(),
        Task::Header(args) => args.run(),
        Task::NewPlugin(args) => args.run(),
        Task::Soak(args) => args.run(),
        Task::Vm(args) => args.run(),
    };
    outcome.unwrap_or_else(|error| {
        // One line per cause: a backtrace of this program would not help.
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
