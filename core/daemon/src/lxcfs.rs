//! vistafs as a replacement of lxcfs: called by that name, or as `vistafs lxcfs`.
//!
//! It has the same options, the same pid file with its lock, and the same exit statuses; the signals are
//! those of the supervisor. The mount is supervised like any other. As lxcfs, it always stays in the
//! foreground.
//!
//! | file | owns |
//! |---|---|
//! | `args.rs` | the options |
//! | `fuse_options.rs` | the options of `-o` |
//! | `numbers.rs` | the effect of the options on views |

mod args;
mod fuse_options;
mod numbers;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use vistafs_supervisor::{MountOptions, supervise};

use crate::logging;
use args::LxcfsArgs;

pub(crate) use numbers::{AsLxcfs, Word};

/// The name of the link.
pub(crate) const NAME: &str = "lxcfs";

/// Returns the arguments, if this is a call as lxcfs.
pub(crate) fn called(words: impl IntoIterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut words = words.into_iter();
    let program = words.next()?;
    let is_link = Path::new(&program).file_name() == Some(NAME.as_ref());
    if !is_link && words.next()? != NAME {
        return None;
    }
    Some(words.collect())
}

/// Runs as lxcfs.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    let args = match LxcfsArgs::try_parse_from(std::iter::once(NAME.into()).chain(words)) {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    if args.help {
        return help();
    }
    if args.version {
        eprintln!("{}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let verbose = if args.debug { 2 } else { 0 };
    logging::start(verbose);
    match run(&args, verbose) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            logging::report(&error, args.debug);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &LxcfsArgs, verbose: u8) -> anyhow::Result<u8> {
    let mount_point = args.check()?;
    for options in &args.options {
        fuse_options::check(options)?;
    }
    let mount = MountOptions {
        mount_point,
        stored: args.stored,
        repairs: !args.no_repair,
        as_lxcfs: true,
        ..MountOptions::default()
    };
    let mut options: Vec<OsString> = Vec::new();
    if let Some(config) = &args.config {
        options.extend(["--config".into(), config.into()]);
    }
    options.extend((0..verbose).map(|_| "-v".into()));
    options.push(args.numbers().option().into());
    supervise(&mount, options, Some(&args.pid_file()))
}

/// As lxcfs does: on standard error, with a failure status.
fn help() -> ExitCode {
    eprintln!("{}", LxcfsArgs::help());
    ExitCode::FAILURE
}

fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let message = text.lines().next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    eprintln!("{NAME}: {message}");
    if error.kind() == ErrorKind::UnknownArgument {
        return help();
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_called_by_a_link_or_as_a_command() {
        let called = |words: &[&str]| {
            let words = called(words.iter().map(OsString::from));
            words.map(|words| words.join(" ".as_ref()).into_string().unwrap())
        };
        assert_eq!(called(&["/usr/bin/lxcfs", "-l", "/m"]).unwrap(), "-l /m");
        assert_eq!(called(&["lxcfs"]).unwrap(), "");
        assert_eq!(called(&["vistafs", "lxcfs", "-v"]).unwrap(), "-v");
        assert_eq!(called(&["vistafs", "-v", "lxcfs"]), None);
        assert_eq!(called(&["/lxcfs/vistafs", "mount", "/m"]), None);
        assert_eq!(called(&["vistafs"]), None);
        assert_eq!(called(&[]), None);
    }
}
