//! The supervisor: the process that keeps the mount while its workers come and go.
//!
//! It opens /dev/fuse, mounts, and then only starts and replaces workers. It has one thread, never reads a file of the
//! mount, and never blocks: the loop in `run.rs` handles every event. Its state is in `state.rs`, so that another
//! program can continue.
//!
//! | file | owns |
//! |---|---|
//! | `start.rs` | the start of a supervisor: a new mount, from the store, or from another supervisor |
//! | `run.rs` | the event loop: signals, timers, messages of workers |
//! | `workers.rs` | starts workers, orders them to serve, handles their exits |
//! | `answers.rs` | the answers to commands |
//! | `exchange.rs` | replaces the running program |
//! | `worker_process.rs` | one worker process |
//! | `backoff.rs` | the delay before the next worker |
//! | `program.rs` | the program file |
//! | `state.rs` | the persistent state |
//! | `stuck.rs` | replaces workers with stuck requests |
//! | `progress.rs` | whether the thread that serves a request makes progress |
//! | `suspects.rs` | views that were in service at each crash |
//! | `succession.rs` | hands the mount over to another supervisor |
//! | `store.rs` | the service manager's descriptor store |
//! | `pid_file.rs` | the pid file and its lock |
//! | `link.rs` | the messages between supervisor and worker |
//! | `fuse_init.rs` | the kernel's FUSE_INIT, and resent requests |
//! | `fuse_mount.rs` | /dev/fuse, mounting and unmounting |
//! | `hold.rs` | the process that holds shared files open against leases |
//! | `inherited.rs` | descriptors across exec(2) |
//! | `plugins.rs` | plugins that end workers |
//! | `error_text.rs` | an error in one line, with a hint |
//! | `control.rs`, `question.rs` | the control socket, and the questions of commands |

mod answers;
mod backoff;
mod control;
pub mod error_text;
mod exchange;
pub mod fuse_init;
pub mod fuse_mount;
pub mod hold;
pub mod inherited;
pub mod link;
mod pid_file;
pub mod plugins;
mod program;
mod progress;
pub mod question;
mod run;
mod start;
mod state;
mod store;
mod stuck;
mod succession;
mod suspects;
mod worker_process;
mod workers;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use sd_notify::NotifyState;
use vistafs_handover::Handover;

use crate::fuse_mount::FuseMount;
use backoff::Backoff;
use control::Control;
use exchange::Exchange;
use pid_file::PidFile;
use program::Program;
use state::{State, StateFile};
use succession::{Predecessor, Successor};
use worker_process::WorkerProcess;

pub use start::{MountOptions, supervise};

/// Passes the process ID and the descriptor of the state to the next program at exec(2).
const RESUME: &str = "VISTAFS_RESUME";

/// Variables for the supervisor only; its children do not inherit them.
const FOR_US: [&str; 5] = [
    RESUME,
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// The resources of a supervisor.
#[derive(Debug)]
struct Supervisor {
    /// The mount point as given on the command line.
    shown: PathBuf,
    /// General options, passed to workers.
    options: Vec<OsString>,
    /// SIGTERM leaves the mount to the next supervisor.
    stored: bool,
    /// Repair dead views of running containers at start.
    repairs: bool,
    mount: Option<FuseMount>,
    device: OwnedFd,
    state: State,
    state_file: StateFile,
    /// When this program started to supervise, in seconds since 1970.
    started: u64,
    /// The memory shared by workers. Without it, no state outlives a worker.
    handover: Option<Arc<Handover>>,
    program: Program,
    /// Removed at the end.
    pid_file: Option<PidFile>,
    signals: SignalFd,
    /// The pipe to the process that holds shared files open.
    holder: Option<OwnedFd>,
    control: Option<Control>,
    current: Option<WorkerProcess>,
    leaving: Vec<WorkerProcess>,
    exchange: Option<Exchange>,
    /// It took the mount over from a running supervisor if there was one, and stays after handing it over.
    hands_over: bool,
    /// The supervisor that takes the mount over.
    successor: Option<Successor>,
    /// The supervisor that handed the mount over, until this one serves.
    predecessor: Option<Predecessor>,
    backoff: Backoff,
    start_at: Option<Instant>,
    /// A worker has died since the last one began to serve.
    lost_requests: bool,
    looks: stuck::Looks,
    progress: progress::Progress,
    readiness: Readiness,
    /// The next worker reads the configuration file, instead of using the current text.
    reads_anew: bool,
    /// A signal requested a reload of the configuration.
    reload_wanted: bool,
    ending: Option<Ending>,
}

/// The readiness reported to the service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    /// Nothing serves yet.
    Starting,
    /// Dead views of running containers are being replaced by this process, until the deadline.
    Repairing(Pid, Instant),
    /// READY=1 was sent.
    Ready,
}

/// The reason to exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// A signal or a command.
    Told,
    /// The mount has ended.
    Unmounted,
}

/// Notifies systemd, if there is one.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("cannot notify systemd: {error} (the unit needs NotifyAccess=main)");
    }
}
