//! The source of the values: a container or the host.

use std::sync::Arc;

use vistafs_cgroup::Hierarchies;
use vistafs_container::Container;
use vistafs_host::Host;
use vistafs_text::CpuSet;
use vistafs_text::cpuinfo::Numbering;
use vistafs_view::{Context, Request, ViewError};

/// The source of the values of one reading.
pub(crate) enum Scene<'a, 'b> {
    /// A container.
    Inside(&'a mut Context<'b>),
    /// The host.
    Outside(&'a Host, &'a Arc<Hierarchies>),
}

impl<'a> Scene<'a, '_> {
    /// For a caller on the host.
    pub(crate) fn of_host(request: &'a Request<'_>) -> Self {
        Self::Outside(request.host(), request.hierarchies())
    }

    pub(crate) fn host(&self) -> &Host {
        match self {
            Self::Inside(cx) => cx.host(),
            Self::Outside(host, _) => host,
        }
    }

    /// `None`: the host.
    pub(crate) fn container(&self) -> Option<&Container> {
        match self {
            Self::Inside(cx) => Some(cx.container()),
            Self::Outside(..) => None,
        }
    }

    /// The visible CPUs and their numbering.
    pub(crate) fn cpus(&mut self) -> Result<(CpuSet, Numbering), ViewError> {
        match self {
            Self::Inside(cx) => Ok((cx.visible_cpus()?, cx.numbering())),
            Self::Outside(host, _) => Ok((host.online_cpus()?, Numbering::Physical)),
        }
    }
}
