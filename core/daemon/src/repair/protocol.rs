//! What `vistafs repair` and its worker tell each other: a line of JSON for each.

use serde::{Deserialize, Serialize};

use super::namespaces::MountNamespace;

/// A namespace to be repaired.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// Its inode number.
    pub(super) inode: u64,
    /// Processes that were in it.
    pub(super) pids: Vec<u32>,
    /// Devices of file systems that have not answered before.
    pub(super) silent: Vec<String>,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Event {
    /// It is about to ask the file system of this device.
    Asks(String),
    /// The file system has answered.
    Answered,
    /// About one mount.
    Row(Row),
    /// It is through with the namespace; or could not do it, and why.
    End(Option<String>),
}

/// What has become of a dead mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It shows the container's truth again.
    Repaired,
    /// It could be repaired (`--dry-run`).
    Dead,
    /// It is as it was.
    Left,
}

/// One mount, or what kept us from looking for any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Where a process of the namespace is among the cgroups.
    pub(crate) container: String,
    /// A process in the namespace.
    pub(crate) pid: u32,
    /// Inode number of the mount namespace.
    pub(crate) namespace: u64,
    /// Where the mount is, from the root of the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// What is mounted there, as a path below the mount of vistafs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shows: Option<String>,
    pub(crate) outcome: Outcome,
    /// Why it was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

impl Row {
    /// A namespace that could not be repaired.
    pub(super) fn of_namespace(namespace: &MountNamespace, why: String) -> Self {
        Self {
            container: namespace.container(),
            pid: namespace.pids.first().copied().unwrap_or_default(),
            namespace: namespace.inode,
            path: None,
            shows: None,
            outcome: Outcome::Left,
            why: Some(why),
        }
    }
}

/// Bytes of a path for people: nothing in it moves a cursor or begins a line.
pub(super) fn shown(path: &[u8]) -> String {
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
