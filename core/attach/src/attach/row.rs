//! The report of `vistafs attach` and `vistafs detach`.

use serde::{Deserialize, Serialize};

use crate::namespaces::{self, MountNamespace};
use crate::work::Report;

/// The result for one view in one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The view was placed.
    Attached,
    /// The view was there already.
    Present,
    /// The view was removed.
    Detached,
    /// The view would be placed or removed (`--dry-run`).
    Possible,
    /// Nothing was changed, for the reason given.
    Left,
    /// The container has ended.
    Gone,
}

/// One view in one mount namespace; or, without a path, the whole namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The longest path that a process of the namespace has among the cgroups.
    pub container: String,
    /// A process in the namespace.
    pub pid: u32,
    /// Inode number of the mount namespace.
    pub namespace: u64,
    /// The path of the view in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The result.
    pub outcome: Outcome,
    /// Why nothing was changed.
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
