//! `vistafs run-init`: process 1 of the container.
//!
//! It creates the container around itself (`stage.rs`), starts the command, forwards signals to
//! it, reaps orphans, and exits with the command's status; then the kernel kills
//! all processes of the pid namespace. It is single-threaded.

use std::ffi::{OsStr, OsString};
use std::io::{Error, ErrorKind};
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::process::{Pid, Signal, WaitOptions};
use vistafs_host::{Inherited, spawn};

use super::signals::{Event, Signals};
use super::{shell_status, stage};
use crate::run::InitArgs;

/// The second stage of `run`, in the new pid namespace.
///
/// # Errors
/// When the container cannot be created, or the command cannot be waited for.
pub(crate) fn init(args: &InitArgs) -> Result<u8> {
    let signals = Signals::block()?;
    die_with(args.parent)?;
    // Otherwise `top` shows `exe`, the name of the link by which it was started.
    nix::sys::prctl::set_name(c"vistafs-init").context("setting the process name")?;
    stage::enter(&args.name, &args.views)?;
    restore_open_files(args.open_files)?;
    let command = match start(&args.command) {
        Ok(child) => Pid::from_child(&child),
        Err(error) => return Ok(cannot_execute(&args.command, &error)),
    };
    loop {
        match signals.next()? {
            Event::ChildChanged => {
                if let Some(status) = reap(command)? {
                    stage::leave();
                    return Ok(status);
                }
            }
            // It may have ended just now: its status follows.
            Event::PassOn(signal) => {
                let _ = rustix::process::kill_process(command, signal);
            }
        }
    }
}

/// Arranges that the kernel kills this process, and so the container, when `parent` dies.
fn die_with(parent: u32) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("asking to be killed with `vistafs run`")?;
    // The parent may have died before. getppid() cannot show that, because the parent is in another pid
    // namespace; /proc, which is still the host's, can.
    let path = "/proc/self/status";
    let text = std::fs::read(path).with_context(|| path.to_owned())?;
    ensure!(
        vistafs_text::pid_status::ppid(&text)? == Some(parent),
        "`vistafs run`, process {parent}, has ended"
    );
    Ok(())
}

fn restore_open_files(soft: u64) -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("asking for a limit")?;
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).context("restoring the limit of open files")
}

/// Starts the command with an empty signal mask, and ignored signals as `run` was started with. When this process
/// exits, the kernel kills it with the pid namespace.
fn start(words: &[OsString]) -> Result<Child, Error> {
    let (program, arguments) = words.split_first().ok_or(ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(arguments);
    let inherited = Inherited {
        ignored_signals: true,
        ..Inherited::default()
    };
    spawn(command, inherited)
}

/// Reports the error, and returns a shell's status for it.
fn cannot_execute(command: &[OsString], error: &Error) -> u8 {
    let program = command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let program = program.to_string_lossy();
    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
        eprintln!("vistafs run: {program}: not found");
        return 127;
    }
    eprintln!("vistafs run: {program}: cannot be executed: {error}");
    126
}

/// Reaps all ended children; returns the status if the command is among them.
fn reap(command: Pid) -> Result<Option<u8>> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == command => {
                return Ok(Some(shell_status(
                    status.exit_status(),
                    status.terminating_signal(),
                )));
            }
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(None),
            Err(errno) => return Err(errno).context("waiting for the command"),
        }
    }
}
