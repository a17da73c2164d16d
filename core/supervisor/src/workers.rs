//! Starts workers, orders them to serve, and handles their exits.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use sd_notify::NotifyState;

use super::run::{REPAIR_LIMIT, TO_LEAVE};
use super::start::is_closed;
use super::stuck::served;
use super::suspects::is_crash;
use super::worker_process::{Stage, WorkerProcess, in_words, start_repair};
use super::{Ending, Readiness, Supervisor, tell};
use crate::error_text::in_one_line;
use crate::fuse_init;
use crate::hold;
use crate::link::{Order, UNANSWERED};

impl Supervisor {
    pub(super) fn serve_waiting(&mut self) {
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

    /// Orders a prepared worker to serve, unless it must wait for the exit of another: if the kernel does not
    /// resend requests, two workers must not serve at once.
    pub(super) fn prepared(&mut self, pid: Pid) {
        let Some(init) = self.state.init.clone() else {
            // The first worker, before the mount exists.
            return;
        };
        let alone = self.state.resends == Some(false);
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

    /// Handles a worker that has begun to serve.
    pub(super) fn serves(&mut self, pid: Pid) {
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
        if let Some(predecessor) = self.predecessor.take() {
            predecessor.release();
        }
        self.hold_files();
        self.lost_requests = false;
        // Its requests were not checked yet.
        self.looks.wake();
        if let Some(configuration) = self.worker(pid).and_then(|one| one.configuration.take()) {
            self.state.configuration = Some(configuration);
            self.save();
        }
        if self.readiness == Readiness::Starting {
            log::info!("serving at {}", self.shown.display());
            match self.repair() {
                Some(pid) => {
                    self.readiness = Readiness::Repairing(pid, Instant::now() + REPAIR_LIMIT);
                }
                None => self.ready(),
            }
        }
    }

    /// Enables or disables passthrough.
    pub(super) fn toggle_passing(&mut self) {
        let passing = !self.state.passing;
        self.state.passing = passing;
        self.save();
        for worker in self.workers() {
            // A worker that does not read has exited; the next one gets the value at its start.
            if let Err(errno) = worker.link().say(&Order::Pass { passing }) {
                log::debug!("worker {}: {errno}", worker.pid());
            }
        }
        // The words of lxcfs, which scripts look for.
        let mode = if passing {
            "non-virtualization"
        } else {
            "virtualization"
        };
        log::info!("Switched into {mode} mode");
    }

    /// Starts the process that holds shared files open against leases, for the files of the serving worker.
    pub(super) fn hold_files(&mut self) {
        let Some(mount) = self.mount.as_ref().filter(|_| !self.state.page_cache) else {
            return;
        };
        let heard = self
            .holder
            .as_ref()
            .map(|holder| rustix::io::write(holder, b"."));
        if let Some(Ok(_) | Err(rustix::io::Errno::AGAIN)) = heard {
            return;
        }
        match hold::start(&self.program.held(), mount.mount_point()) {
            Ok(holder) => self.holder = Some(holder),
            Err(error) => log::warn!(
                "{}; containers can delay who opens a shared file that is written to (set \
                 fs.leases-enable=0, or bind from DIR/self)",
                in_one_line(&error)
            ),
        }
    }

    /// Reports READY to the service manager.
    pub(super) fn ready(&mut self) {
        self.readiness = Readiness::Ready;
        tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
    }

    /// Starts to replace dead views of running containers.
    fn repair(&self) -> Option<Pid> {
        let mount = self.mount.as_ref().filter(|_| self.repairs)?;
        let started = start_repair(&self.program, &self.options, mount.mount_point());
        let failed = |error| {
            log::warn!(
                "dead views of running containers are not repaired: {} (vistafs repair does it)",
                in_one_line(&error)
            );
        };
        started.map_err(failed).ok()
    }

    pub(super) fn ended(&mut self, pid: Pid, status: WaitStatus) {
        if matches!(self.readiness, Readiness::Repairing(repair, _) if repair == pid) {
            self.ready();
            return;
        }
        let is = |worker: &WorkerProcess| worker.pid() == pid;
        if let Some(at) = self.leaving.iter().position(is) {
            self.leaving.swap_remove(at);
            if !matches!(status, WaitStatus::Exited(_, 0)) {
                self.lost_requests = true;
                self.resend();
            }
        } else if let Some(next) = self
            .exchange
            .as_ref()
            .and_then(|exchange| exchange.worker())
            && is(next)
        {
            if next.stage == Stage::Starting {
                // It may have read requests.
                self.resend();
            }
            self.exchange_failed(status);
        } else if let Some(worker) = self.current.take_if(|worker| worker.pid() == pid) {
            self.lost(&worker, status);
        }
    }

    /// Handles the exit of the serving worker without an order.
    fn lost(&mut self, worker: &WorkerProcess, status: WaitStatus) {
        let pid = worker.pid();
        if self.ending.is_some() {
            return;
        }
        if is_closed(&self.device) {
            self.ending = Some(Ending::Unmounted);
            // An aborted connection must be unmounted; an unmounted one is gone.
            match self.mount.take() {
                Some(mount) if mount.is_there() => drop(mount),
                Some(mount) => mount.leave(),
                None => {}
            }
            return;
        }
        let why = worker.failure.clone().unwrap_or_else(|| in_words(status));
        self.state.ended(pid.as_raw(), why.clone());
        // By another process.
        let told_to_leave =
            matches!(status, WaitStatus::Exited(_, code) if code == i32::from(UNANSWERED));
        let crashed = is_crash(status) && !told_to_leave;
        if !self.leave_out(worker, status) && crashed && worker.generation > 0 {
            self.suspect(served(self.in_flight(worker.generation)));
        }
        self.lost_requests = true;
        self.save();
        let wait = self.backoff.ended(worker.served());
        match self.backoff.bad() {
            0 | 1 => log::warn!("worker {pid}: {why}; starting a new one"),
            2 => log::warn!(
                "worker {pid}: {why}; workers keep exiting; retrying with backoff, at most every 5 s (vistafs \
                 status lists the causes)"
            ),
            _ => log::debug!("worker {pid}: {why}"),
        }
        self.resend();
        if self.exchange.as_ref().is_some_and(|e| e.worker().is_some()) {
            // The next worker is starting already.
        } else if wait.is_zero() {
            self.start_next_worker();
        } else {
            self.start_at = Some(Instant::now() + wait);
        }
    }

    /// Makes the kernel resend the unanswered requests of a dead worker, if it can.
    ///
    /// Only after the end of a worker: a request that is still served would be served twice, and a
    /// second READ at offset 0 replaces the contents that its reader goes on with.
    pub(super) fn resend(&mut self) {
        // Until FUSE_INIT is answered it is the only request, and its ID must not change.
        if !self.state.answered || self.state.resends == Some(false) {
            return;
        }
        match fuse_init::resend(&self.device) {
            Ok(()) => self.state.resends = Some(true),
            Err(rustix::io::Errno::INVAL) => self.state.resends = Some(false),
            Err(errno) => log::warn!("the kernel cannot resend requests: {errno}"),
        }
    }

    /// Starts a worker; if that fails, retries later.
    pub(super) fn start_next_worker(&mut self) {
        if self.current.is_some() || self.ending.is_some() || self.is_taken() {
            return;
        }
        match self.start_worker() {
            Ok(worker) => self.current = Some(worker),
            Err(error) => {
                let wait = self.backoff.ended(Duration::ZERO);
                if self.backoff.bad() <= 2 {
                    log::error!("{}; trying again", in_one_line(&error));
                }
                self.start_at = Some(Instant::now() + wait.max(Duration::from_millis(10)));
            }
        }
    }

    pub(super) fn start_worker(&mut self) -> anyhow::Result<WorkerProcess> {
        // A replacement uses the same text: changes made to the file since then may be unfinished or
        // wrong.
        let configuration = if std::mem::take(&mut self.reads_anew) {
            None
        } else {
            self.state.configuration.clone()
        };
        let prepare = self.prepare(configuration);
        let handover = self.handover.as_ref().map(|memory| memory.as_fd());
        WorkerProcess::start(
            &self.program,
            &self.options,
            self.state.page_cache,
            (&self.device, handover),
            &prepare,
        )
    }

    /// Returns the first message for a worker; without a configuration text it reads the file.
    pub(super) fn prepare(&mut self, configuration: Option<String>) -> Order {
        self.state.generation += 1;
        self.save();
        Order::Prepare {
            generation: self.state.generation,
            put_aside: self.state.put_aside.clone(),
            quarantined: self.state.quarantined.clone(),
            left_out: self.state.left_out.clone(),
            supervision: Some(self.supervision()),
            configuration,
            passing: self.state.passing,
        }
    }

    /// Starts the first worker and waits until it is prepared, before there are other events.
    pub(super) fn first_worker(&mut self) -> anyhow::Result<Pid> {
        // Each failure disables a plugin.
        loop {
            let worker = self.start_worker()?;
            let pid = worker.pid();
            if self.await_prepared(worker)? {
                return Ok(pid);
            }
        }
    }

    /// Returns whether it is prepared, or a new worker may be.
    fn await_prepared(&mut self, worker: WorkerProcess) -> anyhow::Result<bool> {
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
                return Ok(true);
            }
            if let Some(why) = &worker.failure {
                bail!("{why}");
            }
            let late = deadline.is_some_and(|at| at <= Instant::now());
            match waitpid(pid, Some(WaitPidFlag::WNOHANG)).context("cannot wait")? {
                WaitStatus::StillAlive if !late => {}
                WaitStatus::StillAlive if worker.loading.is_some() => worker.kill(),
                WaitStatus::StillAlive => bail!("the worker was not ready in time"),
                status => {
                    // Read its last messages first.
                    self.hear_workers();
                    let worker = self.current.take();
                    if worker
                        .as_ref()
                        .is_some_and(|one| self.leave_out(one, status))
                    {
                        return Ok(false);
                    }
                    let why = worker.and_then(|worker| worker.failure);
                    bail!(
                        "{}",
                        why.unwrap_or_else(|| format!("the worker {}", in_words(status)))
                    );
                }
            }
        }
    }

    /// Orders the first worker to serve.
    pub(super) fn serve_prepared(&mut self) {
        if let (Some(worker), Some(init)) = (&mut self.current, &self.state.init) {
            worker.serve(init.clone(), false);
        }
    }
}
