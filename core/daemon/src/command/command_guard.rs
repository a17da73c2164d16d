//! Between a worker and a command that it shows the output of.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context as _, bail};
use vistafs_custom::guard;

/// Internal: how a worker starts the command of a custom file.
#[derive(clap::Args, Debug)]
pub(crate) struct GuardArgs {
    /// The user that runs it
    #[arg(long)]
    pub(crate) user: String,
    /// The command.
    #[arg(last = true, required = true)]
    pub(crate) argv: Vec<OsString>,
}

pub(crate) fn command_guard(args: &GuardArgs) -> anyhow::Result<u8> {
    let words = args.argv.iter().map(|word| CString::new(word.as_bytes()));
    let words: Vec<CString> = words.collect::<Result<_, _>>().context("an argument")?;
    // It has what the worker wants for itself.
    let _ = nix::sys::prctl::set_thp_disable(false);
    match guard::execute(&args.user, &words) {
        Ok(never) => match never {},
        Err(why) => bail!(why),
    }
}
