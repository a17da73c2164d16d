//! The supervisor's state, as text that outlives the process.
//!
//! It is stored in a memory file ([`SlotFile`]) and written at each change. A supervisor that replaces itself passes the
//! file to the new program; the service manager keeps it for the supervisor that starts after a crash. Later versions of
//! vistafs read this text: fields are added with a default, and never changed or removed. The tests contain the oldest
//! form.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use vistafs_handover::SlotFile;

use super::suspects::Suspects;
use crate::link::{PutAside, Quarantined};
use crate::plugins::LeftOut;

/// The version of the format.
const VERSION: u32 = 1;
/// Maximum number of recorded exits of workers.
const REMEMBERED: usize = 16;

/// Maximum length of a recorded cause, in bytes.
const LONGEST_REASON: usize = 1024;

/// The whole state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    version: u32,
    /// The mount point, without symbolic links.
    pub(crate) mount_point: OsString,
    /// Device number of the mount, once it exists.
    #[serde(default)]
    pub(crate) device: Option<(u32, u32)>,
    /// When it was mounted, in seconds since 1970.
    #[serde(default)]
    pub(crate) since: u64,
    /// The kernel's FUSE_INIT request.
    #[serde(default)]
    pub(crate) init: Option<Vec<u8>>,
    /// Whether FUSE_INIT was answered; `init` then offers only the negotiated features.
    #[serde(default)]
    pub(crate) answered: bool,
    /// Whether the kernel can resend the requests of a dead worker; `None`: an earlier version has
    /// mounted, and did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resends: Option<bool>,
    /// Number of workers started.
    #[serde(default)]
    pub(crate) generation: u64,
    /// Number of workers that exited without an order.
    #[serde(default)]
    pub(crate) crashes: u64,
    /// The last of these exits.
    #[serde(default)]
    pub(crate) ends: Vec<End>,
    /// Number of these exits by cause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Views that are disabled for all containers.
    #[serde(default)]
    pub(crate) put_aside: Vec<PutAside>,
    /// Views that are disabled for single containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) quarantined: Vec<Quarantined>,
    /// Plugins that are not loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<LeftOut>,
    /// The text of the configuration in effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) configuration: Option<String>,
    /// Whether passthrough is enabled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) passing: bool,
    /// Whether it is a mount of the page-cache tree.
    #[serde(default, alias = "hot", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) page_cache: bool,
    /// The requests in service at the last crashes.
    #[serde(default)]
    pub(crate) suspects: Suspects,
    /// The resources that a supervisor passes to the program that replaces it.
    #[serde(default)]
    pub(crate) handed: Option<Handed>,
}

/// An exit of a worker without an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// Process ID.
    pub(crate) pid: i32,
    /// The cause.
    pub(crate) why: String,
}

/// Open descriptors and running processes, passed to the new program in the same process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handed {
    /// Path of the program.
    pub(crate) program: OsString,
    /// The /dev/fuse descriptor.
    pub(crate) device: RawFd,
    /// The serving worker.
    pub(crate) worker: HandedWorker,
    /// The shared memory of workers.
    #[serde(default)]
    pub(crate) handover: Option<RawFd>,
    /// The control socket.
    #[serde(default)]
    pub(crate) control: Option<RawFd>,
    /// The connection of the command that waits for the end of the upgrade.
    #[serde(default)]
    pub(crate) waiting: Option<RawFd>,
    /// Whether the configuration must still be reloaded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reload: bool,
    /// The locked pid file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pid_file: Option<RawFd>,
    /// The pipe to the process that holds shared files open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<RawFd>,
}

/// A running worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HandedWorker {
    /// Process ID.
    pub(crate) pid: i32,
    /// The supervisor's end of the link.
    pub(crate) link: RawFd,
    /// When it was started, in seconds since 1970.
    pub(crate) since: u64,
    /// Its generation in the shared memory; 0: unknown.
    #[serde(default)]
    pub(crate) generation: u32,
    /// Maximum age of a request without progress, in seconds; 0: unlimited.
    #[serde(default)]
    pub(crate) stuck_seconds: u64,
    /// Whether it wakes a sleeping supervisor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) wakes: bool,
}

impl State {
    /// Creates the state of a mount that does not exist yet.
    pub(crate) fn new(mount_point: OsString) -> Self {
        Self {
            version: VERSION,
            mount_point,
            device: None,
            since: seconds(),
            init: None,
            answered: false,
            resends: None,
            generation: 0,
            crashes: 0,
            ends: Vec::new(),
            reasons: BTreeMap::new(),
            put_aside: Vec::new(),
            quarantined: Vec::new(),
            left_out: Vec::new(),
            configuration: None,
            passing: false,
            page_cache: false,
            suspects: Suspects::default(),
            handed: None,
        }
    }

    fn parse(text: &[u8]) -> anyhow::Result<Self> {
        let state: Self = serde_json::from_slice(text).context("a state that is not understood")?;
        if state.version == 0 {
            bail!("a state of version 0, which never was");
        }
        Ok(state)
    }

    /// Records the exit of a worker.
    pub(crate) fn ended(&mut self, pid: i32, mut why: String) {
        // The cause is the worker's own text: its length is bounded, because the state holds many.
        let ends = (0..=LONGEST_REASON.min(why.len())).rev();
        why.truncate(
            ends.into_iter()
                .find(|at| why.is_char_boundary(*at))
                .unwrap_or(0),
        );
        self.crashes = self.crashes.saturating_add(1);
        if self.ends.len() >= REMEMBERED {
            self.ends.remove(0);
        }
        let is_known = self.reasons.contains_key(&why) || self.reasons.len() < REMEMBERED;
        let reason = if is_known { why.as_str() } else { "others" };
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
        let at = seconds();
        self.ends.push(End { at, pid, why });
    }
}

/// Returns the time, in seconds since 1970.
pub(crate) fn seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The file that contains the state.
#[derive(Debug)]
pub(crate) struct StateFile(SlotFile);

impl StateFile {
    /// Creates an empty file.
    pub(crate) fn create() -> anyhow::Result<Self> {
        let file = SlotFile::create("vistafs-state").context("the state of the supervisor")?;
        Ok(Self(file))
    }

    /// Opens a file that was passed on, and returns the last complete state.
    pub(crate) fn open(file: OwnedFd) -> anyhow::Result<(Self, State)> {
        let (file, text) = SlotFile::open(file).context("the state of the supervisor")?;
        // A text written before slots existed may end in the rest of a longer one, after a NUL.
        let text = text.split(|byte| *byte == 0).next();
        let state = State::parse(text.unwrap_or_default())?;
        Ok((Self(file), state))
    }

    /// Writes the state. A process that is killed meanwhile leaves this state or the previous one.
    pub(crate) fn write(&mut self, state: &State) -> anyhow::Result<()> {
        let text = serde_json::to_vec(state).context("cannot write the state")?;
        self.0.write(&text).context("the state of the supervisor")
    }
}

impl AsFd for StateFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the first version. Never change it: running supervisors have it in their memory
    /// files.
    const FIRST: &str = r#"{"version":1,"mount_point":{"Unix":[47,109]},"device":[0,77],"since":1700000000,"init":[1,2,3],"answered":true,"generation":3,"crashes":1,"ends":[{"at":1700000009,"pid":12,"why":"killed by SIGSEGV"}],"put_aside":[{"name":"stat","why":"crashed"}],"suspects":{"views":["stat"],"times":2,"at":1700000009},"handed":{"program":{"Unix":[47,98]},"device":5,"worker":{"pid":14,"link":6,"since":1700000010,"generation":4,"stuck_seconds":10},"handover":9,"control":7,"waiting":8}}"#;

    #[test]
    fn the_first_version_is_understood() {
        let state = State::parse(FIRST.as_bytes()).unwrap();
        assert_eq!(state.mount_point, "/m");
        assert_eq!(state.device, Some((0, 77)));
        assert_eq!(state.init, Some(vec![1, 2, 3]));
        assert!(state.answered);
        assert_eq!((state.generation, state.crashes), (3, 1));
        assert_eq!(state.ends[0].why, "killed by SIGSEGV");
        assert_eq!(state.put_aside[0].name, "stat");
        let handed = state.handed.clone().unwrap();
        assert_eq!((handed.device, handed.control), (5, Some(7)));
        assert_eq!((handed.handover, handed.waiting), (Some(9), Some(8)));
        assert_eq!(handed.program, "/b");
        assert_eq!(handed.worker.link, 6);
        // No later version may drop a field that this text contains.
        assert_eq!(serde_json::to_string(&state).unwrap(), FIRST);
    }

    #[test]
    fn later_versions_and_the_least_are_understood() {
        let later = r#"{"version":9,"mount_point":{"Unix":[47]},"colour":"blue"}"#;
        assert_eq!(State::parse(later.as_bytes()).unwrap().mount_point, "/");
        for bad in [
            "",
            "{}",
            "null",
            "{\"version\":0,\"mount_point\":{\"Unix\":[]}}",
            "\0",
        ] {
            assert!(State::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_shorter_text_leaves_nothing_of_a_longer_one() {
        let mut file = StateFile::create().unwrap();
        let mut state = State::new("/m".into());
        for pid in 0..100 {
            state.ended(pid, "x".repeat(100));
        }
        state.ended(100, "ö".repeat(LONGEST_REASON));
        assert_eq!(state.ends[REMEMBERED - 1].why.len(), LONGEST_REASON);
        assert_eq!((state.crashes, state.ends.len()), (101, REMEMBERED));
        file.write(&state).unwrap();
        state.ends.clear();
        file.write(&state).unwrap();
        let (_, read) = StateFile::open(file.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(read, state);
    }
}
