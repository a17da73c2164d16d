//! The loop: signals, what workers say, when they end.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sd_notify::NotifyState;
use serde_json::{Value, json};

use super::control::{Asker, Control};
use super::question::Question;
use super::start::is_closed;
use super::suspects::is_crash;
use super::worker_process::{Stage, WorkerProcess, in_words};
use super::{Ending, Supervisor, tell};
use crate::adopt;
use crate::link::{Order, Word};

/// How long a worker may take from its start until it answers.
pub(super) const TO_SERVE: Duration = Duration::from_secs(60);
/// How long it may take to finish what it has begun.
const TO_LEAVE: Duration = Duration::from_secs(5);
/// The same when nobody needs what it has begun.
const TO_END: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Keeps the mount served until the end; the exit status.
    pub(super) fn run(mut self) -> anyhow::Result<u8> {
        loop {
            self.keep_time();
            self.exchange_when_due();
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
            self.hear_questions();
        }
    }

    fn end(self, ending: Ending) -> anyhow::Result<u8> {
        if let Some(control) = self.control {
            control.close();
        }
        match ending {
            Ending::Told => Ok(0),
            Ending::Unmounted => bail!("{} was unmounted by somebody else", self.shown.display()),
        }
    }

    /// Waits for whatever comes next.
    fn wait(&self) -> rustix::io::Result<()> {
        let mut fds = vec![PollFd::from_borrowed_fd(
            self.signals.as_fd(),
            PollFlags::IN,
        )];
        let links = self.workers().filter(|worker| !worker.silent);
        let inputs = links.map(|worker| worker.link().as_fd());
        let control = self.control.iter().flat_map(Control::inputs);
        fds.extend(
            inputs
                .chain(control)
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let timeout = self.next_time().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                // Rounded up, not to wake just before.
                tv_nsec: i64::from(left.subsec_millis() + 1) * 1_000_000 - 1,
            }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn workers(&self) -> impl Iterator<Item = &WorkerProcess> {
        let next = self
            .exchange
            .as_ref()
            .and_then(|exchange| exchange.worker());
        self.current.iter().chain(next).chain(&self.leaving)
    }

    fn worker(&mut self, pid: Pid) -> Option<&mut WorkerProcess> {
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

    /// When something is due by itself.
    fn next_time(&self) -> Option<Instant> {
        let deadlines = self.workers().filter_map(WorkerProcess::deadline);
        let well = self.backoff.well().and_then(|well| {
            let served = self.current.as_ref()?.served();
            // Only one that serves can do it well.
            (served > Duration::ZERO).then(|| Instant::now() + well.saturating_sub(served))
        });
        let patience = self.control.as_ref().is_some_and(Control::is_busy);
        let patience = patience.then(|| Instant::now() + Duration::from_secs(1));
        // A worker that was killed is gone soon, or never.
        let going = |worker: &WorkerProcess| worker.is_killed() && !worker.is_beyond_reach();
        let gone = self.leaving.iter().any(going);
        let gone = gone.then(|| Instant::now() + Duration::from_millis(100));
        deadlines
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
                    log::warn!("worker {} does not come to serve: killing it", worker.pid());
                }
                worker.kill();
            }
        }
        if self.start_at.is_some_and(|at| at <= now) {
            self.start_at = None;
            self.start_next_worker();
        }
        // What waits for the end of others.
        self.serve_waiting();
        self.look_for_stuck();
        let served = self
            .current
            .as_ref()
            .map_or(Duration::ZERO, WorkerProcess::served);
        if self.backoff.serves(served) {
            log::info!("serving well again at {}", self.shown.display());
        }
    }

    fn hear_signals(&mut self) -> anyhow::Result<()> {
        while let Some(info) = self.signals.read_signal().context("cannot read signals")? {
            match i32::try_from(info.ssi_signo).map(Signal::try_from) {
                Ok(Ok(Signal::SIGUSR1)) => self.begin_exchange(None),
                Ok(Ok(signal @ (Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP))) => {
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
        tell(&[NotifyState::Stopping]);
        let most = match self.mount.take() {
            Some(mount) if self.stored => {
                log::info!("{signal}: leaving {} to the next", self.shown.display());
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

    fn hear_workers(&mut self) {
        let pids: Vec<Pid> = self.workers().map(WorkerProcess::pid).collect();
        for pid in pids {
            while let Some(worker) = self.worker(pid).filter(|worker| !worker.silent) {
                match worker.link().hear_now() {
                    Ok(Some(word)) => self.heard(pid, word),
                    Ok(None) => worker.silent = true,
                    Err(rustix::io::Errno::BADMSG) => {}
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(errno) => {
                        log::warn!("worker {pid}: {errno}");
                        worker.silent = true;
                    }
                }
            }
        }
    }

    fn heard(&mut self, pid: Pid, word: Word) {
        match word {
            Word::Prepared { stuck_seconds } => {
                if let Some(worker) = self.worker(pid)
                    && worker.stage == Stage::Preparing
                {
                    worker.stage = Stage::Prepared;
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
                    let init = self.state.init.take();
                    self.state.init = init.map(|init| adopt::agreed(&init, &reply));
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
            Word::Failed { why } => {
                if let Some(worker) = self.worker(pid) {
                    worker.failure = Some(why);
                }
            }
            // Its end, which follows, is looked into.
            Word::Unmounted | Word::Unknown => {}
        }
    }

    fn serve_waiting(&mut self) {
        let waits = |worker: &&WorkerProcess| worker.stage == Stage::Prepared;
        let waiting: Vec<Pid> = self
            .workers()
            .filter(waits)
            .map(WorkerProcess::pid)
            .collect();
        for pid in waiting {
            self.prepared(pid);
        }
    }

    /// Gives a worker that is ready its word, unless it has to wait for the end of another: where
    /// the kernel does not send requests again, two may not serve at once.
    fn prepared(&mut self, pid: Pid) {
        let Some(init) = self.state.init.clone() else {
            // The first one, before there is a mount.
            return;
        };
        let alone = self.resends == Some(false);
        if alone && self.current.as_ref().is_some_and(|one| one.pid() != pid) {
            if let Some(mut before) = self.current.take() {
                before.leave(TO_LEAVE);
                self.leaving.push(before);
            }
            return;
        }
        let waits = |worker: &WorkerProcess| !worker.is_beyond_reach();
        if alone && self.leaving.iter().any(waits) {
            return;
        }
        let redo = alone && self.lost_requests;
        if let Some(worker) = self.worker(pid) {
            worker.serve(init, redo);
        }
    }

    /// A worker has begun to answer.
    fn serves(&mut self, pid: Pid) {
        if let Some(exchange) = &mut self.exchange
            && exchange.worker().is_some_and(|next| next.pid() == pid)
        {
            let before = self.current.take();
            self.current = exchange.take_worker();
            log::info!("worker {pid} serves at {}", self.shown.display());
            if let Some(mut before) = before {
                before.leave(TO_LEAVE);
                self.leaving.push(before);
            }
        }
        self.lost_requests = false;
        if self.resends.is_none() {
            // While there is nothing that it could send twice to anybody's harm.
            self.resend();
        }
        if !self.ready_told {
            self.ready_told = true;
            log::info!("serving at {}", self.shown.display());
            tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
        }
    }

    /// Learns which processes have ended.
    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(status) => {
                    if let Some(pid) = status.pid() {
                        // What it said last.
                        self.hear_workers();
                        self.ended(pid, status);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    log::warn!("cannot wait for workers: {errno}");
                    return;
                }
            }
        }
    }

    fn ended(&mut self, pid: Pid, status: WaitStatus) {
        let is = |worker: &WorkerProcess| worker.pid() == pid;
        if let Some(at) = self.leaving.iter().position(is) {
            self.leaving.swap_remove(at);
            if !matches!(status, WaitStatus::Exited(_, 0)) {
                self.lost_requests = true;
                self.resend();
            }
        } else if self
            .exchange
            .as_ref()
            .and_then(|e| e.worker())
            .is_some_and(is)
        {
            self.resend();
            self.exchange_failed(status);
        } else if let Some(worker) = self.current.take_if(|worker| worker.pid() == pid) {
            self.lost(&worker, status);
        }
    }

    /// The worker that serves has ended without being told to.
    fn lost(&mut self, worker: &WorkerProcess, status: WaitStatus) {
        let pid = worker.pid();
        if self.ending.is_some() {
            return;
        }
        if is_closed(&self.device) {
            self.ending = Some(Ending::Unmounted);
            // A connection that was aborted is ours to clear away; one that was unmounted is gone.
            match self.mount.take() {
                Some(mount) if mount.is_there() => drop(mount),
                Some(mount) => mount.leave(),
                None => {}
            }
            return;
        }
        let why = worker.failure.clone().unwrap_or_else(|| in_words(status));
        self.state.ended(pid.as_raw(), why.clone());
        if is_crash(status) && worker.generation > 0 {
            let served = self.in_flight(worker.generation).into_iter();
            self.suspect(served.map(|request| request.view_name).collect());
        }
        self.lost_requests = true;
        self.save();
        let wait = self.backoff.ended(worker.served());
        match self.backoff.bad() {
            0 | 1 => log::warn!("worker {pid}: {why}; starting another"),
            2 => log::warn!(
                "worker {pid}: {why}; workers end again and again, trying on at ever longer \
                 intervals, at last every 5 s"
            ),
            _ => log::debug!("worker {pid}: {why}"),
        }
        self.resend();
        if self.exchange.as_ref().is_some_and(|e| e.worker().is_some()) {
            // The next one is on its way.
        } else if wait.is_zero() {
            self.start_next_worker();
        } else {
            self.start_at = Some(Instant::now() + wait);
        }
    }

    /// Has the kernel send again what a dead worker had read.
    pub(super) fn resend(&mut self) {
        // Before FUSE_INIT is answered there is nothing else, and it has to keep its number.
        if !self.state.answered {
            return;
        }
        match adopt::resend(&self.device) {
            Ok(sent) => self.resends = Some(sent),
            Err(errno) => log::debug!("asking the kernel to send requests again: {errno}"),
        }
    }

    /// Starts a worker; if that cannot be done, tries again later.
    pub(super) fn start_next_worker(&mut self) {
        if self.current.is_some() || self.ending.is_some() {
            return;
        }
        match self.start_worker() {
            Ok(worker) => self.current = Some(worker),
            Err(error) => {
                let wait = self.backoff.ended(Duration::ZERO);
                if self.backoff.bad() <= 2 {
                    log::error!("{error:#}; trying again");
                }
                self.start_at = Some(Instant::now() + wait.max(Duration::from_millis(10)));
            }
        }
    }

    pub(super) fn start_worker(&mut self) -> anyhow::Result<WorkerProcess> {
        let prepare = self.prepare();
        let handover = self.handover.as_ref().map(|memory| memory.as_fd());
        WorkerProcess::start(
            &self.program,
            &self.options,
            &self.device,
            handover,
            &prepare,
        )
    }

    pub(super) fn prepare(&mut self) -> Order {
        self.state.generation += 1;
        self.save();
        Order::Prepare {
            generation: self.state.generation,
            put_aside: self.state.put_aside.clone(),
        }
    }

    /// Waits for the first worker, before there is anything else to wait for.
    pub(super) fn await_prepared(&mut self, worker: WorkerProcess) -> anyhow::Result<()> {
        let pid = worker.pid();
        let deadline = worker.deadline();
        self.current = Some(worker);
        loop {
            self.wait().context("cannot wait")?;
            self.hear_signals()?;
            self.hear_workers();
            let Some(worker) = &self.current else {
                bail!("ended by a signal while it was starting");
            };
            if worker.stage == Stage::Prepared {
                return Ok(());
            }
            if let Some(why) = &worker.failure {
                bail!("{why}");
            }
            let late = deadline.is_some_and(|at| at <= Instant::now());
            match waitpid(pid, Some(WaitPidFlag::WNOHANG)).context("cannot wait")? {
                WaitStatus::StillAlive if !late => {}
                WaitStatus::StillAlive => bail!("the worker does not come to serve"),
                status => {
                    // What it said last.
                    self.hear_workers();
                    let why = self.current.take().and_then(|worker| worker.failure);
                    bail!(
                        "{}",
                        why.unwrap_or_else(|| format!("the worker {}", in_words(status)))
                    );
                }
            }
        }
    }

    /// Gives the first worker its word.
    pub(super) fn serve_prepared(&mut self) {
        if let (Some(worker), Some(init)) = (&mut self.current, &self.state.init) {
            worker.serve(init.clone(), false);
        }
    }

    /// Opens the socket for commands. Without it the mount still serves.
    pub(super) fn listen(&mut self) {
        let Some(mount) = &self.mount else {
            return;
        };
        match Control::listen(mount.mount_point()) {
            Ok(control) => self.control = Some(control),
            Err(error) => log::warn!("{error:#}; commands cannot reach this vistafs"),
        }
    }

    /// Writes down what the next program must know.
    pub(super) fn save(&mut self) {
        if let Err(error) = self.state_file.write(&self.state) {
            log::error!("{error:#}");
        }
    }

    fn hear_questions(&mut self) {
        let Some(control) = &mut self.control else {
            return;
        };
        for (asker, question) in control.questions() {
            match question {
                Question::Status => {
                    let status = self.status();
                    self.answer(Some(asker), &status);
                }
                Question::Upgrade => self.begin_exchange(Some(asker)),
                Question::Restore { view } => self.restore(asker, &view),
                Question::Unknown => {}
            }
        }
    }

    pub(super) fn answer(&mut self, asker: Option<Asker>, answer: &Value) {
        if let (Some(control), Some(asker)) = (&mut self.control, asker) {
            control.answer(asker, answer);
        }
    }

    /// What there is to know, for `vistafs status`.
    fn status(&self) -> Value {
        let worker = self.current.as_ref().map(|worker| {
            json!({
                "pid": worker.pid().as_raw(),
                "since": worker.since(),
                "serving": matches!(worker.stage, Stage::Serving(_)),
            })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "mount_point": self.state.mount_point.to_string_lossy(),
            "supervisor": {
                "pid": std::process::id(),
                "since": self.state.since,
                "program": self.program.path().to_string_lossy(),
            },
            "worker": worker,
            "workers": self.state.generation,
            "restarts": { "count": self.state.crashes, "last": self.state.ends },
            "put_aside": self.state.put_aside,
        })
    }

    fn restore(&mut self, asker: Asker, view: &str) {
        let before = self.state.put_aside.len();
        self.state.put_aside.retain(|one| one.name != view);
        if self.state.put_aside.len() == before {
            let why = format!("view {view} is not put aside");
            self.answer(Some(asker), &json!({ "error": why }));
            return;
        }
        self.save();
        self.begin_restart(asker);
    }
}
