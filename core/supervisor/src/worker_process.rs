//! A worker process, as the supervisor sees it.

use std::cell::Cell;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use vistafs_host::{Inherited, spawn};

use super::program::Program;
use super::run::TO_SERVE;
use super::state::{HandedWorker, seconds};
use crate::inherited::{self, KeptOpen};
use crate::link::{Link, Order};
use crate::plugins::PluginFile;

/// The state of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It prepares itself.
    Preparing,
    /// It waits for the order to serve.
    Prepared,
    /// It was ordered to serve.
    Starting,
    /// It serves, since this instant.
    Serving(Instant),
    /// It was ordered to leave, and is killed at this instant.
    Leaving(Instant),
}

/// A worker process.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    pid: Pid,
    link: Link,
    since: u64,
    /// Its state.
    pub(crate) stage: Stage,
    /// The text of its configuration.
    pub(crate) configuration: Option<String>,
    /// The plugin that it is loading.
    pub(crate) loading: Option<PluginFile>,
    /// The failure that it reported.
    pub(crate) failure: Option<String>,
    /// Its generation in the shared memory; 0: unknown.
    pub(crate) generation: u32,
    /// Maximum age of a request without progress.
    pub(crate) stuck_after: Option<Duration>,
    /// Whether it wakes a sleeping supervisor at its next request.
    pub(crate) wakes: bool,
    /// It has closed its end of the link.
    pub(crate) silent: bool,
    // Deadline for its start.
    deadline: Instant,
    killed: Cell<Option<Instant>>,
}

/// Starts the process that replaces dead views of running containers, and returns its ID. The
/// supervisor cannot do it: a process that uses the mount must not serve it.
pub(crate) fn start_repair(
    program: &Program,
    options: &[OsString],
    mount_point: &Path,
) -> anyhow::Result<Pid> {
    let mut command = Command::new(program.held());
    command
        .arg0("vistafs")
        .args(options)
        .arg("repair")
        .arg("--at-start")
        .arg("--mount")
        .arg(mount_point)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    for variable in super::FOR_US {
        command.env_remove(variable);
    }
    let inherited = Inherited {
        lives_on: true,
        ..Inherited::default()
    };
    // The supervisor waits for all of its children.
    let child = spawn(command, inherited).context("cannot start vistafs repair")?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}

/// The variable for glibc's tunables; other C libraries ignore it.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Tunables of a worker, so that the memory of ended containers can be released.
const SETTINGS: [&str; 3] = [
    // No per-thread caches of freed memory, which would keep pages in use. Frequent reads do not
    // allocate.
    "glibc.malloc.tcache_count=0",
    // One heap for all threads. Of other heaps, of which glibc creates up to eight per CPU, only the end can be
    // released, and per-container threads would use any of them.
    "glibc.malloc.arena_max=1",
    // No cached stacks of ended threads: there are threads for single containers.
    "glibc.pthread.stack_cache_size=0",
];

/// Returns the tunables that were set already, and those of [`SETTINGS`] that were not.
fn tunables(given: Option<OsString>) -> OsString {
    let mut tunables = given.unwrap_or_default();
    let said = tunables.to_string_lossy().into_owned();
    for setting in SETTINGS {
        let name = setting.split_once('=').map_or(setting, |(name, _)| name);
        if said.contains(name) {
            continue;
        }
        if !tunables.is_empty() {
            tunables.push(":");
        }
        tunables.push(setting);
    }
    tunables
}

impl WorkerProcess {
    /// Starts a worker, which then prepares itself.
    pub(crate) fn start(
        program: &Program,
        options: &[OsString],
        page_cache: bool,
        (device, handover): (&OwnedFd, Option<BorrowedFd<'_>>),
        prepare: &Order,
    ) -> anyhow::Result<Self> {
        let (ours, theirs) = Link::pair().context("cannot make a pair of sockets")?;
        ours.say(prepare).context("cannot speak to a new worker")?;
        let mut command = Command::new(program.held());
        command
            .arg0("vistafs")
            .args(options)
            .arg("worker")
            .arg("--device")
            .arg(device.as_raw_fd().to_string())
            .arg("--link")
            .arg(theirs.as_fd().as_raw_fd().to_string())
            .stdin(Stdio::null());
        if page_cache {
            // A program that does not support it does not know the option, and exits.
            command.arg("--page-cache");
        }
        if let Some(handover) = handover {
            command
                .arg("--handover")
                .arg(handover.as_raw_fd().to_string());
        }
        // The supervisor's variables are not for the worker.
        for variable in super::FOR_US {
            command.env_remove(variable);
        }
        command.env(TUNABLES, tunables(std::env::var_os(TUNABLES)));
        let given: Vec<_> = [device.as_fd(), theirs.as_fd()]
            .into_iter()
            .chain(handover)
            .collect();
        let inherited = Inherited {
            descriptors: &given,
            // A killed supervisor does not end it: readers continue to be served.
            lives_on: true,
            ..Inherited::default()
        };
        let child = spawn(command, inherited)
            .with_context(|| format!("cannot start {}", program.path().display()))?;
        let pid = i32::try_from(child.id()).context("a process number")?;
        // The supervisor waits for all children, by process ID.
        drop(child);
        Ok(Self {
            pid: Pid::from_raw(pid),
            link: ours,
            since: seconds(),
            stage: Stage::Preparing,
            configuration: None,
            loading: None,
            failure: None,
            generation: 0,
            stuck_after: None,
            wakes: false,
            silent: false,
            deadline: Instant::now() + TO_SERVE,
            killed: Cell::new(None),
        })
    }

    /// Continues with a worker that the previous program in this process started.
    pub(crate) fn again(handed: &HandedWorker) -> anyhow::Result<Self> {
        Ok(Self {
            pid: Pid::from_raw(handed.pid),
            link: Link::new(inherited::take(handed.link)?),
            since: handed.since,
            stage: Stage::Serving(Instant::now()),
            configuration: None,
            loading: None,
            failure: None,
            generation: handed.generation,
            stuck_after: (handed.stuck_seconds > 0)
                .then(|| Duration::from_secs(handed.stuck_seconds)),
            wakes: handed.wakes,
            silent: false,
            deadline: Instant::now(),
            killed: Cell::new(None),
        })
    }

    /// Passes it to the next program.
    pub(crate) fn hand<'w>(&'w self, kept: &mut KeptOpen<'w>) -> rustix::io::Result<HandedWorker> {
        Ok(HandedWorker {
            pid: self.pid.as_raw(),
            link: kept.keep(self.link.as_fd())?,
            since: self.since,
            generation: self.generation,
            stuck_seconds: self.stuck_after.map_or(0, |after| after.as_secs()),
            wakes: self.wakes,
        })
    }

    /// Returns its process ID.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns when it was started, in seconds since 1970.
    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// Returns the link to it.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Returns when it must be killed unless its state changes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            _ if self.is_killed() => None,
            Stage::Serving(_) => None,
            Stage::Leaving(at) => Some(at),
            Stage::Preparing | Stage::Prepared | Stage::Starting => Some(self.deadline),
        }
    }

    /// Returns how long it has served.
    pub(crate) fn served(&self) -> Duration {
        match self.stage {
            Stage::Serving(since) => since.elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// Orders it to serve.
    pub(crate) fn serve(&mut self, init: Vec<u8>, redo: bool) {
        self.stage = Stage::Starting;
        // A worker that does not read has exited, which is noticed later.
        if let Err(errno) = self.link.say(&Order::Serve { init, redo }) {
            log::debug!("worker {}: {errno}", self.pid);
        }
    }

    /// Orders it to finish its requests and exit, within this time.
    pub(crate) fn leave(&mut self, most: Duration) {
        if matches!(self.stage, Stage::Leaving(_)) {
            return;
        }
        self.stage = Stage::Leaving(Instant::now() + most);
        if self.link.say(&Order::Leave).is_err() {
            self.kill();
        }
    }

    /// Returns whether it was killed and still exists.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.get().is_some()
    }

    /// Returns whether SIGKILL has had no effect: it hangs in the kernel.
    pub(crate) fn is_beyond_reach(&self) -> bool {
        const SOON: Duration = Duration::from_secs(1);
        self.killed.get().is_some_and(|at| at.elapsed() >= SOON)
    }

    /// Kills it. It is an unreaped child, so the process ID is not reused.
    pub(crate) fn kill(&self) {
        self.killed.set(Some(Instant::now()));
        if let Err(errno) = kill(self.pid, Signal::SIGKILL) {
            log::warn!(
                "cannot kill worker {}: {errno} (the unit needs CAP_KILL)",
                self.pid
            );
        }
    }
}

/// Describes an exit status.
pub(crate) fn in_words(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("ended with status {code}"),
        WaitStatus::Signaled(_, signal, true) => format!("killed by {signal}, core dumped"),
        WaitStatus::Signaled(_, signal, false) => format!("killed by {signal}"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sets_the_allocator_himself_is_not_overruled() {
        let with = |given: &str| tunables(Some(given.into()));
        let ours = |leaves_out: &str| {
            let ours = SETTINGS
                .into_iter()
                .filter(|ours| !ours.starts_with(leaves_out));
            ours.collect::<Vec<_>>().join(":")
        };
        assert_eq!(tunables(None), ours("none").as_str());
        for given in ["glibc.malloc.tcache_count=7", "glibc.malloc.arena_max=4"] {
            let name = given.split('=').next().unwrap();
            assert_eq!(with(given), format!("{given}:{}", ours(name)).as_str());
        }
        assert_eq!(with(&ours("none")), ours("none").as_str());
    }
}
