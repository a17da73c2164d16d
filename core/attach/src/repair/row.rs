//! The report of `vistafs repair`.

use serde::{Deserialize, Serialize};

use crate::namespaces::{self, MountNamespace};
use crate::work::Report;

/// The result for a dead mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It shows the container's values again.
    Repaired,
    /// It could be repaired (`--dry-run`).
    Dead,
    /// It was left as it is.
    Left,
}

/// One mount, or the reason why a namespace was not searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The cgroup path of a process of the namespace.
    pub container: String,
    /// A process in the namespace.
    pub pid: u32,
    /// Inode number of the mount namespace.
    pub namespace: u64,
    /// The mount point, from the root of the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The path of the view below the mount of vistafs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shows: Option<String>,
    /// The result.
    pub outcome: Outcome,
    /// Why it was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Report for Row {
    fn of_namespace(namespace: &MountNamespace, why: String) -> Self {
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

    fn named(self) -> Self {
        Self {
            container: namespaces::container_of(self.pid),
            ..self
        }
    }
}
