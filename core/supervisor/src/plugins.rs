//! Plugins that end workers while they are loaded.
//!
//! A worker that comes to load a file says so, and what it has said is heard even when it has ended. So
//! it is known which file it was, at the first time; that is left out from then on, and everything else
//! serves. It is loaded again when it is another file, or was changed.

use std::fmt;

use nix::sys::wait::WaitStatus;
use serde::{Deserialize, Serialize};

use super::Supervisor;
use super::suspects::is_crash;
use super::worker_process::{WorkerProcess, in_words};

/// A file of a plugin, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginFile {
    /// Its path.
    pub path: String,
    /// Another one when the file is another, or was changed.
    pub mark: String,
}

/// A file that is not to be loaded as long as it is what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which.
    pub file: PluginFile,
    /// For `vistafs views`.
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
    /// A worker has ended. Whether it was loading a plugin that is left out from now on.
    pub(super) fn leave_out(&mut self, worker: &WorkerProcess, status: WaitStatus) -> bool {
        // One that we have killed was too slow.
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
