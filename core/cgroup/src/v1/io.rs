//! v1 blkio controller, `blkio-controller.rst`.
//!
//! Two policies count, each in its own files:
//! - `blkio.throttle.*` counts I/O that passes through it. On newer kernels it counts none until
//!   the first limit for the device is set, in any cgroup; ancestors lose a cgroup's counts when it
//!   is removed.
//! - `blkio.bfq.*` counts the I/O of devices with the scheduler bfq.
//!
//! Where both count a device they count the same I/O, so the larger count is right. `_recursive`
//! files include descendants; kernels before 5.0 lack them for throttle.

use std::sync::Arc;

use vistafs_host::{Dir, FileSpec, HostError, KeptFiles, Shape};
use vistafs_text::blkio::{self, Kind};
use vistafs_text::{Device, IoCounts};

use crate::DeviceIo;

/// Files of one policy: bytes and I/Os with descendants, then without.
type PolicyFiles = [FileSpec; 4];

/// Index of the first file that includes descendants, and of the first that does not.
const RECURSIVE: usize = 0;
const OWN: usize = 2;

static THROTTLE: PolicyFiles = [
    FileSpec::new("blkio.throttle.io_service_bytes_recursive", Shape::Records),
    FileSpec::new("blkio.throttle.io_serviced_recursive", Shape::Records),
    FileSpec::new("blkio.throttle.io_service_bytes", Shape::Records),
    FileSpec::new("blkio.throttle.io_serviced", Shape::Records),
];

static BFQ: PolicyFiles = [
    FileSpec::new("blkio.bfq.io_service_bytes_recursive", Shape::Records),
    FileSpec::new("blkio.bfq.io_serviced_recursive", Shape::Records),
    FileSpec::new("blkio.bfq.io_service_bytes", Shape::Records),
    FileSpec::new("blkio.bfq.io_serviced", Shape::Records),
];

/// The files of one cgroup.
#[derive(Debug)]
pub(crate) struct Files {
    throttle: Policy,
    bfq: Policy,
}

impl Files {
    pub(crate) fn new(dir: &Arc<Dir>) -> Self {
        Self {
            throttle: Policy(KeptFiles::new(dir, &THROTTLE)),
            bfq: Policy(KeptFiles::new(dir, &BFQ)),
        }
    }

    pub(crate) fn usage(
        &self,
        devices: &mut Vec<DeviceIo>,
        text: &mut Vec<u8>,
    ) -> Result<bool, HostError> {
        let throttle = self.throttle.usage(devices, text)?;
        // Appended, until each is compared with the entry of the other policy.
        let first = devices.len();
        let bfq = self.bfq.usage(devices, text)?;
        let mut kept = first;
        for at in first..devices.len() {
            let other = devices[at];
            let mut of_throttle = devices[..first].iter_mut();
            match of_throttle.find(|known| known.device == other.device) {
                Some(known) if bytes(&other.done) > bytes(&known.done) => known.done = other.done,
                Some(_) => {}
                None => {
                    devices[kept] = other;
                    kept += 1;
                }
            }
        }
        devices.truncate(kept);
        Ok(throttle || bfq)
    }
}

#[derive(Debug)]
struct Policy(KeptFiles<4>);

impl Policy {
    fn usage(&self, devices: &mut Vec<DeviceIo>, text: &mut Vec<u8>) -> Result<bool, HostError> {
        // Counts of the other policy stay unchanged.
        let begin = devices.len();
        Ok(self.counted(RECURSIVE, devices, begin, text)?
            || self.counted(OWN, devices, begin, text)?)
    }

    fn counted(
        &self,
        first: usize,
        devices: &mut Vec<DeviceIo>,
        begin: usize,
        text: &mut Vec<u8>,
    ) -> Result<bool, HostError> {
        let (bytes_file, ios_file) = (self.0.at(first), self.0.at(first + 1));
        if !bytes_file.read(text)? {
            return Ok(false);
        }
        for counter in blkio::counters(text) {
            let (device, kind, bytes) =
                counter.map_err(|e| HostError::malformed(&bytes_file.path(), e))?;
            let done = &mut entry(devices, begin, device).done;
            match kind {
                Kind::Read => done.read_bytes = bytes,
                Kind::Write => done.write_bytes = bytes,
                Kind::Discard => done.discard_bytes = bytes,
            }
        }
        ios_file.read_required(text)?;
        for counter in blkio::counters(text) {
            let (device, kind, ios) =
                counter.map_err(|e| HostError::malformed(&ios_file.path(), e))?;
            let done = &mut entry(devices, begin, device).done;
            match kind {
                Kind::Read => done.reads = ios,
                Kind::Write => done.writes = ios,
                Kind::Discard => done.discards = ios,
            }
        }
        Ok(true)
    }
}

fn bytes(done: &IoCounts) -> u64 {
    done.read_bytes
        .saturating_add(done.write_bytes)
        .saturating_add(done.discard_bytes)
}

/// The entry of a device from `first` on, added if missing.
fn entry(devices: &mut Vec<DeviceIo>, first: usize, device: Device) -> &mut DeviceIo {
    let mut of_policy = devices.iter().skip(first);
    let at = of_policy.position(|known| known.device == device);
    let at = at.map(|at| first + at).unwrap_or_else(|| {
        devices.push(DeviceIo {
            device,
            done: IoCounts::default(),
        });
        devices.len() - 1
    });
    &mut devices[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minor number, reads and bytes read.
    type Read = (u32, u64, u64);

    fn reads(files: &[(&str, &str)]) -> Result<Option<Vec<Read>>, HostError> {
        let tmp = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(tmp.path().join(format!("blkio.{name}")), text).unwrap();
        }
        let files = Files::new(&Arc::new(Dir::open(tmp.path()).unwrap()));
        let mut devices = Vec::new();
        let counted = files.usage(&mut devices, &mut Vec::new())?;
        let found = devices
            .iter()
            .map(|io| (io.device.minor, io.done.reads, io.done.read_bytes));
        Ok(counted.then(|| found.collect()))
    }

    #[test]
    fn the_policy_that_saw_more_of_a_device_counts() {
        let files = [
            (
                "throttle.io_service_bytes_recursive",
                "7:0 Read 10\n7:1 Read 50\nTotal 60\n",
            ),
            (
                "throttle.io_serviced_recursive",
                "7:0 Read 1\n7:1 Read 5\nTotal 6\n",
            ),
            (
                "bfq.io_service_bytes_recursive",
                "7:0 Read 40\n7:1 Read 20\n7:2 Read 8\nTotal 68\n",
            ),
            (
                "bfq.io_serviced_recursive",
                "7:0 Read 4\n7:1 Read 2\n7:2 Read 3\nTotal 9\n",
            ),
        ];
        let found = reads(&files).unwrap();
        assert_eq!(found, Some(vec![(0, 4, 40), (1, 5, 50), (2, 3, 8)]));
    }

    #[test]
    fn counters_of_the_cgroup_itself_stand_in() {
        let files = [
            ("throttle.io_service_bytes", "7:0 Read 10\n"),
            ("throttle.io_serviced", "7:0 Read 1\n"),
        ];
        assert_eq!(reads(&files).unwrap(), Some(vec![(0, 1, 10)]));
    }

    #[test]
    fn nothing_is_made_up() {
        assert_eq!(reads(&[]).unwrap(), None);
        assert!(reads(&[("throttle.io_service_bytes", "7:0 Read 10\n")]).is_err());
        let bad = [
            ("throttle.io_service_bytes", "7:0 Read 10\n"),
            ("throttle.io_serviced", "7:0 Read many\n"),
        ];
        assert!(reads(&bad).is_err());
    }
}
