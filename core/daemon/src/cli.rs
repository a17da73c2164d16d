//! The command line.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::bindings::DEFAULT_MOUNT;
use crate::run::{InitArgs, RunArgs};

/// Gives every container the truth about itself: its own /proc/meminfo, cpuinfo, stat, uptime.
#[derive(Parser, Debug)]
#[command(name = "vistafs", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Configuration file [default: /etc/vistafs/config.toml, which need not exist]
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Tell more: the whole chain of an error, and debug messages (-vv: each request of FUSE).
    #[arg(short, long, global = true, help_heading = "Options of every command", action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The options of every command, for a program that is to have the same.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let mut options = Vec::new();
        if let Some(config) = &self.config {
            options.extend(["--config".into(), config.into()]);
        }
        options.extend((0..self.verbose).map(|_| "-v".into()));
        options
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Mount at DIR and serve in the foreground until SIGINT or SIGTERM.
    Mount(MountArgs),
    /// Unmount DIR, whether or not anybody serves it.
    Unmount(UnmountArgs),
    /// Start the vistafs that is installed now in the place of the one that serves a mount.
    Upgrade(UpgradeArgs),
    /// Run a command in a container of its own, with limits.
    Run(RunArgs),
    /// Print what a process or a cgroup would see, without a mount.
    Show(ShowArgs),
    /// List the views: on or off and why, and where they get their numbers from on this host.
    Views(ViewsArgs),
    /// Tell what of this host works for vistafs, what does not, and what would mend it.
    Doctor(DoctorArgs),
    /// Tell how a mount does: processes, requests, errors, how long they take.
    Status(StatusArgs),
    /// Bring the views back in running containers in which they are dead.
    Repair(RepairArgs),
    /// Print the options that bind the views into a container of Docker or Podman.
    DockerArgs(DockerArgs),
    /// Print the views as devices of the Container Device Interface, for /etc/cdi/vistafs.json.
    Cdi(CdiArgs),
    /// Bind the views into a container: for OCI runtimes, as a createContainer hook.
    OciHook(OciHookArgs),
    #[command(hide = true)]
    RunInit(InitArgs),
    #[command(hide = true)]
    Worker(WorkerArgs),
    #[command(hide = true)]
    RepairWorker(RepairWorkerArgs),
}

#[derive(Args, Debug)]
pub(crate) struct MountArgs {
    /// An existing directory.
    #[arg(value_name = "DIR")]
    pub(crate) mount_point: PathBuf,
    /// Keep the mount in systemd's store of descriptors, for the next start: SIGTERM does not unmount
    /// then. The unit that comes with vistafs has what else it takes.
    #[arg(long)]
    pub(crate) stored: bool,
    /// Take the mount over from who serves it, and hand it to who comes next.
    #[arg(long, conflicts_with = "stored")]
    pub(crate) handover: bool,
    /// Make DIR, if it is not there.
    #[arg(long)]
    pub(crate) mkdir: bool,
    /// Leave the views of running containers dead that an earlier mount has left behind.
    #[arg(long)]
    pub(crate) no_repair: bool,
}

#[derive(Args, Debug)]
pub(crate) struct UnmountArgs {
    /// A mount of vistafs.
    #[arg(value_name = "DIR")]
    pub(crate) mount_point: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct UpgradeArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
}

/// What a supervisor starts its workers with.
#[derive(Args, Debug)]
pub(crate) struct WorkerArgs {
    /// Descriptor of /dev/fuse.
    #[arg(long)]
    pub(crate) device: RawFd,
    /// Descriptor of the link to the supervisor.
    #[arg(long)]
    pub(crate) link: RawFd,
    /// Descriptor of memory that one worker hands over to the next.
    #[arg(long)]
    pub(crate) handover: Option<RawFd>,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// JSON, for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Only what these processes see; may be given several times.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Vec<u32>,
    /// Change nothing: tell what would be repaired.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// JSON, for machines.
    #[arg(long)]
    pub(crate) json: bool,
    /// Tell the log in a line or two: for `vistafs mount`.
    #[arg(long, hide = true)]
    pub(crate) at_start: bool,
}

/// What `vistafs repair` starts; not for people.
#[derive(Args, Debug)]
pub(crate) struct RepairWorkerArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// A view by path (proc/meminfo) or name (meminfo), or a file in a tree of one.
    #[arg(value_name = "VIEW")]
    pub(crate) view: String,
    /// Of this process's container.
    #[arg(long, value_name = "PID", conflicts_with = "cgroup")]
    pub(crate) pid: Option<u32>,
    /// Of this cgroup, by its path below the root of each hierarchy.
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ViewsArgs {
    /// JSON, for machines.
    #[arg(long)]
    pub(crate) json: bool,
    /// Serve a view again that was put aside because workers crashed while they served it.
    #[arg(long, value_name = "VIEW", conflicts_with = "json")]
    pub(crate) restore: Option<String>,
    #[command(flatten)]
    pub(crate) mount: MountedAt,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// JSON, for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the views are.
#[derive(Args, Debug)]
pub(crate) struct MountedAt {
    /// Where vistafs is mounted.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_MOUNT)]
    mount: PathBuf,
}

impl MountedAt {
    /// Absolute.
    pub(crate) fn path(&self) -> anyhow::Result<PathBuf> {
        std::path::absolute(&self.mount)
            .with_context(|| format!("cannot use {}", self.mount.display()))
    }
}

#[derive(Args, Debug)]
pub(crate) struct DockerArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
}

#[derive(Args, Debug)]
pub(crate) struct CdiArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
}

#[derive(Args, Debug)]
pub(crate) struct OciHookArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Only these views, by name.
    #[arg(long, value_name = "VIEW,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Fail, and so keep the container from starting, where the views cannot be bound.
    #[arg(long)]
    pub(crate) required: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
