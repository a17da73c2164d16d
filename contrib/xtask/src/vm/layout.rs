//! The cgroup layouts of hosts, and the kernel options that select them.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use super::kernel::Kernel;
use super::{hosts, image};

/// A host: a kernel and the way in which its systemd mounts the cgroup hierarchies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// Every controller in a v1 hierarchy of its own, systemd's own tree as well.
    V1,
    /// The controllers on v1, systemd's own tree on v2.
    Hybrid,
    /// One v2 hierarchy, on the kernel of Debian 12.
    V2,
    /// One v2 hierarchy, on a kernel that no longer has v1 memory and cpuset controllers.
    #[value(name = "v2-6.12")]
    V2On612,
    /// Debian 13 with container hosts (Docker, containerd, Podman, crun, Incus, LXC); one v2 hierarchy.
    Hosts,
}

impl Layout {
    /// The cgroup layouts: the columns of the matrix. The guest with container hosts has separate tests.
    pub(crate) const ALL: [Layout; 4] = [Layout::V1, Layout::Hybrid, Layout::V2, Layout::V2On612];

    /// The name on the command line, in file names and before each line of the guest's output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Layout::V1 => "v1",
            Layout::Hybrid => "hybrid",
            Layout::V2 => "v2",
            Layout::V2On612 => "v2-6.12",
            Layout::Hosts => "hosts",
        }
    }

    /// The memory of a machine in MiB: the container hosts run several daemons at the same time.
    pub(super) fn memory_mib(self) -> u32 {
        match self {
            Layout::Hosts => 3072,
            _ => 1536,
        }
    }

    /// The image of the root file system, built if it does not exist.
    pub(super) fn root(self) -> Result<PathBuf> {
        match self {
            Layout::Hosts => hosts::root(),
            _ => image::root(),
        }
    }

    pub(super) fn kernel(self) -> Kernel {
        match self {
            Layout::V1 | Layout::Hybrid | Layout::V2 => Kernel::Debian12,
            Layout::V2On612 | Layout::Hosts => Kernel::Debian13,
        }
    }

    /// The part of the kernel command line that systemd reads.
    pub(super) fn cmdline(self) -> &'static str {
        match self {
            Layout::V1 => {
                "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
            }
            Layout::Hybrid => {
                "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0"
            }
            Layout::V2 | Layout::V2On612 | Layout::Hosts => "systemd.unified_cgroup_hierarchy=1",
        }
    }
}
