//! The registration of a view: name, path, sources.

use std::fmt;
use std::sync::Arc;

use vistafs_cgroup::{Hierarchies, Version};

use crate::{OptionSpec, Options, TreeView, View};

/// Source of a view's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A cgroup controller by its v1 name (`memory`, `cpuacct`, ...).
    Controller(&'static str),
    /// The container's processes.
    Processes,
    /// The host's own file: a host that lacks it has no such view.
    Host,
    /// The cgroup hierarchies themselves.
    Hierarchies,
}

impl Source {
    /// Description for this host: `memory v1`, `cpu v2`, `processes`, `host`, `hierarchies`, `blkio
    /// -`.
    #[must_use]
    pub fn on(self, hierarchies: &Hierarchies) -> String {
        match self {
            Self::Processes => "processes".to_owned(),
            Self::Host => "host".to_owned(),
            Self::Hierarchies => "hierarchies".to_owned(),
            Self::Controller(name) => match hierarchies.version_of(name) {
                Some(Version::V1) => format!("{name} v1"),
                Some(Version::V2) => format!("{name} v2"),
                None => format!("{name} -"),
            },
        }
    }
}

/// The result of building a view.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Provider {
    /// One file.
    File(Arc<dyn View>),
    /// A directory and all below it.
    Tree(Arc<dyn TreeView>),
}

/// The registration of a view.
pub struct ViewSpec {
    /// Its name: the cargo feature, the key in the configuration. Lower case, `-` inside.
    pub name: &'static str,
    /// Path below the mount, and below `/` on the host: `proc/meminfo`.
    pub path: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Permission bits of the host's file; a tree decides for each node.
    pub mode: u16,
    /// Whether it is enabled by default.
    pub on_by_default: bool,
    /// The sources of its values.
    pub sources: &'static [Source],
    /// Its options.
    pub options: &'static [OptionSpec],
    /// Makes the view, once, at start.
    pub build: fn(&Options) -> Provider,
}

impl fmt::Debug for ViewSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewSpec")
            .field("name", &self.name)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

inventory::collect!(ViewSpec);
