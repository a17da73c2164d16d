//! A worker, seen from the supervisor.

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

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was started.
    Preparing,
    /// It waits for the word to serve.
    Prepared,
    /// It has that word.
    Starting,
    /// It answers, since then.
    Serving(Instant),
    /// It was told to leave, and is killed then.
    Leaving(Instant),
}

/// A process.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    pid: Pid,
    link: Link,
    since: u64,
    /// How far it has come.
    pub(crate) stage: Stage,
    /// The text of the configuration that it goes by.
    pub(crate) configuration: Option<String>,
    /// The plugin that it is loading.
    pub(crate) loading: Option<PluginFile>,
    /// What it said of its own failure.
    pub(crate) failure: Option<String>,
    /// Its number in the memory that is handed over; 0: unknown.
    pub(crate) generation: u32,
    /// How old a request of it may become.
    pub(crate) stuck_after: Option<Duration>,
    /// Whether it wakes us when it is asked for something.
    pub(crate) wakes: bool,
    /// Its end of the link is closed.
    pub(crate) silent: bool,
    // When it must serve.
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

/// Settings of glibc's, for a program that it starts; other C libraries do not know them.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Those of a worker, so that what ended containers took can be given back.
const SETTINGS: [&str; 3] = [
    // Threads keep no freed memory for themselves: it would keep pages of others. What is read often asks
    // for none.
    "glibc.malloc.tcache_count=0",
    // All threads share one heap. Others, of which there may be eight for each CPU, are not given back beyond
    // their last piece in use, and a thread for a container takes any of them.
    "glibc.malloc.arena_max=1",
    // No stack is kept of a thread that has ended. There are threads for single containers.
    "glibc.pthread.stack_cache_size=0",
];

/// What was given to us, and [`SETTINGS`] of which it says nothing.
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
    /// Starts one, which prepares itself.
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
            // A program that cannot serve it does not know the option, and exits.
            command.arg("--page-cache");
        }
        if let Some(handover) = handover {
            command
                .arg("--handover")
                .arg(handover.as_raw_fd().to_string());
        }
        // What was said to us is not for it.
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
            // Readers are served on when the supervisor is killed.
            lives_on: true,
            ..Inherited::default()
        };
        let child = spawn(command, inherited)
            .with_context(|| format!("cannot start {}", program.path().display()))?;
        let pid = i32::try_from(child.id()).context("a process number")?;
        // It is waited for with all others, by its number.
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

    /// One that the program before us started in this process.
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

    /// For the program after us.
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

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Seconds since 1970.
    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// Where it speaks.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// When it is to be killed unless it has come further.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            _ if self.is_killed() => None,
            Stage::Serving(_) => None,
            Stage::Leaving(at) => Some(at),
            Stage::Preparing | Stage::Prepared | Stage::Starting => Some(self.deadline),
        }
    }

    /// How long it has answered.
    pub(crate) fn served(&self) -> Duration {
        match self.stage {
            Stage::Serving(since) => since.elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// Gives it the word to serve.
    pub(crate) fn serve(&mut self, init: Vec<u8>, redo: bool) {
        self.stage = Stage::Starting;
        // One that does not listen has ended, which we will hear of.
        if let Err(errno) = self.link.say(&Order::Serve { init, redo }) {
            log::debug!("worker {}: {errno}", self.pid);
        }
    }

    /// Lets it finish what it has begun, that long at most.
    pub(crate) fn leave(&mut self, most: Duration) {
        if matches!(self.stage, Stage::Leaving(_)) {
            return;
        }
        self.stage = Stage::Leaving(Instant::now() + most);
        if self.link.say(&Order::Leave).is_err() {
            self.kill();
        }
    }

    /// Whether it was killed by us and is not gone yet.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.get().is_some()
    }

    /// Whether a kill has had no effect: it hangs in the kernel.
    pub(crate) fn is_beyond_reach(&self) -> bool {
        const SOON: Duration = Duration::from_secs(1);
        self.killed.get().is_some_and(|at| at.elapsed() >= SOON)
    }

    /// Ends it. It is a child of ours that was not waited for, so the number is its own.
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

/// The end of a process, in words.
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
