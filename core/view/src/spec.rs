//! The registration of a view: what it is called, where it stands, what it is made from.

use std::fmt;
use std::sync::Arc;

use vistafs_cgroup::{Hierarchies, Version};

use crate::{OptionSpec, Options, TreeView, View};

/// Where a view gets the container's numbers from.
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
    /// How this host provides it: `memory v1`, `cpu v2`, `processes`, `host`, `hierarchies`, `blkio -`.
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

/// What a registration builds.
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
    /// Where it stands below the mount, and below `/` on the host: `proc/meminfo`.
    pub path: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Permission bits, those of the host's file; a tree says for itself what its nodes have.
    pub mode: u16,
    /// Whether it is on when nothing is configured.
    pub on_by_default: bool,
    /// What it is made from.
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
