//! Block I/O of a cgroup by device, on either version.

use std::sync::Arc;

use vistafs_host::HostError;
use vistafs_text::{Device, IoCounts};

use crate::{Cgroup, Version, v1, v2};

/// I/O of a cgroup and its descendants on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceIo {
    /// The device; a whole disk, never a partition.
    pub device: Device,
    /// Bytes and I/Os.
    pub done: IoCounts,
}

/// The I/O files of a cgroup.
#[derive(Debug)]
pub struct Io {
    cgroup: Arc<Cgroup>,
    files: Files,
}

#[derive(Debug)]
enum Files {
    // Boxed: eight files; v2 has one.
    V1(Box<v1::io::Files>),
    V2(v2::io::Files),
}

impl Io {
    /// Names the files and opens none.
    #[must_use]
    pub fn new(cgroup: &Arc<Cgroup>) -> Self {
        Self {
            files: match cgroup.version() {
                Version::V1 => Files::V1(Box::new(v1::io::Files::new(cgroup.own()))),
                Version::V2 => Files::V2(v2::io::Files::new(cgroup.own())),
            },
            cgroup: Arc::clone(cgroup),
        }
    }

    /// Replaces `devices` with those that the kernel has counters for. `false`: the kernel counts
    /// no I/O of this cgroup because the controller is not enabled for it.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed, or the cgroup has been removed.
    pub fn usage(
        &self,
        devices: &mut Vec<DeviceIo>,
        text: &mut Vec<u8>,
    ) -> Result<bool, HostError> {
        devices.clear();
        let counted = match &self.files {
            Files::V1(files) => files.usage(devices, text)?,
            Files::V2(files) => files.usage(devices, text)?,
        };
        if !counted {
            self.cgroup.ensure_alive()?;
        }
        Ok(counted)
    }
}
