//! Plugins that end workers while they are loaded.
//!
//! A worker reports each file before it loads it, and the report is read even after the worker has died. So the
//! faulty file is known at the first crash: it is not loaded any more, and everything else serves.
//! It is loaded again when it was replaced or changed.

use std::fmt;

use nix::sys::wait::WaitStatus;
use serde::{Deserialize, Serialize};

use super::Supervisor;
use super::suspects::is_crash;
use super::worker_process::{WorkerProcess, in_words};

/// A plugin's file in a certain version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginFile {
    /// Its path.
    pub path: String,
    /// Changes when the file is replaced or changed.
    pub mark: String,
}

/// A plugin that is not loaded while its file is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The file.
    pub file: PluginFile,
    /// The cause, for `vistafs views`.
    pub why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = &self.why;
        write!(
            f,
            "not loaded: {why} (replace or remove the file, then vistafs reload)"
        )
    }
}

impl Supervisor {
    /// Handles the exit of a worker. Returns whether it was loading a plugin, which is now disabled.
    pub(super) fn leave_out(&mut self, worker: &WorkerProcess, status: WaitStatus) -> bool {
        // A worker that the supervisor has killed was too slow.
        let is_its_fault = is_crash(status) || worker.is_killed();
        let Some(file) = worker.loading.clone().filter(|_| is_its_fault) else {
            return false;
        };
        let why = if worker.is_killed() {
            "loading it took too long".to_owned()
        } else {
            format!("a worker that was loading it {}", ended(status))
        };
        let left_out = LeftOut { file, why };
        log::error!("plugin {}: {left_out}", left_out.file.path);
        let all = &mut self.state.left_out;
        all.retain(|one| one.file.path != left_out.file.path);
        all.push(left_out);
        self.save();
        true
    }
}

fn ended(status: WaitStatus) -> String {
    let words = in_words(status);
    match status {
        WaitStatus::Signaled(..) => format!("was {words}"),
        _ => words,
    }
}
