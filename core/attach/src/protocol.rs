//! The messages between a command and its worker: a line of JSON each.

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Result};

/// A job: a namespace.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Its inode number.
    pub(crate) inode: u64,
    /// Processes that were in it.
    pub(crate) pids: Vec<u32>,
    /// Devices of file systems that did not answer before.
    pub(crate) silent: Vec<String>,
    /// The paths of the views, for `vistafs attach` and `detach`.
    #[serde(default)]
    pub(crate) views: Vec<String>,
}

/// A message of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Event<R> {
    /// It is about to access the file system of this device.
    Asks(String),
    /// The file system has answered.
    Answered,
    /// The report about one mount.
    Row(R),
    /// It has finished the namespace, or failed for this reason.
    End(Option<String>),
}

/// Sends a message from a worker to its parent.
pub(crate) fn tell<R: Serialize>(event: &Event<R>) -> Result<()> {
    let line = serde_json::to_string(event).context("cannot write a report")? + "\n";
    let mut out = std::io::stdout().lock();
    let told = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    told.context("the parent of this worker is gone")
}

/// Escapes the bytes of a path, so that it cannot move the cursor or begin a line.
pub(crate) fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.chars()
        .map(|c| match c {
            c if c.is_control() => c.escape_default().to_string(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_stay_on_their_line() {
        assert_eq!(shown(b"/proc/meminfo"), "/proc/meminfo");
        assert_eq!(
            shown("/a b/\n\u{1b}[2J\u{e9}".as_bytes()),
            "/a b/\\n\\u{1b}[2J\u{e9}"
        );
        assert_eq!(shown(b"/\xff"), "/\u{fffd}");
    }
}
