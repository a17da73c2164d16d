//! The worker: the process that serves a mount of the supervisor.
//!
//! It is started with two descriptors: /dev/fuse, and a link to the supervisor. It serves until the supervisor or SIGTERM
//! orders it to leave, or until the file system is not mounted anywhere any more. A supervisor that is
//! killed or crashes does not end it: readers continue to be
//! served.

mod drain;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use vistafs_dispatch::{Supervision, interrupt_killed, redo_unfinished, wake_pollers};
use vistafs_handover::{Handover, HandoverError};

use crate::cli::WorkerArgs;
use crate::engine::Engine;
use crate::lxcfs::AsLxcfs;
use crate::plugins::Loader;
use crate::serve;
use drain::Drain;
use vistafs_config::Config;
use vistafs_supervisor::inherited;
use vistafs_supervisor::link::{Link, Order, UNANSWERED, Word};

/// Serves; returns the exit status. Failures are reported to the supervisor.
pub(crate) fn work(
    args: &WorkerArgs,
    as_lxcfs: AsLxcfs,
    config: impl FnOnce(Option<String>) -> anyhow::Result<Config>,
) -> anyhow::Result<u8> {
    // Before the first thread. A Ctrl-C in a terminal is for the supervisor.
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    signals.thread_block().context("cannot block signals")?;
    let device = inherited::take(args.device)?;
    let link = Link::new(inherited::take(args.link)?);
    let handover = args.handover.map(inherited::take).transpose()?;
    // After execve(2) through a descriptor, the kernel has set another name.
    let _ = rustix::thread::set_name(c"vistafs");
    // Each serving thread has a buffer for the longest request, of which it uses a few pages: huge pages would take
    // 2 MiB for each.
    let _ = nix::sys::prctl::set_thp_disable(true);
    let handed = (device, handover);
    match prepare_and_serve(handed, args.page_cache, &link, &signals, &as_lxcfs, config) {
        Ok(status) => Ok(status),
        Err(error) => {
            let mut why = format!("{error}");
            // The outermost message names the operation, the innermost one the cause.
            let cause = error.root_cause().to_string();
            if !why.contains(&cause) {
                why = format!("{why}: {cause}");
            }
            link.say(&Word::Failed { why })
                .context("the supervisor does not listen")?;
            Ok(1)
        }
    }
}

fn prepare_and_serve(
    (device, handover): (OwnedFd, Option<OwnedFd>),
    page_cache: bool,
    link: &Link,
    signals: &SigSet,
    as_lxcfs: &AsLxcfs,
    config: impl FnOnce(Option<String>) -> anyhow::Result<Config>,
) -> anyhow::Result<u8> {
    let Some(Order::Prepare {
        put_aside,
        quarantined,
        left_out,
        supervision,
        configuration,
        passing,
        ..
    }) = hear(link)?
    else {
        bail!("started without a word: vistafs mount starts it");
    };
    let config = config(configuration)?;
    if page_cache && config.page_cache_ttl().is_zero() {
        bail!(
            "--page-cache has the kernel serve files from its page cache, and [page_cache] ttl_ms is 0: it \
             never does (set it, to 50 for example)"
        );
    }
    serve::raise_open_files_limit();
    let handover = match handover.map(Handover::adopt).transpose() {
        Ok(handover) => handover,
        // Its supervisor uses it, so another program supports this version: that one must continue.
        Err(error @ HandoverError::Version { .. }) => return Err(error.into()),
        Err(error) => {
            log::warn!("{error}");
            None
        }
    };
    let loader = Loader::Worker {
        link,
        left_out: &left_out,
    };
    let taken = (&put_aside[..], handover.clone());
    let engine = Engine::take_over(&config, as_lxcfs, page_cache, taken, loader)?;
    engine.dispatcher.set_passing(passing);
    let pairs = quarantined
        .iter()
        .map(|one| (one.view.as_str(), one.container));
    engine.dispatcher.quarantine(pairs);
    if let Some(supervision) = supervision {
        engine.dispatcher.set_supervision(Supervision {
            pid: supervision.pid,
            started: UNIX_EPOCH + Duration::from_secs(supervision.since),
            restarts: supervision.restarts.into_iter().collect(),
        });
    }
    let wakes = wake_by(link, handover.as_deref());
    let stuck_seconds = config.stuck_seconds();
    let configuration = Some(config.text().to_owned());
    link.say(&Word::Prepared {
        stuck_seconds,
        configuration,
        wakes,
    })
    .context("the supervisor does not listen")?;
    let (init, redo) = loop {
        match hear(link)? {
            Some(Order::Serve { init, redo }) => break (init, redo),
            Some(Order::Pass { passing }) => engine.dispatcher.set_passing(passing),
            // It exited, or no longer needs this worker.
            _ => return Ok(0),
        }
    };
    let (session, reply) = serve::session(&device, &init, &engine, config.threads())?;
    let generation = handover
        .as_ref()
        .map_or(0, |handover| handover.begin_generation());
    // Before the first read: the supervisor must know that FUSE_INIT was answered.
    link.say(&Word::Answered { reply, generation })
        .context("the supervisor does not listen")?;
    if let Some(handover) = handover.as_ref().filter(|_| generation > 1) {
        if redo {
            redo_unfinished(&engine.dispatcher, handover, device.as_fd())
                .context("cannot answer what the worker before has left")?;
        }
        wake_pollers(handover, device.as_fd());
    }
    if let Err(error) = interrupt_killed(&engine.dispatcher, device.as_fd()) {
        log::warn!(
            "killed callers wait until they are answered: {error} (raise TasksMax= of the unit)"
        );
    }
    let drain = Drain::new(&session, device, handover)?;
    let ended = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).context("cannot wait for the end")?);
    let at_end = {
        let ended = Arc::clone(&ended);
        move || {
            let _ = rustix::io::write(&ended, &1u64.to_ne_bytes());
        }
    };
    // From here on only the session holds the views.
    let dispatcher = Arc::downgrade(&engine.dispatcher);
    drop(engine);
    serve::serve(session, at_end)?;
    link.say(&Word::Ready)
        .context("the supervisor does not listen")?;
    let pass = |passing| {
        if let Some(dispatcher) = dispatcher.upgrade() {
            dispatcher.set_passing(passing);
        }
    };
    if until_told(link, signals, &ended, pass)? {
        if !drain.drain(&ended) {
            return Ok(UNANSWERED);
        }
    } else {
        // The supervisor may be gone.
        let _ = link.say(&Word::Unmounted);
    }
    Ok(0)
}

/// Arranges that a request wakes a sleeping supervisor; returns whether it does.
fn wake_by(link: &Link, handover: Option<&Handover>) -> bool {
    let (Some(handover), Ok(link)) = (handover, link.try_clone()) else {
        return false;
    };
    handover.wake_with(move || {
        // It may be gone; if the socket is full, it is awake.
        let _ = link.say(&Word::Asked);
    });
    true
}

/// Returns the next known message.
fn hear(link: &Link) -> anyhow::Result<Option<Order>> {
    loop {
        match link.hear() {
            Ok(Some(Order::Unknown)) | Err(rustix::io::Errno::BADMSG) => {}
            heard => return heard.context("cannot hear the supervisor"),
        }
    }
}

/// Waits until it is ordered to leave: true; or until serving has ended: false.
fn until_told(
    link: &Link,
    signals: &SigSet,
    ended: &OwnedFd,
    pass: impl Fn(bool),
) -> anyhow::Result<bool> {
    let signals = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .context("cannot wait for signals")?;
    let mut supervised = true;
    loop {
        let heard = if supervised {
            PollFlags::IN
        } else {
            PollFlags::empty()
        };
        let mut fds = vec![
            PollFd::new(ended, PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        if supervised {
            fds.push(PollFd::from_borrowed_fd(link.as_fd(), heard));
        }
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(errno).context("cannot wait"),
        }
        let [has_ended, signalled] = [0, 1].map(|at: usize| !fds[at].revents().is_empty());
        if has_ended {
            return Ok(false);
        }
        if signalled {
            while let Ok(Some(info)) = signals.read_signal() {
                let is = |signal: Signal| i64::from(info.ssi_signo) == signal as i64;
                if is(Signal::SIGTERM) {
                    return Ok(true);
                }
            }
        }
        if supervised {
            match link.hear_now() {
                Ok(Some(Order::Leave)) => return Ok(true),
                Ok(Some(Order::Pass { passing })) => pass(passing),
                Ok(Some(_)) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::BADMSG) => {}
                Ok(None) | Err(_) => {
                    log::warn!(
                        "the supervisor has ended; worker {} serves on (systemctl restart vistafs \
                         starts another)",
                        std::process::id()
                    );
                    supervised = false;
                }
            }
        }
    }
}
