//! `vistafs mount DIR`: mounts and serves until SIGINT or SIGTERM.

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal};
use sd_notify::NotifyState;

use crate::cli::MountArgs;
use crate::config::Config;
use crate::serve::Serving;

pub(crate) fn mount(args: &MountArgs, config: &Config) -> anyhow::Result<u8> {
    // Before any thread is started, so that all of them leave these signals to us.
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block().context("cannot block signals")?;
    let serving = Serving::start(&args.mount_point, config)?;
    log::info!("serving at {}", args.mount_point.display());
    notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
    let signal = signals.wait().context("cannot wait for signals")?;
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
