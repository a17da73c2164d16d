//! Between a worker and a command that it shows the output of.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context as _, bail};
use vistafs_custom::guard;

use crate::cli::GuardArgs;

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
