//! Starting another program in the place of the running one.
//!
//! First a worker of it: only when that one serves, the one before leaves. Then the supervisor gives
//! its process to the new program with execve(2), which keeps descriptors and children. A program
//! that does not start, or whose worker does not come to serve, changes nothing.

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

/// An exchange that is under way.
#[derive(Debug)]
pub(super) struct Exchange {
    program: Program,
    // Until it serves.
    worker: Option<WorkerProcess>,
    asker: Option<Asker>,
    kind: Kind,
}

/// What is exchanged, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Supervisor and worker, for the program that is installed now.
    Upgrade,
    /// The worker alone, which serves what the one before did not.
    Restart,
    /// The worker alone, which reads the configuration anew.
    Reload,
}

impl Exchange {
    /// The next worker, until it serves.
    pub(super) fn worker(&self) -> Option<&WorkerProcess> {
        self.worker.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn worker_mut(&mut self) -> Option<&mut WorkerProcess> {
        self.worker.as_mut()
    }

    /// The next worker, which serves now.
    pub(super) fn take_worker(&mut self) -> Option<WorkerProcess> {
        self.worker.take()
    }

    /// It is broken off.
    pub(super) fn into_worker(self) -> Option<WorkerProcess> {
        self.worker
    }
}

impl Supervisor {
    /// Starts a worker of the program that is installed now.
    pub(super) fn begin_exchange(&mut self, asker: Option<Asker>) {
        let program = self.program.installed();
        self.begin(program, asker, Kind::Upgrade);
    }

    /// Starts another worker of the running program.
    pub(super) fn begin_restart(&mut self, asker: Asker) {
        let program = self.program.same();
        self.begin(program, Some(asker), Kind::Restart);
    }

    /// Starts another worker of the running program, which reads the configuration anew.
    pub(super) fn begin_reload(&mut self, asker: Option<Asker>) {
        let program = self.program.same();
        self.begin(program, asker, Kind::Reload);
    }

    /// What a signal has asked for, as soon as somebody serves whose place can be taken.
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

    /// The next worker has ended before it served.
    pub(super) fn exchange_failed(&mut self, status: WaitStatus) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        if let Some(worker) = &exchange.worker
            && self.leave_out(worker, status)
        {
            // Without that plugin it may come to serve.
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

    /// Gives this process to the new program, when its worker serves and no other is left.
    pub(super) fn exchange_when_due(&mut self) {
        let is_due = self.ending.is_none()
            && self.leaving.iter().all(WorkerProcess::is_beyond_reach)
            && self.exchange.as_ref().is_some_and(|e| e.worker.is_none());
        if !is_due {
            return;
        }
        // One that has crashed meanwhile must be up again: the state holds a worker that serves.
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
        // Its workers are of the new program from now on all the same.
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
            // The next program does not know whether it was reported.
            self.ready();
        }
        // Whatever fails below, they are not open in programs that are started later.
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
        // The socket of the service manager is still ours; what it had stored is taken.
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

    /// This is the new program.
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
