//! v2 io controller, `cgroup-v2.rst`, "IO Interface Files".
//!
//! `io.stat` counts a cgroup and its descendants, removed ones included.

use std::sync::Arc;

use vistafs_host::{Dir, FileSpec, HostError, KeptFiles};
use vistafs_text::io_stat;

use crate::DeviceIo;

/// The files of one cgroup.
#[derive(Debug)]
pub(crate) struct Files(KeptFiles<1>);

static FILES: [FileSpec; 1] = [FileSpec::whole("io.stat")];

impl Files {
    pub(crate) fn new(dir: &Arc<Dir>) -> Self {
        Self(KeptFiles::new(dir, &FILES))
    }

    pub(crate) fn usage(
        &self,
        devices: &mut Vec<DeviceIo>,
        text: &mut Vec<u8>,
    ) -> Result<bool, HostError> {
        let stat = self.0.at(0);
        if !stat.read(text)? {
            return Ok(false);
        }
        for device in io_stat::devices(text) {
            let (device, done) = device.map_err(|e| HostError::malformed(&stat.path(), e))?;
            devices.push(DeviceIo { device, done });
        }
        Ok(true)
    }
}
