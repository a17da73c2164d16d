//! Replaces the running program.
//!
//! First, a worker of the new program starts; when it serves, the old worker exits. Then the supervisor executes the new
//! program in its own process with execve(2), which keeps descriptors and children. If the new program does not start or
//! its worker does not serve, nothing changes.

use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use anyhow::Context as _;
use nix::sys::wait::WaitStatus;
use serde_json::json;

use super::control::Asker;
use super::pid_file::PidFile;
use super::program::Program;
use super::state::Handed;
use super::worker_process::{Stage, WorkerProcess, in_words};
use super::{FOR_US, RESUME, Readiness, Supervisor};
use crate::error_text::in_one_line;
use crate::inherited::KeptOpen;

/// A replacement in progress.
#[derive(Debug)]
pub(super) struct Exchange {
    program: Program,
    // `None` once it serves.
    worker: Option<WorkerProcess>,
    asker: Option<Asker>,
    kind: Kind,
}

/// The kind of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Supervisor and worker, by the installed program.
    Upgrade,
    /// The worker only, which then serves a view that was disabled.
    Restart,
    /// The worker only, which reloads the configuration.
    Reload,
}

impl Exchange {
    /// Returns the new worker until it serves.
    pub(super) fn worker(&self) -> Option<&WorkerProcess> {
        self.worker.as_ref()
    }

    /// Returns the new worker for changes.
    pub(super) fn worker_mut(&mut self) -> Option<&mut WorkerProcess> {
        self.worker.as_mut()
    }

    /// Takes the new worker, which serves now.
    pub(super) fn take_worker(&mut self) -> Option<WorkerProcess> {
        self.worker.take()
    }

    /// Ends the replacement, and returns the new worker.
    pub(super) fn into_worker(self) -> Option<WorkerProcess> {
        self.worker
    }
}

impl Supervisor {
    /// Starts a worker of the installed program.
    pub(super) fn begin_exchange(&mut self, asker: Option<Asker>) {
        let program = self.program.installed();
        self.begin(program, asker, Kind::Upgrade);
    }

    /// Starts a new worker of the running program.
    pub(super) fn begin_restart(&mut self, asker: Asker) {
        let program = self.program.same();
        self.begin(program, Some(asker), Kind::Restart);
    }

    /// Starts a new worker of the running program, which reloads the configuration.
    pub(super) fn begin_reload(&mut self, asker: Option<Asker>) {
        let program = self.program.same();
        self.begin(program, asker, Kind::Reload);
    }

    /// Starts the replacement that a signal requested, as soon as a worker serves.
    pub(super) fn reload_when_due(&mut self) {
        let serves = |worker: &WorkerProcess| matches!(worker.stage, Stage::Serving(_));
        let is_due = self.reload_wanted
            && self.ending.is_none()
            && self.exchange.is_none()
            && self.successor.is_none()
            && self.current.as_ref().is_some_and(serves);
        if is_due {
            self.reload_wanted = false;
            self.begin_reload(None);
        }
    }

    fn begin(&mut self, program: anyhow::Result<Program>, asker: Option<Asker>, kind: Kind) {
        if self.ending.is_some() || self.exchange.is_some() || self.successor.is_some() {
            let why = "another exchange or the end is under way";
            self.answer(asker, &json!({ "error": why }));
            return;
        }
        let configuration = match kind {
            Kind::Restart => self.state.configuration.clone(),
            Kind::Upgrade | Kind::Reload => None,
        };
        let prepare = self.prepare(configuration);
        let started = program.and_then(|program| {
            let handover = self.handover.as_ref().map(|memory| memory.as_fd());
            let given = (&self.device, handover);
            let worker = WorkerProcess::start(
                &program,
                &self.options,
                self.state.page_cache,
                given,
                &prepare,
            )?;
            Ok((program, worker))
        });
        match started {
            Ok((program, worker)) => {
                self.exchange = Some(Exchange {
                    program,
                    worker: Some(worker),
                    asker,
                    kind,
                });
            }
            Err(error) => self.not_exchanged(asker, kind, &format!("{error:#}")),
        }
    }

    /// Handles the exit of the new worker before it served.
    pub(super) fn exchange_failed(&mut self, status: WaitStatus) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        if let Some(worker) = &exchange.worker
            && self.leave_out(worker, status)
        {
            // Without that plugin it may be able to serve.
            self.begin(Ok(exchange.program), exchange.asker, exchange.kind);
            return;
        }
        let said = exchange.worker.and_then(|worker| worker.failure);
        let why = said.unwrap_or_else(|| format!("its worker was {}", in_words(status)));
        self.not_exchanged(exchange.asker, exchange.kind, &why);
        self.start_next_worker();
    }

    fn not_exchanged(&mut self, asker: Option<Asker>, kind: Kind, why: &str) {
        let why = match kind {
            Kind::Reload => format!("not reloaded: {why}; the configuration is unchanged"),
            Kind::Upgrade | Kind::Restart => {
                let path = self.program.path().display();
                format!("{path} cannot take over: {why}; the running version keeps serving")
            }
        };
        if asker.is_some() {
            log::warn!("{why}");
        } else {
            log::error!("{why}");
        }
        self.answer(asker, &json!({ "error": why }));
    }

    /// Executes the new program in this process, once its worker serves and no other worker is left.
    pub(super) fn exchange_when_due(&mut self) {
        let is_due = self.ending.is_none()
            && self.leaving.iter().all(WorkerProcess::is_beyond_reach)
            && self.exchange.as_ref().is_some_and(|e| e.worker.is_none());
        if !is_due {
            return;
        }
        // If it has crashed meanwhile, wait for the next one: the state contains the serving worker.
        let serves = |worker: &WorkerProcess| matches!(worker.stage, Stage::Serving(_));
        if !self.current.as_ref().is_some_and(serves) {
            return;
        }
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        let asker = exchange.asker;
        if exchange.kind != Kind::Upgrade {
            if exchange.kind == Kind::Reload {
                log::info!("the new configuration is in effect");
            }
            let pid = self.current.as_ref().map(|worker| worker.pid().as_raw());
            self.answer(asker, &json!({ "worker": pid }));
            return;
        }
        let Err(error) = self.execute(&exchange.program, asker);
        log::error!(
            "the supervisor was not replaced: {} (the worker was; systemctl restart vistafs replaces the \
             supervisor, too)",
            in_one_line(&error)
        );
        self.state.handed = None;
        self.save();
        // Later workers run the new program all the same.
        self.program = exchange.program;
        let why = format!("the worker was replaced, the supervisor was not: {error:#}");
        self.answer(asker, &json!({ "error": why }));
    }

    fn execute(
        &mut self,
        program: &Program,
        asker: Option<Asker>,
    ) -> anyhow::Result<std::convert::Infallible> {
        if self.readiness != Readiness::Ready {
            // The new program does not know whether READY was reported.
            self.ready();
        }
        // On any failure below they are closed on exec again, so no later child inherits them.
        let mut kept = KeptOpen::default();
        let worker = self.current.as_ref().context("no worker serves")?;
        let worker = worker.hand(&mut kept)?;
        let control = self.control.as_ref();
        let (control, waiting) =
            control.map_or(Ok((None, None)), |control| control.hand(asker, &mut kept))?;
        let memory = self.handover.as_ref().map(|memory| memory.as_fd());
        let pid_file = self.pid_file.as_ref().map(PidFile::as_fd);
        let holder = self.holder.as_ref().map(|holder| holder.as_fd());
        self.state.handed = Some(Handed {
            program: program.path().into(),
            device: kept.keep(self.device.as_fd())?,
            worker,
            handover: memory.map(|memory| kept.keep(memory)).transpose()?,
            control,
            waiting,
            reload: self.reload_wanted,
            pid_file: pid_file.map(|file| kept.keep(file)).transpose()?,
            holder: holder.map(|holder| kept.keep(holder)).transpose()?,
        });
        self.state_file.write(&self.state)?;
        let number = kept.keep(self.state_file.as_fd())?;
        let resume = format!("{RESUME}={}:{number}", std::process::id());
        let text = |bytes: OsString| CString::new(bytes.into_vec()).context("an argument");
        let arguments: Vec<CString> = std::env::args_os().map(text).collect::<Result<_, _>>()?;
        // The service manager's socket is inherited; its stored descriptors were taken already.
        let kept =
            |name: &OsString| name == "NOTIFY_SOCKET" || FOR_US.iter().all(|ours| name != ours);
        let mut environment: Vec<CString> = std::env::vars_os()
            .filter(|(name, _)| kept(name))
            .map(|(mut name, value)| {
                name.push("=");
                name.push(value);
                text(name)
            })
            .collect::<Result<_, _>>()?;
        environment.push(text(resume.into())?);
        let held = path(&program.held())?;
        let failure = nix::unistd::execve(&held, &arguments, &environment);
        failure.with_context(|| format!("cannot execute {}", program.path().display()))
    }

    /// Reports the end of the upgrade, in the new program.
    pub(super) fn exchanged(&mut self, asker: Option<Asker>) {
        let version = env!("CARGO_PKG_VERSION");
        log::info!("supervisor and worker now run vistafs {version}");
        let pid = self.current.as_ref().map(|worker| worker.pid().as_raw());
        self.answer(asker, &json!({ "version": version, "worker": pid }));
    }
}

fn path(path: &Path) -> anyhow::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).context("a path")
}
