//! The command line.

#[cfg(test)]
mod documents;

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand};
use vistafs_attach::DEFAULT_MOUNT;

use vistafs_supervisor::MountOptions;

use crate::command::GuardArgs;
use crate::lxcfs;
use crate::nri::NriArgs;
use crate::run::{InitArgs, RunArgs};

/// A template instead of `after_help`, before which clap prints an empty line: the page must fit into 24 lines.
const HELP: &str = "\
{about}
Usage: {usage}
{subcommands}
Every command takes --config FILE, -v or -vv, -h. Version: vistafs --version
Example: vistafs run --memory 256M --cpus 1 -- free -m";

/// A file system that shows each container its own limits and usage
#[derive(Parser, Debug)]
#[command(
    name = "vistafs",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    // The height and width of a terminal that needs no scrolling.
    term_width = 80,
    help_template = HELP
)]
pub(crate) struct Cli {
    /// Configuration [default: /etc/vistafs/config.toml]
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Verbose logging; -vv also logs every FUSE request
    #[arg(short, long, global = true, help_heading = "Options of every command", action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Internal: the options of lxcfs, for workers
    #[arg(long, global = true, hide = true, value_delimiter = ',')]
    pub(crate) as_lxcfs: Vec<lxcfs::Word>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Returns the general options, for a child that needs the same.
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
    /// Mount at DIR and serve until SIGINT or SIGTERM
    Mount(MountArgs),
    /// Mount as a replacement of lxcfs, with the options of lxcfs
    // Never parsed here: its options differ from those of the other commands.
    #[command(disable_help_flag = true)]
    Lxcfs(LxcfsWords),
    /// Unmount DIR, even if it has no server
    Unmount(UnmountArgs),
    /// Reload the configuration; an invalid one changes nothing
    Reload(ReloadArgs),
    /// Replace the running vistafs by the installed version
    Upgrade(UpgradeArgs),
    /// Run a command in a small container with limits
    Run(RunArgs),
    /// Print what a process or a cgroup would see, without a mount
    Show(ShowArgs),
    /// List the views: enabled or not and why, and what they read
    Views(ViewsArgs),
    /// Validate the configuration, or print its values
    Config(ConfigArgs),
    /// Check this host and suggest fixes
    Doctor(DoctorArgs),
    /// Show the status of a mount: processes, requests, errors, latency
    Status(StatusArgs),
    /// Replace dead views in running containers
    Repair(RepairArgs),
    /// Place views in running containers
    Attach(AttachArgs),
    /// Remove views from running containers
    Detach(DetachArgs),
    /// Print the options that bind the views for docker or podman run
    DockerArgs(DockerArgs),
    /// Print the views as devices of the Container Device Interface
    Cdi(CdiArgs),
    /// Bind the views into a container, as a createContainer hook
    OciHook(OciHookArgs),
    /// Run an OCI runtime and add the views to its containers
    // Never parsed here: its options are those of the runtime.
    #[command(disable_help_flag = true)]
    OciRuntime(OciRuntimeWords),
    /// Add the views to pods, as an NRI plugin of containerd or CRI-O
    Nri(NriArgs),
    /// Bind the views into a container, as a hook.mount of LXC
    LxcHook(LxcHookArgs),
    #[command(hide = true, name = "command-guard")]
    Guard(GuardArgs),
    #[command(hide = true)]
    TryPlugin(TryPluginArgs),
    #[command(hide = true)]
    RunInit(InitArgs),
    #[command(hide = true)]
    Hold(HoldArgs),
    #[command(hide = true)]
    Worker(WorkerArgs),
    #[command(hide = true)]
    RepairWorker(RepairWorkerArgs),
    #[command(hide = true)]
    AttachWorker(AttachWorkerArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  vistafs mount --mkdir /var/lib/vistafs")]
pub(crate) struct MountArgs {
    /// An existing directory
    #[arg(value_name = "DIR")]
    pub(crate) mount_point: PathBuf,
    /// Keep the mount in systemd's descriptor store on SIGTERM (see vistafs.service)
    #[arg(long)]
    pub(crate) stored: bool,
    /// Take the mount over from a running vistafs, and hand it over to the next one
    #[arg(long, conflicts_with = "stored")]
    pub(crate) handover: bool,
    /// Create DIR if it does not exist
    #[arg(long)]
    pub(crate) mkdir: bool,
    /// Do not repair dead views of running containers
    #[arg(long)]
    pub(crate) no_repair: bool,
    /// Serve page-cached files only, without OPEN, as a second mount
    #[arg(long, alias = "hot")]
    pub(crate) page_cache: bool,
}

impl MountArgs {
    /// Returns the options for the supervisor.
    pub(crate) fn options(&self) -> MountOptions {
        MountOptions {
            mount_point: self.mount_point.clone(),
            stored: self.stored,
            handover: self.handover,
            mkdir: self.mkdir,
            repairs: !self.no_repair,
            page_cache: self.page_cache,
            as_lxcfs: false,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct LxcfsWords {
    /// Options of lxcfs, and the mount point
    #[arg(
        value_name = "OPTION",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) words: Vec<OsString>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example, in /etc/docker/daemon.json:
  \"runtimes\": {\"vistafs\": {\"path\": \"/usr/bin/vistafs-runtime\"}},
  \"default-runtime\": \"vistafs\"")]
pub(crate) struct OciRuntimeWords {
    /// Options and commands of runc or crun
    #[arg(
        value_name = "OPTION",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) words: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct UnmountArgs {
    /// A mount of vistafs
    #[arg(value_name = "DIR")]
    pub(crate) mount_point: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
}

#[derive(Args, Debug)]
pub(crate) struct UpgradeArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
}

/// Internal: how a supervisor starts its workers.
#[derive(Args, Debug)]
pub(crate) struct WorkerArgs {
    /// Serve the page-cache tree
    #[arg(long)]
    pub(crate) page_cache: bool,
    /// Descriptor of /dev/fuse
    #[arg(long)]
    pub(crate) device: RawFd,
    /// Descriptor of the link to the supervisor
    #[arg(long)]
    pub(crate) link: RawFd,
    /// Descriptor of the memory shared by workers
    #[arg(long)]
    pub(crate) handover: Option<RawFd>,
}

/// Internal: how a supervisor starts the process that holds shared files open.
#[derive(Args, Debug)]
pub(crate) struct HoldArgs {
    /// The mount
    #[arg(long)]
    pub(crate) mount: PathBuf,
    /// Hold the files; otherwise start the process that does
    #[arg(long)]
    pub(crate) stay: bool,
}

/// Internal: loads the file of a plugin in a separate process, which it may end.
#[derive(Args, Debug)]
pub(crate) struct TryPluginArgs {
    /// The file
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  vistafs repair --dry-run")]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Only the mounts that this process sees; may be given several times
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Vec<u32>,
    /// Change nothing; report what would be repaired
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Log a summary instead of a report: for vistafs mount
    #[arg(long, hide = true)]
    pub(crate) at_start: bool,
}

/// Internal: how `vistafs repair` starts its worker.
#[derive(Args, Debug)]
pub(crate) struct RepairWorkerArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vistafs attach --all --dry-run
  vistafs attach --pid 4242 --only meminfo,stat")]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    pub(crate) containers: ContainerArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  vistafs detach --cgroup /system.slice/docker-4f1c.scope")]
pub(crate) struct DetachArgs {
    #[command(flatten)]
    pub(crate) containers: ContainerArgs,
}

/// Selects running containers and views.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("containers").required(true).args(["pid", "cgroup", "all"])))]
pub(crate) struct ContainerArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// The container of this process; may be given several times
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Vec<u32>,
    /// All containers with a process in this cgroup or below it
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<PathBuf>,
    /// All containers of the host
    #[arg(long)]
    pub(crate) all: bool,
    /// Only these views, by name
    #[arg(long, value_name = "VIEW,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Change nothing; report what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Internal: how `vistafs attach` and `vistafs detach` start their worker.
#[derive(Args, Debug)]
pub(crate) struct AttachWorkerArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Remove views
    #[arg(long)]
    pub(crate) detach: bool,
    /// Change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vistafs show meminfo --pid 4242
  vistafs show sys/devices/system/cpu/online --cgroup /system.slice")]
pub(crate) struct ShowArgs {
    /// A view by path (proc/meminfo) or name (meminfo), or a file in a tree view
    #[arg(value_name = "VIEW")]
    pub(crate) view: String,
    /// Show what the container of this process sees
    #[arg(long, value_name = "PID", conflicts_with = "cgroup")]
    pub(crate) pid: Option<u32>,
    /// Show this cgroup, by its path below the root of each hierarchy
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ViewsArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Enable a view again that was disabled because workers crashed while serving it
    #[arg(long, value_name = "VIEW", conflicts_with = "json")]
    pub(crate) restore: Option<String>,
    #[command(flatten)]
    pub(crate) mount: MountedAt,
}

#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ConfigAction {
    /// Print one line per error; the exit status is 1 if there is one
    Check {
        /// Check this file instead of the configuration in use
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print each key, its value, and the source of the value
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a configuration with all keys
    Example,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Selects a mount.
#[derive(Args, Debug)]
pub(crate) struct MountedAt {
    /// The mount point of vistafs
    #[arg(long, value_name = "DIR", default_value = DEFAULT_MOUNT)]
    mount: PathBuf,
}

impl MountedAt {
    /// Returns the absolute path.
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
    #[command(subcommand)]
    pub(crate) command: CdiCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum CdiCommand {
    /// Generate the specification, for --device vistafs.dev/view=all or =meminfo
    Generate(CdiGenerateArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  vistafs cdi generate --output /etc/cdi/vistafs.json
  podman run --device vistafs.dev/view=all --memory 256m debian:12 free -m")]
pub(crate) struct CdiGenerateArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Replace FILE atomically instead of printing
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Path of the program on the host that runtimes execute as a hook [default: this one]
    #[arg(long, value_name = "PATH", conflicts_with = "no_hooks")]
    pub(crate) hook: Option<PathBuf>,
    /// Omit views that runtimes refuse as a mount and that need a hook
    #[arg(long)]
    pub(crate) no_hooks: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example, as runtimes do it:
  vistafs oci-hook --only meminfo,stat </run/containers/state.json")]
pub(crate) struct OciHookArgs {
    #[command(flatten)]
    pub(crate) hook: HookArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example, in /usr/share/lxc/config/common.conf.d/10-vistafs.conf:
  lxc.hook.mount = /usr/bin/vistafs lxc-hook")]
pub(crate) struct LxcHookArgs {
    #[command(flatten)]
    pub(crate) hook: HookArgs,
    /// The arguments that LXC passes to a hook
    #[arg(hide = true)]
    pub(crate) told: Vec<OsString>,
}

/// The options of hooks.
#[derive(Args, Debug)]
pub(crate) struct HookArgs {
    #[command(flatten)]
    pub(crate) mount: MountedAt,
    /// Bind from this mount of the page-cache tree where it has the view, and from the usual mount otherwise
    #[arg(long, alias = "hot", value_name = "DIR")]
    pub(crate) page_cache: Option<PathBuf>,
    /// Only these views, by name
    #[arg(long, value_name = "VIEW,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Fail, which keeps the container from starting, if the views cannot be bound
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
