//! The `vistafs` program: command line and start.

mod adopt;
mod bindings;
mod cli;
mod command;
mod doctor;
mod engine;
mod logging;
mod lxcfs;
mod nri;
mod oci_runtime;
mod output;
mod outside;
mod plugins;
mod run;
mod serve;
mod status;
mod worker;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
// Links the built-in views: the linker would drop a crate without a reference.
use vistafs_views as _;

use cli::{Cli, Command};

/// Exit status for failures of vistafs itself, as of `env`, `nice` and container runtimes.
const OWN_FAILURE: u8 = 125;

fn main() -> ExitCode {
    if let Some(words) = lxcfs::called(std::env::args_os()) {
        return lxcfs::main(words);
    }
    if let Some(call) = oci_runtime::called(std::env::args_os()) {
        return oci_runtime::main(&call);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    logging::start(cli.verbose);
    let wraps_a_command = matches!(cli.command, Command::Run(_) | Command::RunInit(_));
    match command::execute(&cli) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            logging::report(&error, cli.verbose > 0);
            ExitCode::from(if wraps_a_command { OWN_FAILURE } else { 1 })
        }
    }
}

/// Prints help and version as requested; an error in one line.
fn usage(error: &clap::Error) -> ExitCode {
    if error.exit_code() == 0 || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        let _ = error.print();
    } else {
        let text = error.render().to_string();
        // Missing arguments are listed on separate lines, up to an empty one.
        let message: Vec<_> = text
            .lines()
            .map(str::trim)
            .take_while(|l| !l.is_empty())
            .collect();
        let message = message.join(" ");
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        eprintln!("vistafs: {message} (see vistafs --help)");
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use vistafs_view::{Registry, Selection};

    /// `inventory` does not report a crate that the linker dropped.
    #[test]
    fn the_registry_holds_exactly_the_enabled_views() {
        let registry = Registry::collect(&Selection::default()).unwrap();
        let mut names: Vec<_> = registry.all().iter().map(|view| view.spec.name).collect();
        names.sort_unstable();
        assert_eq!(names, vistafs_views::ENABLED);
    }
}
