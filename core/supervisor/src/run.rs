//! The event loop: signals, messages of workers, exits.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sd_notify::NotifyState;

use super::control::Control;
use super::succession::Successor;
use super::worker_process::{Stage, WorkerProcess};
use super::{Ending, Readiness, Supervisor, tell};
use crate::error_text::in_one_line;
use crate::fuse_init;
use crate::link::Word;

/// Timeout of the repair at start, after which READY is reported all the same: units that are ordered
/// after this one, such as docker.service, wait for it.
pub(super) const REPAIR_LIMIT: Duration = Duration::from_secs(10);
/// Timeout of a worker from its start until it serves.
pub(super) const TO_SERVE: Duration = Duration::from_secs(60);
/// Timeout to finish its requests.
pub(super) const TO_LEAVE: Duration = Duration::from_secs(5);
/// The same if no caller needs the results.
const TO_END: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Keeps the mount served until the end; returns the exit status.
    pub(super) fn run(mut self) -> anyhow::Result<u8> {
        loop {
            self.keep_time();
            self.exchange_when_due();
            self.reload_when_due();
            if let Some(ending) = self.ending
                && self.current.is_none()
                && self.leaving.iter().all(WorkerProcess::is_beyond_reach)
            {
                return self.end(ending);
            }
            self.wait().context("cannot wait")?;
            self.hear_signals()?;
            self.hear_workers();
            self.reap();
            // Before the questions: a new successor may ask at the moment when one has given up.
            if self.hear_successor() {
                return self.retire();
            }
            self.hear_questions();
        }
    }

    /// Returns whether a successor is taking the mount over.
    pub(super) fn is_taken(&self) -> bool {
        self.successor.as_ref().is_some_and(Successor::is_taking)
    }

    /// Returns whether another supervisor shares the mount: it serves next, or continues to.
    fn is_shared(&self) -> bool {
        self.is_taken() || self.predecessor.is_some()
    }

    /// Handles a successor that serves: this supervisor no longer owns the mount.
    fn retire(mut self) -> anyhow::Result<u8> {
        log::info!(
            "{}: handed over; another vistafs serves it",
            self.shown.display()
        );
        if let Some(mount) = self.mount.take() {
            mount.leave();
        }
        // A worker that was ordered to leave gets no second order.
        let stays = self.hands_over && self.ending.is_none();
        let signals = self.signals;
        drop((self.device, self.handover, self.control, self.successor));
        drop(self.holder);
        if stays {
            // If this process exited, the service manager would restart it, and it would take the mount back.
            let ends = |signal: u32| {
                let signal = i32::try_from(signal).map(Signal::try_from);
                matches!(
                    signal,
                    Ok(Ok(Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP))
                )
            };
            loop {
                let mut fds = [PollFd::new(&signals, PollFlags::IN)];
                match poll(&mut fds, None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(errno) => return Err(errno).context("cannot wait"),
                }
                let got = signals.read_signal().context("cannot read signals")?;
                if got.is_some_and(|info| ends(info.ssi_signo)) {
                    break;
                }
            }
        }
        Ok(0)
    }

    fn end(self, ending: Ending) -> anyhow::Result<u8> {
        // The socket of that name belongs to the successor.
        let shared = self.is_shared();
        if let Some(control) = self.control.filter(|_| !shared) {
            control.close();
        }
        match ending {
            Ending::Told => Ok(0),
            Ending::Unmounted => bail!("{} was unmounted by another process", self.shown.display()),
        }
    }

    /// Waits for the next event.
    pub(super) fn wait(&self) -> rustix::io::Result<()> {
        let mut fds = vec![PollFd::from_borrowed_fd(
            self.signals.as_fd(),
            PollFlags::IN,
        )];
        let links = self.workers().filter(|worker| !worker.silent);
        let inputs = links.map(|worker| worker.link().as_fd());
        let control = self.control.iter().filter(|_| !self.is_taken());
        let control = control.flat_map(Control::inputs);
        let successor = self.successor.iter().map(Successor::input);
        fds.extend(
            inputs
                .chain(control)
                .chain(successor)
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let timeout = self.next_time().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                // Rounded up, so that it does not wake too early.
                tv_nsec: i64::from(left.subsec_millis() + 1) * 1_000_000 - 1,
            }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = &WorkerProcess> {
        let next = self
            .exchange
            .as_ref()
            .and_then(|exchange| exchange.worker());
        self.current.iter().chain(next).chain(&self.leaving)
    }

    pub(super) fn worker(&mut self, pid: Pid) -> Option<&mut WorkerProcess> {
        let next = self
            .exchange
            .as_mut()
            .and_then(|exchange| exchange.worker_mut());
        self.current
            .iter_mut()
            .chain(next)
            .chain(&mut self.leaving)
            .find(|worker| worker.pid() == pid)
    }

    /// Returns the time of the next timer.
    fn next_time(&self) -> Option<Instant> {
        let deadlines = self.workers().filter_map(WorkerProcess::deadline);
        let well = self.backoff.well().and_then(|well| {
            let served = self.current.as_ref()?.served();
            // Only a serving worker becomes stable.
            (served > Duration::ZERO).then(|| Instant::now() + well.saturating_sub(served))
        });
        let patience = self.control.as_ref().is_some_and(Control::is_busy);
        let patience = patience.then(|| Instant::now() + Duration::from_secs(1));
        // A killed worker is gone soon, or never.
        let going = |worker: &WorkerProcess| worker.is_killed() && !worker.is_beyond_reach();
        let gone = self.leaving.iter().any(going);
        let gone = gone.then(|| Instant::now() + Duration::from_millis(100));
        let repaired = match self.readiness {
            Readiness::Repairing(_, at) => Some(at),
            Readiness::Starting | Readiness::Ready => None,
        };
        deadlines
            .chain(repaired)
            .chain(self.start_at)
            .chain(self.next_look())
            .chain(gone)
            .chain(well)
            .chain(patience)
            .min()
    }

    fn keep_time(&mut self) {
        let now = Instant::now();
        for worker in self.workers() {
            if worker.deadline().is_some_and(|at| at <= now) {
                if !matches!(worker.stage, Stage::Leaving(_)) {
                    log::warn!(
                        "worker {}: not ready in time; killing it (the lines above, or vistafs -v, show what it \
                         was doing)",
                        worker.pid()
                    );
                }
                worker.kill();
            }
        }
        if self.start_at.is_some_and(|at| at <= now) {
            self.start_at = None;
            self.start_next_worker();
        }
        if matches!(self.readiness, Readiness::Repairing(_, at) if at <= now) {
            log::warn!(
                "replacing dead views of running containers takes longer than {} s: reporting READY \
                 before its end",
                REPAIR_LIMIT.as_secs()
            );
            self.ready();
        }
        // Replacements that waited for the exit of a worker.
        self.serve_waiting();
        self.look_for_stuck();
        let served = self
            .current
            .as_ref()
            .map_or(Duration::ZERO, WorkerProcess::served);
        if self.backoff.serves(served) {
            log::info!("{}: workers are stable again", self.shown.display());
        }
    }

    pub(super) fn hear_signals(&mut self) -> anyhow::Result<()> {
        while let Some(info) = self.signals.read_signal().context("cannot read signals")? {
            match i32::try_from(info.ssi_signo).map(Signal::try_from) {
                Ok(Ok(Signal::SIGUSR1)) => self.begin_exchange(None),
                Ok(Ok(Signal::SIGHUP)) => self.reload_wanted = true,
                Ok(Ok(Signal::SIGUSR2)) => self.toggle_passing(),
                Ok(Ok(signal @ (Signal::SIGINT | Signal::SIGTERM))) => {
                    self.begin_end(signal);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn begin_end(&mut self, signal: Signal) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(Ending::Told);
        self.start_at = None;
        self.holder = None;
        tell(&[NotifyState::Stopping]);
        let most = match self.mount.take() {
            Some(mount) if self.stored || self.is_shared() => {
                log::info!(
                    "{signal}: leaving {} mounted for the next supervisor",
                    self.shown.display()
                );
                mount.leave();
                TO_LEAVE
            }
            mount => {
                log::info!("{signal}: unmounting {}", self.shown.display());
                drop(mount);
                TO_END
            }
        };
        if let Some(exchange) = self.exchange.take() {
            self.leaving.extend(exchange.into_worker());
        }
        self.leaving.extend(self.current.take());
        for worker in &mut self.leaving {
            worker.leave(most);
        }
    }

    pub(super) fn hear_workers(&mut self) {
        let pids: Vec<Pid> = self.workers().map(WorkerProcess::pid).collect();
        for pid in pids {
            while let Some(worker) = self.worker(pid).filter(|worker| !worker.silent) {
                match worker.link().hear_now() {
                    Ok(Some(word)) => self.heard(pid, word),
                    Ok(None) => {
                        worker.silent = true;
                        // It can no longer wake the supervisor.
                        self.looks.wake();
                    }
                    Err(rustix::io::Errno::BADMSG) => {}
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(errno) => {
                        log::warn!(
                            "worker {pid}: cannot read its messages: {errno} (vistafs upgrade replaces it)"
                        );
                        worker.silent = true;
                        self.looks.wake();
                    }
                }
            }
        }
    }

    fn heard(&mut self, pid: Pid, word: Word) {
        match word {
            Word::Loading { file } => {
                if let Some(worker) = self.worker(pid) {
                    worker.loading = file;
                }
            }
            Word::Prepared {
                stuck_seconds,
                configuration,
                wakes,
            } => {
                if let Some(worker) = self.worker(pid)
                    && worker.stage == Stage::Preparing
                {
                    worker.stage = Stage::Prepared;
                    worker.configuration = configuration;
                    worker.wakes = wakes;
                    worker.stuck_after =
                        (stuck_seconds > 0).then(|| Duration::from_secs(stuck_seconds));
                    self.prepared(pid);
                }
            }
            Word::Answered { reply, generation } => {
                if let Some(worker) = self.worker(pid) {
                    worker.generation = generation;
                }
                if !self.state.answered {
                    if let Some(init) = self.state.init.take() {
                        self.state.resends = Some(fuse_init::offers_resend(&init));
                        self.state.init = Some(fuse_init::agreed(&init, &reply));
                    }
                    self.state.answered = true;
                    self.save();
                }
            }
            Word::Ready => {
                if let Some(worker) = self.worker(pid)
                    && worker.stage == Stage::Starting
                {
                    worker.stage = Stage::Serving(Instant::now());
                    self.serves(pid);
                }
            }
            Word::Asked => self.looks.wake(),
            Word::Failed { why } => {
                if let Some(worker) = self.worker(pid) {
                    worker.failure = Some(why);
                }
            }
            // Its exit follows and is handled there.
            Word::Unmounted | Word::Unknown => {}
        }
    }

    /// Reaps ended children.
    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(status) => {
                    if let Some(pid) = status.pid() {
                        // Read its last messages first.
                        self.hear_workers();
                        self.ended(pid, status);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    log::warn!(
                        "cannot wait for workers: {errno} (restart the service: systemctl restart vistafs)"
                    );
                    return;
                }
            }
        }
    }

    /// Opens the control socket. Without it the mount is still served.
    pub(super) fn listen(&mut self) {
        let Some(mount) = &self.mount else {
            return;
        };
        match Control::listen(mount.mount_point()) {
            Ok(control) => self.control = Some(control),
            Err(error) => log::warn!(
                "{}; commands cannot reach this vistafs until it is restarted",
                in_one_line(&error)
            ),
        }
    }

    /// Saves the state for the next program.
    pub(super) fn save(&mut self) {
        if let Err(error) = self.state_file.write(&self.state) {
            log::error!(
                "cannot save the state for the next supervisor: {}",
                in_one_line(&error)
            );
        }
    }
}
