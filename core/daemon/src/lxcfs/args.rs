//! The options of lxcfs, versions 3 to 7, and three of vistafs.
//!
//! They follow getopt_long(3): in any order, combined (`-lu`), abbreviated (`--enable-load`), and
//! more than once.

use std::path::PathBuf;

use anyhow::bail;
use clap::{ArgAction, CommandFactory, Parser};

use super::numbers::{AsLxcfs, Word};

/// Shows each container its own limits and usage in /proc and /sys: vistafs as a replacement of lxcfs.
#[derive(Parser, Debug, Default)]
#[command(
    name = "lxcfs",
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true,
    term_width = 80,
    override_usage = "lxcfs [OPTION]... DIRECTORY"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of lxcfs's"
)]
pub(super) struct LxcfsArgs {
    /// Log each request.
    #[arg(short, long)]
    pub(super) debug: bool,
    /// Stay in the foreground, as always.
    #[arg(short, long)]
    foreground: bool,
    /// Print this help.
    #[arg(short, long, short_alias = 'n')]
    pub(super) help: bool,
    /// Print the version.
    #[arg(short, long)]
    pub(super) version: bool,
    /// Show containers their own load average.
    #[arg(short = 'l', long)]
    enable_loadavg: bool,
    /// Mount options.
    #[arg(short = 'o', value_name = "OPTION,...", action = ArgAction::Append)]
    pub(super) options: Vec<String>,
    /// Pid file [default: DIR/lxcfs.pid].
    #[arg(short, long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Show no swap to containers.
    #[arg(short = 'u', long)]
    disable_swap: bool,
    /// Show no zswap to containers.
    #[arg(short = 'z', long)]
    disable_zswap: bool,
    /// Reduce the number of visible CPUs by CPU quotas.
    #[arg(long)]
    enable_cfs: bool,
    /// Serve the cgroup tree.
    #[arg(long)]
    enable_cgroup: bool,
    /// Accepted without effect.
    #[arg(long, hide = true)]
    enable_pidfd: bool,
    /// Serve triggers of pressure files.
    #[arg(long)]
    enable_psi_poll: bool,
    /// The directory of lxcfs.pid.
    #[arg(long, value_name = "DIR", default_value = "/run")]
    runtime_dir: PathBuf,
    /// Accepted without effect.
    #[arg(short = 's', hide = true)]
    single_thread: bool,
    /// Show the values of lxcfs unless they are wrong.
    #[arg(long, help_heading = "Of vistafs alone")]
    strict_lxcfs: bool,
    /// Configuration [default: /etc/vistafs/config.toml].
    #[arg(long, help_heading = "Of vistafs alone", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Keep the mount in systemd's descriptor store on SIGTERM.
    #[arg(long, help_heading = "Of vistafs alone")]
    pub(super) stored: bool,
    /// Do not repair dead views of running containers.
    #[arg(long, help_heading = "Of vistafs alone")]
    pub(super) no_repair: bool,
    #[arg(hide = true)]
    directories: Vec<PathBuf>,
}

impl LxcfsArgs {
    pub(super) fn help() -> String {
        Self::command()
            .render_help()
            .to_string()
            .trim_end()
            .to_owned()
    }

    /// Checks what lxcfs refuses, too; returns the mount point.
    pub(super) fn check(&self) -> anyhow::Result<PathBuf> {
        if self.debug && self.foreground {
            bail!("both --debug and --foreground: give one of them");
        }
        match &self.directories[..] {
            [one] => Ok(one.clone()),
            [] => bail!("where to mount is missing (usage: lxcfs [OPTION]... DIRECTORY)"),
            [_, another, ..] => bail!(
                "one directory is mounted at, not {} as well",
                another.display()
            ),
        }
    }

    /// Returns the path of the pid file.
    pub(super) fn pid_file(&self) -> PathBuf {
        let default = || self.runtime_dir.join("lxcfs.pid");
        self.pidfile.clone().unwrap_or_else(default)
    }

    /// Returns the effect of the options on views.
    pub(super) fn numbers(&self) -> AsLxcfs {
        let given = [
            (self.enable_cfs, Word::Cfs),
            (self.enable_loadavg, Word::Loadavg),
            (self.enable_psi_poll, Word::PsiPoll),
            (self.enable_cgroup, Word::Cgroup),
            (self.disable_swap, Word::NoSwap),
            (self.disable_zswap, Word::NoZswap),
            (self.strict_lxcfs, Word::Strict),
        ];
        AsLxcfs::new(
            given
                .into_iter()
                .filter_map(|(is, word)| is.then_some(word)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<LxcfsArgs, clap::Error> {
        LxcfsArgs::try_parse_from(std::iter::once("lxcfs").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_consistent() {
        LxcfsArgs::command().debug_assert();
    }

    #[test]
    fn all_options_of_all_versions_are_taken() {
        let all = "-f -l -u -z -s -o allow_other,nonempty -p /p --enable-cfs --enable-loadavg \
                   --enable-psi-poll --enable-pidfd --disable-swap --disable-zswap \
                   --runtime-dir /r --runtime-dir=/q --enable-cgroup -lus --pidfile=/x --foreground \
                   /var/lib/lxcfs";
        let args = parse(all).unwrap();
        assert_eq!(args.check().unwrap(), PathBuf::from("/var/lib/lxcfs"));
        assert_eq!(args.pid_file(), PathBuf::from("/x"));
        assert_eq!(args.options, ["allow_other,nonempty"]);
        assert!(parse("/m --enable-lo").unwrap().enable_loadavg);
        assert!(parse("-n").unwrap().help && parse("-h").unwrap().help);
        assert!(parse("-v").unwrap().version && parse("-d /m").unwrap().debug);
        let pid_file = |line| parse(line).unwrap().pid_file();
        assert_eq!(pid_file("/m"), PathBuf::from("/run/lxcfs.pid"));
        assert_eq!(
            pid_file("--runtime-dir /r /m"),
            PathBuf::from("/r/lxcfs.pid")
        );
        assert_eq!(pid_file("-p/y /m"), PathBuf::from("/y"));
    }

    #[test]
    fn what_lxcfs_refuses_is_refused() {
        assert!(parse("--bogus /m").is_err() && parse("--enable /m").is_err());
        for line in ["", "a b", "-d -f /m"] {
            assert!(parse(line).unwrap().check().is_err(), "{line}");
        }
    }
}
