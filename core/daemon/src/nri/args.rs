//! The command line of `vistafs nri`.

use std::path::PathBuf;

use crate::cli::MountedAt;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  vistafs nri --index 10")]
pub(crate) struct NriArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Socket of the runtime.
    #[arg(long, value_name = "PATH", default_value = vistafs_nri::DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,
    /// Name of the plugin.
    #[arg(long, value_name = "NAME", default_value = "vistafs")]
    pub(crate) name: String,
    /// Two digits; the runtime calls its plugins in this order.
    #[arg(long, value_name = "NN", default_value = "50", value_parser = two_digits)]
    pub(crate) index: String,
    /// Path of vistafs where the runtime executes hooks [default: this program]
    #[arg(long, value_name = "PATH", conflicts_with = "no_hooks")]
    pub(crate) hook: Option<PathBuf>,
    /// Use bind mounts; views that runtimes refuse as a mount are left out.
    #[arg(long)]
    pub(crate) no_hooks: bool,
}

fn two_digits(text: &str) -> Result<String, &'static str> {
    let is_index = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_index {
        Ok(text.to_owned())
    } else {
        Err("two digits are required, as 50")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_two_digits() {
        assert_eq!(two_digits("07").as_deref(), Ok("07"));
        for bad in ["", "7", "100", "a0", "-1", "٠١"] {
            assert!(two_digits(bad).is_err(), "{bad}");
        }
    }
}
