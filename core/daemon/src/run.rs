//! `vistafs run`: a command in a small container of its own, with truthful views.
//!
//! | process | what it does |
//! |---|---|
//! | `vistafs run` | makes the cgroups, serves the views, passes signals on, cleans up |
//! | `vistafs run-init` | process 1 of the new pid namespace: joins the cgroups, makes the other namespaces and mounts, reaps |
//! | the command | process 2 there |
//!
//! | file | owns |
//! |---|---|
//! | `run/args.rs` | the two command lines |
//! | `run/amount.rs` | sizes and CPU shares as people write them |
//! | `run/cgroups.rs`, `run/cgroups/` | the container's cgroups: making, limits, removing |
//! | `run/stage.rs` | namespaces and mounts, of both processes |
//! | `run/init.rs` | process 1 |
//! | `run/signals.rs` | signals as events |
//! | `run/terminal.rs` | whose turn it is at the terminal |
//!
//! Promises: what was made is gone when `run` returns, whether with a status or with an error.
//! Mounts live in a mount namespace of their own, so that they go even if `run` is killed; so do
//! the processes, whose init asks the kernel to be killed with its parent. Empty cgroups are all
//! that a killed `run` leaves, and the next one removes them.
//!
//! Assumes that it is called before the program has started any thread: the signal mask and the
//! mount namespace have to be those of every thread to come.

mod amount;
mod args;
mod cgroups;
mod init;
mod signals;
mod stage;
mod terminal;

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit};
use rustix::process::Pid;
use vistafs_attach::Binding;
use vistafs_cgroup::Hierarchies;
use vistafs_config::Config;
use vistafs_host::{Inherited, spawn};

pub(crate) use args::{InitArgs, RunArgs};
pub(crate) use init::init;

use cgroups::Cgroups;
use signals::{Event, Signals};
use terminal::Terminal;

use crate::serve::Serving;
use crate::{bindings, engine};

/// Runs the command and returns its exit status as a shell would: 128 + n for signal n, 126 and
/// 127 for a command that cannot be executed or found.
///
/// # Errors
/// When the container could not be made. Everything has been undone then.
pub(crate) fn run(args: &RunArgs, config: &Config) -> Result<u8> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "needs root, to make cgroups and namespaces: try it with sudo"
    );
    args.limits.check()?;
    // From here on a Ctrl-C must not end us before the cleaning up.
    let signals = Signals::block()?;
    let _terminal = Terminal::remember();
    let name = args.name();
    let hierarchies = hierarchies()?;
    // Declared before what runs in them: dropped, and so removed, after it.
    let _cgroups = Cgroups::create(&hierarchies, &name, &args.limits)?;
    stage::leave_host_mounts()?;
    // The server raises it for itself; the command is to have what `run` was given.
    let (open_files, _) = getrlimit(Resource::RLIMIT_NOFILE).context("asking for a limit")?;
    let _serving = Serving::start(Path::new(stage::VIEWS), config)?;
    let views = bindings::all(config)?;
    let mut container = Container::start(&name, open_files, &views, args)?;
    let status = container.wait(&signals)?;
    Ok(shell_status(status.code(), status.signal()))
}

/// The cgroup trees that are mounted here.
fn hierarchies() -> Result<Hierarchies> {
    let hierarchies = engine::hierarchies()?;
    ensure!(
        !hierarchies.all().is_empty(),
        "no cgroup hierarchy is mounted here (see /proc/self/mountinfo); \
         `mount -t cgroup2 none /sys/fs/cgroup` mounts the unified one"
    );
    Ok(hierarchies)
}

/// What a shell makes of an exit code, or of the signal that ended a process.
fn shell_status(code: Option<i32>, signal: Option<i32>) -> u8 {
    let code = match (code, signal) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 125,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The running container, by its init. Dropped while it runs, it is killed.
struct Container {
    init: Child,
}

impl Container {
    fn start(name: &str, open_files: u64, views: &[Binding], args: &RunArgs) -> Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        // What `ps` shows in the container.
        command.arg0("vistafs").arg("run-init");
        command.arg("--parent").arg(std::process::id().to_string());
        command.arg("--name").arg(name);
        let soft = open_files.to_string();
        command.arg("--open-files").arg(soft);
        for view in views {
            command.arg("--view").arg(view.path);
        }
        command.arg("--").args(&args.command);
        let inherited = Inherited {
            ignored_signals: true,
            // Out of sight of the new pid namespace we have no number: it asks for that itself.
            lives_on: true,
            ..Inherited::default()
        };
        let init = stage::in_new_pid_namespace(|| {
            spawn(command, inherited).context("starting the container's init from /proc/self/exe")
        })??;
        Ok(Self { init })
    }

    /// Passes signals on until the container has ended.
    fn wait(&mut self, signals: &Signals) -> Result<ExitStatus> {
        loop {
            match signals.next()? {
                Event::ChildChanged => {
                    let status = self.init.try_wait().context("waiting for the container")?;
                    if let Some(status) = status {
                        return Ok(status);
                    }
                }
                // It may have just ended: then there is nobody to tell.
                Event::PassOn(signal) => {
                    let _ = rustix::process::kill_process(Pid::from_child(&self.init), signal);
                }
            }
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Both do nothing when it has been waited for. With the init, the kernel kills the rest.
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_a_shell() {
        assert_eq!(shell_status(Some(7), None), 7);
        assert_eq!(shell_status(Some(0), None), 0);
        assert_eq!(shell_status(None, Some(9)), 137);
    }
}
