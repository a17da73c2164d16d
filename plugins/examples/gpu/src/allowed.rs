//! Which GPUs a container may use.

use std::path::Path;

use vistafs_cgroup::Version;
use vistafs_host::HostError;
use vistafs_plugin_sdk::view::{Errno, Request, ViewError};

use crate::devices_list::DevicesList;
use crate::gpus::{Device, Gpu};
use crate::rules::Rules;

/// The configuration for kernels that do not report the allowed devices.
#[derive(Debug, Default)]
pub(crate) struct Otherwise {
    pub(crate) rules: Rules,
    /// Whether a container of which nothing is known is shown all.
    pub(crate) shows_unknown: bool,
}

/// The permissions of one caller.
#[derive(Debug)]
pub(crate) enum Allowed {
    /// The caller is on the host, or in an unrestricted cgroup.
    All,
    /// Listed by the kernel.
    Listed(DevicesList),
    /// Configured for the cgroup of that path.
    Configured(String),
}

const FILE: &str = "devices.list";

impl Allowed {
    /// # Errors
    /// When the container's list cannot be read or understood.
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, ViewError> {
        let Some(container) = request.container() else {
            return Ok(Self::All);
        };
        let cgroup = container.cgroups().of(request.hierarchies(), "devices");
        let Some(cgroup) = cgroup.filter(|cgroup| cgroup.version() == Version::V1) else {
            let path = container.path().to_string_lossy().into_owned();
            return Ok(Self::Configured(path));
        };
        if cgroup.is_root() {
            return Ok(Self::All);
        }
        let path = cgroup.own().path().join(FILE);
        let mut text = Vec::new();
        cgroup
            .own()
            .read(Path::new(FILE), &mut text)
            .map_err(|errno| HostError::from_errno(errno, &path))?;
        let list = DevicesList::parse(&String::from_utf8_lossy(&text));
        let list = list.ok_or_else(|| ViewError::Fault {
            errno: Errno::IO,
            why: format!("{}: not what the kernel documents", path.display()),
        })?;
        Ok(Self::Listed(list))
    }

    /// The nodes of a GPU that the caller may use; without any, the GPU is hidden.
    pub(crate) fn nodes<'g>(
        &self,
        gpu: &'g Gpu,
        otherwise: &Otherwise,
    ) -> Vec<&'g (Device, String)> {
        let all = gpu.nodes.iter();
        match self {
            Self::All => all.collect(),
            Self::Listed(list) => all.filter(|(device, _)| list.allows(*device)).collect(),
            Self::Configured(cgroup) => {
                let allowed = otherwise.rules.allow(cgroup, &gpu.name);
                let allowed = allowed.unwrap_or(otherwise.shows_unknown);
                all.filter(|_| allowed).collect()
            }
        }
    }
}
