//! `vistafs run`: runs a command in a small container with limits and views.
//!
//! | process | what it does |
//! |---|---|
//! | `vistafs run` | creates the cgroups, serves the views, forwards signals, cleans up |
//! | `vistafs run-init` | process 1 of the new pid namespace: joins the cgroups, creates the other namespaces and the mounts, reaps |
//! | the command | process 2 there |
//!
//! | file | owns |
//! |---|---|
//! | `run/args.rs` | the two command lines |
//! | `run/amount.rs` | parses sizes and numbers of CPUs |
//! | `run/cgroups.rs`, `run/cgroups/` | creates, limits and removes the container's cgroups |
//! | `run/stage.rs` | namespaces and mounts of both processes |
//! | `run/init.rs` | process 1 |
//! | `run/signals.rs` | signals as events |
//! | `run/terminal.rs` | the foreground process group of the terminal |
//!
//! Promises: when `run` returns, with a status or an error, everything that it created is removed.
//! The mounts are in a separate mount namespace and end with it even if `run` is killed; so do the
//! processes, whose init is killed with its parent by the kernel. A killed `run` leaves empty cgroups only,
//! which the next one removes.
//!
//! Assumes that the program has not started a thread yet: all later threads need the signal mask and the
//! mount namespace that are set here.

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
/// When the container cannot be created. Everything is undone then.
pub(crate) fn run(args: &RunArgs, config: &Config) -> Result<u8> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "needs root, to make cgroups and namespaces: try it with sudo"
    );
    args.limits.check()?;
    // From here on a Ctrl-C must not end this process before the cleanup.
    let signals = Signals::block()?;
    let _terminal = Terminal::remember();
    let name = args.name();
    let hierarchies = hierarchies()?;
    // Declared before the container, so that they are dropped, and removed, after it.
    let _cgroups = Cgroups::create(&hierarchies, &name, &args.limits)?;
    stage::leave_host_mounts()?;
    // The server raises its own limit; the command gets the limit that `run` was given.
    let (open_files, _) = getrlimit(Resource::RLIMIT_NOFILE).context("asking for a limit")?;
    let _serving = Serving::start(Path::new(stage::VIEWS), config)?;
    let views = bindings::all(config)?;
    let mut container = Container::start(&name, open_files, &views, args)?;
    let status = container.wait(&signals)?;
    Ok(shell_status(status.code(), status.signal()))
}

/// Returns the mounted cgroup hierarchies.
fn hierarchies() -> Result<Hierarchies> {
    let hierarchies = engine::hierarchies()?;
    ensure!(
        !hierarchies.all().is_empty(),
        "no cgroup hierarchy is mounted here (see /proc/self/mountinfo); \
         `mount -t cgroup2 none /sys/fs/cgroup` mounts the unified one"
    );
    Ok(hierarchies)
}

/// Returns the status that a shell reports for an exit code or a signal.
fn shell_status(code: Option<i32>, signal: Option<i32>) -> u8 {
    let code = match (code, signal) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 125,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The running container, by its init. It is killed on drop.
struct Container {
    init: Child,
}

impl Container {
    fn start(name: &str, open_files: u64, views: &[Binding], args: &RunArgs) -> Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        // The name that `ps` shows in the container.
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
            // This process has no ID in the new pid namespace: the init requests its own parent-death signal.
            lives_on: true,
            ..Inherited::default()
        };
        let init = stage::in_new_pid_namespace(|| {
            spawn(command, inherited).context("starting the container's init from /proc/self/exe")
        })??;
        Ok(Self { init })
    }

    /// Forwards signals until the container has ended.
    fn wait(&mut self, signals: &Signals) -> Result<ExitStatus> {
        loop {
            match signals.next()? {
                Event::ChildChanged => {
                    let status = self.init.try_wait().context("waiting for the container")?;
                    if let Some(status) = status {
                        return Ok(status);
                    }
                }
                // It may have ended just now.
                Event::PassOn(signal) => {
                    let _ = rustix::process::kill_process(Pid::from_child(&self.init), signal);
                }
            }
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Both have no effect after it was waited for. With the init, the kernel kills all of its processes.
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
