//! `vistafs mount DIR`: mounts and serves until SIGINT or SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;
use sd_notify::NotifyState;

use crate::cli::MountArgs;
use crate::config::Config;
use crate::repair;
use crate::serve::Serving;

pub(crate) fn mount(args: &MountArgs, config: &Config) -> anyhow::Result<u8> {
    // Before any thread is started, so that all of them leave these signals to us.
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block().context("cannot block signals")?;
    let ended = Arc::new(AtomicBool::new(false));
    let at_end = {
        let ended = Arc::clone(&ended);
        move || {
            ended.store(true, Ordering::SeqCst);
            // Wakes the main thread, which alone waits for it.
            let _ = nix::sys::signal::kill(Pid::this(), Signal::SIGTERM);
        }
    };
    let serving = Serving::start(&args.mount_point, config, at_end)?;
    log::info!("serving at {}", args.mount_point.display());
    notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
    if !args.no_repair {
        repair::in_background(&args.mount_point);
    }
    let signal = signals.wait().context("cannot wait for signals")?;
    if ended.load(Ordering::SeqCst) {
        bail!(
            "{} was unmounted by somebody else",
            args.mount_point.display()
        );
    }
    log::info!("{signal}: unmounting {}", args.mount_point.display());
    notify(&[NotifyState::Stopping]);
    drop(serving);
    Ok(0)
}

/// Tells systemd, if it is there.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("cannot tell systemd: {error}");
    }
}
