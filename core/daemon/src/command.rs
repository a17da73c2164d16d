//! The commands.

mod attach;
mod cdi;
mod command_guard;
mod config;
mod docker_args;
mod doctor;
mod lxc_hook;
mod oci_hook;
mod reload;
mod repair;
mod show;
mod status;
mod upgrade;
mod views;

use anyhow::bail;
use vistafs_supervisor::{fuse_mount, hold, supervise};

pub(crate) use command_guard::GuardArgs;

use crate::cli::{Cli, Command};
use crate::lxcfs::AsLxcfs;
use crate::{nri, plugins, run, worker};
use vistafs_config::Config;

/// Executes the command; the program's exit status.
pub(crate) fn execute(cli: &Cli) -> anyhow::Result<u8> {
    let configured = || Config::read(cli.config.as_deref());
    match &cli.command {
        // Its workers read the configuration, and say what is wrong with it.
        Command::Mount(args) => supervise(&args.options(), cli.options(), None),
        // As the first word it was seen to before.
        Command::Lxcfs(_) => bail!("options go after lxcfs: vistafs lxcfs --help"),
        Command::OciRuntime(_) => bail!("options go after oci-runtime: vistafs oci-runtime --help"),
        Command::Worker(args) => {
            let as_lxcfs = AsLxcfs::new(cli.as_lxcfs.iter().copied());
            worker::work(args, as_lxcfs, |kept| match kept {
                Some(text) => Config::of_text(cli.config.as_deref(), text),
                None => Config::read_to_serve(cli.config.as_deref()),
            })
        }
        Command::Reload(args) => reload::reload(args),
        Command::Upgrade(args) => upgrade::upgrade(args),
        Command::Unmount(args) => fuse_mount::unmount_vistafs(&args.mount_point).map(|()| 0),
        Command::Run(args) => run::run(args, &configured()?),
        Command::Show(args) => show::show(args, &configured()?),
        Command::Views(args) => views::views(args, &configured()?),
        Command::DockerArgs(args) => docker_args::docker_args(args, &configured()?),
        Command::Cdi(args) => cdi::cdi(args, &configured()?),
        Command::OciHook(args) => oci_hook::oci_hook(args, &configured()?),
        Command::LxcHook(args) => lxc_hook::lxc_hook(args, &configured()?),
        Command::Nri(args) => nri::nri(args, &configured()?, cli.config.as_deref()),
        // Where the configuration is broken, too.
        Command::Doctor(args) => doctor::doctor(args),
        Command::Config(args) => config::config(args, cli.config.as_deref()),
        Command::Status(args) => status::status(args),
        Command::Repair(args) => repair::repair(args),
        Command::Hold(args) => hold::hold(&args.mount, args.stay),
        Command::Guard(args) => command_guard::command_guard(args),
        Command::TryPlugin(args) => plugins::try_plugin(&args.file, &configured()?),
        Command::RunInit(args) => run::init(args),
        Command::RepairWorker(args) => repair::work(args),
        Command::Attach(args) => attach::attach(&args.containers, &configured()?, false),
        Command::Detach(args) => attach::attach(&args.containers, &configured()?, true),
        Command::AttachWorker(args) => attach::work(args),
    }
}
