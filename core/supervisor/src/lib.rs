//! The supervisor: the process that the mount outlives its workers by.
//!
//! It opens /dev/fuse and mounts, and from then on only starts workers and replaces them. It has one
//! thread, never reads a file of the mount, and waits for nobody: everything comes to the loop in
//! `run.rs`. What it knows is in [`state::State`], so that another program can take its place.
//!
//! | file | owns |
//! |---|---|
//! | `start.rs` | how a supervisor begins: anew, from the store, or in the place of another program |
//! | `run.rs` | the loop: signals, time, what workers say |
//! | `workers.rs` | when workers are started, get their word, and have ended |
//! | `answers.rs` | what commands are answered |
//! | `exchange.rs` | starting another program in the place of the running one |
//! | `worker_process.rs` | one worker |
//! | `backoff.rs` | how soon the next worker is started |
//! | `program.rs` | the program file |
//! | `state.rs` | what is known, as a text |
//! | `stuck.rs` | workers that have a request for too long |
//! | `progress.rs` | whether the thread that serves a request makes progress |
//! | `suspects.rs` | views that were served at every crash |
//! | `succession.rs` | giving the mount to another supervisor |
//! | `store.rs` | the service manager's store of descriptors |
//! | `pid_file.rs` | the file with the process number, and its lock |
//! | `link.rs` | the messages between supervisor and worker |
//! | `fuse_init.rs` | the kernel's FUSE_INIT, and resent requests |
//! | `fuse_mount.rs` | /dev/fuse, mounting and unmounting |
//! | `hold.rs` | the process that holds shared files open against leases |
//! | `inherited.rs` | descriptors across exec(2) |
//! | `plugins.rs` | plugins that end workers |
//! | `error_text.rs` | an error in one line, with a hint |
//! | `control.rs`, `question.rs` | the socket that commands ask by, and what they ask |

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

/// Number of the process and of the descriptor of a state that was handed over at exec(2).
const RESUME: &str = "VISTAFS_RESUME";

/// Variables that are said to the supervisor alone.
const FOR_US: [&str; 5] = [
    RESUME,
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// All that it holds.
#[derive(Debug)]
struct Supervisor {
    /// As it was asked for.
    shown: PathBuf,
    /// Options of every command, for workers.
    options: Vec<OsString>,
    /// SIGTERM leaves the mount to the next supervisor.
    stored: bool,
    /// Dead views of running containers are brought back at the start.
    repairs: bool,
    mount: Option<FuseMount>,
    device: OwnedFd,
    state: State,
    state_file: StateFile,
    /// When this program started to supervise, in seconds since 1970.
    started: u64,
    /// What one worker leaves to the next; without it they do as well as they can.
    handover: Option<Arc<Handover>>,
    program: Program,
    /// Removed at the end.
    pid_file: Option<PidFile>,
    signals: SignalFd,
    /// Of the process that holds shared files open.
    holder: Option<OwnedFd>,
    control: Option<Control>,
    current: Option<WorkerProcess>,
    leaving: Vec<WorkerProcess>,
    exchange: Option<Exchange>,
    /// It asks who serves the mount to hand it over, and does not end when it has handed it over.
    hands_over: bool,
    /// Who takes the mount over.
    successor: Option<Successor>,
    /// Who has given it, until we serve.
    predecessor: Option<Predecessor>,
    backoff: Backoff,
    start_at: Option<Instant>,
    /// A worker has died since one has begun to answer.
    lost_requests: bool,
    looks: stuck::Looks,
    progress: progress::Progress,
    readiness: Readiness,
    /// The next worker reads the configuration, whatever the one before went by.
    reads_anew: bool,
    /// A signal asked for the configuration to be read anew.
    reload_wanted: bool,
    ending: Option<Ending>,
}

/// What the service manager knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    /// Nothing serves yet.
    Starting,
    /// Dead views of running containers are being replaced by this process, until the deadline.
    Repairing(Pid, Instant),
    /// READY=1 was sent.
    Ready,
}

/// Why it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It was told to.
    Told,
    /// The mount is gone.
    Unmounted,
}

/// Tells systemd, if it is there.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("cannot notify systemd: {error} (the unit needs NotifyAccess=main)");
    }
}
