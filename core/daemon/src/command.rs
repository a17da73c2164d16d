//! The commands.

mod cdi;
mod docker_args;
mod doctor;
mod lxc_hook;
mod oci_hook;
mod repair;
mod show;
mod status;
mod upgrade;
mod views;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::{fuse_mount, run, supervise, worker};

/// Executes the command; the program's exit status.
pub(crate) fn execute(cli: &Cli) -> anyhow::Result<u8> {
    let config = || Config::read(cli.config.as_deref());
    match &cli.command {
        // Its workers read the configuration, and say what is wrong with it.
        Command::Mount(args) => supervise::supervise(args, cli.options()),
        Command::Worker(args) => worker::work(args, config),
        Command::Upgrade(args) => upgrade::upgrade(args),
        Command::Unmount(args) => fuse_mount::unmount_vistafs(&args.mount_point).map(|()| 0),
        Command::Run(args) => run::run(args, &config()?),
        Command::Show(args) => show::show(args, &config()?),
        Command::Views(args) => views::views(args, &config()?),
        Command::DockerArgs(args) => docker_args::docker_args(args, &config()?),
        Command::Cdi(args) => cdi::cdi(args, &config()?),
        Command::OciHook(args) => oci_hook::oci_hook(args, &config()?),
        Command::LxcHook(args) => lxc_hook::lxc_hook(args, &config()?),
        // Where the configuration is broken, too.
        Command::Doctor(args) => doctor::doctor(args),
        Command::Status(args) => status::status(args),
        Command::Repair(args) => repair::repair(args),
        Command::RunInit(args) => run::init(args),
        Command::RepairWorker(args) => repair::work(args),
    }
}
