//! The command lines of `run` and of its hidden helper `run-init`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use vistafs_text::CpuSet;

use super::amount;

/// A name is a cgroup directory and a host name; the kernel allows 64 bytes for the latter.
const LONGEST_NAME: usize = 64;

/// `vistafs run`
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  vistafs run --memory 256M --cpus 1 -- sh -c 'free -m; nproc'
  vistafs run --cpuset 0-1 -- htop")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(super) limits: Limits,
    /// Name of the container: its host name, and that of its cgroups below /vistafs
    /// [default: run-PID]
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// The limits of the container; absent: unlimited.
#[derive(clap::Args, Debug, Default)]
pub(super) struct Limits {
    /// Memory, in bytes or with k, M, G or T, such as 256M
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = amount::size)]
    pub(super) memory: Option<u64>,
    /// Memory and swap together; needs --memory
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = amount::size)]
    pub(super) memory_swap: Option<u64>,
    /// CPU time, in CPUs, such as 1.5
    #[arg(long = "cpus", value_name = "NUMBER", allow_negative_numbers = true, value_parser = amount::cpu_quota)]
    pub(super) cpu_quota: Option<u64>,
    /// The CPUs, such as 0-1 or 0,2
    #[arg(long, value_name = "CPUS", value_parser = cpuset)]
    pub(super) cpuset: Option<CpuSet>,
}

/// `vistafs run-init`: internal, started by `vistafs run` in the new pid namespace.
#[derive(clap::Args, Debug)]
pub(crate) struct InitArgs {
    /// Path of a view to bind, below the mount and below /
    #[arg(long = "view")]
    pub(super) views: Vec<PathBuf>,
    /// Process ID of the `vistafs run` that started this, in the pid namespace of /proc
    #[arg(long)]
    pub(super) parent: u32,
    /// Name of the container
    #[arg(long)]
    pub(super) name: String,
    /// Soft limit of open files for the command (RLIMIT_NOFILE)
    #[arg(long)]
    pub(super) open_files: u64,
    /// The command and its arguments
    #[arg(required = true, last = true)]
    pub(super) command: Vec<OsString>,
}

impl RunArgs {
    /// Returns the given name, or one made of the process ID.
    pub(super) fn name(&self) -> String {
        let own = || format!("run-{}", std::process::id());
        self.name.clone().unwrap_or_else(own)
    }
}

impl Limits {
    /// Checks combinations of options.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.memory_swap.is_none() || self.memory.is_some(),
            "--memory-swap is memory and swap together, so it takes --memory too"
        );
        ensure!(
            self.memory_swap.is_none() || self.memory_swap >= self.memory,
            "--memory-swap is memory and swap together, so it cannot be below --memory"
        );
        Ok(())
    }

    /// Returns the required cgroup controllers.
    pub(super) fn controllers(&self) -> Vec<&'static str> {
        [
            (self.memory.is_some(), "memory"),
            (self.cpu_quota.is_some(), "cpu"),
            (self.cpuset.is_some(), "cpuset"),
        ]
        .into_iter()
        .filter_map(|(needed, controller)| needed.then_some(controller))
        .collect()
    }
}

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=LONGEST_NAME).contains(&text.len());
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let begins_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if fits && plain && begins_well {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a name has 1 to {LONGEST_NAME} letters, digits, '-', '_' and '.', a letter or digit first"
        ))
    }
}

fn cpuset(text: &str) -> Result<CpuSet, String> {
    match CpuSet::parse(text.as_bytes()) {
        Ok(cpus) if !cpus.is_empty() => Ok(cpus),
        _ => Err("CPUs are a list of numbers and ranges, such as 0-1 or 0,2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        run: RunArgs,
    }

    fn parse(line: &str) -> Result<RunArgs, String> {
        let words = std::iter::once("run").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        cli.run.limits.check().map_err(|error| error.to_string())?;
        Ok(cli.run)
    }

    #[test]
    fn the_command_may_follow_two_hyphens_or_not() {
        for line in [
            "--memory 256M -- free -m",
            "--memory 256M free -m",
            "--memory=256M free -m",
        ] {
            let args = parse(line).unwrap();
            assert_eq!(args.command, ["free", "-m"], "{line}");
            assert_eq!(args.limits.memory, Some(256 << 20), "{line}");
        }
        let args = parse("--name a -- sh --name b").unwrap();
        assert_eq!(args.name(), "a");
        assert_eq!(args.command, ["sh", "--name", "b"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, told) in [
            ("", "COMMAND"),
            ("--memory", "--memory"),
            ("--memory lots -- free", "such as 256M"),
            ("--memory-swap 1G -- free", "takes --memory too"),
            (
                "--memory 1G --memory-swap 512M -- free",
                "cannot be below --memory",
            ),
            ("--cpus 0 -- free", "such as 1.5"),
            ("--cpuset 1-0 -- free", "such as 0-1"),
            ("--cpuset= -- free", "such as 0-1"),
            ("--name a/b -- free", "letters"),
            ("--name .. -- free", "letters"),
            ("--memroy 1G free", "--memroy"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
    }
}
