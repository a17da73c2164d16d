//! What the supervisor knows, as a text that outlives it.
//!
//! It is kept in a memory file ([`SlotFile`]) and written at each change. A supervisor that replaces itself hands
//! the file to the program that takes its place; the service manager keeps it for the supervisor that
//! is started after a crash. So this text is read by later versions of vistafs: fields are added,
//! with a default, and never changed or taken away. The oldest form is in the tests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use vistafs_handover::SlotFile;

use super::suspects::Suspects;
use crate::link::{PutAside, Quarantined};
use crate::plugins::LeftOut;

/// The form that is written here.
const VERSION: u32 = 1;
/// How many ends of workers are remembered.
const REMEMBERED: usize = 16;

/// How many bytes of a reason are remembered.
const LONGEST_REASON: usize = 1024;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    version: u32,
    /// A path without links.
    pub(crate) mount_point: OsString,
    /// Device number of the mount, once there is one.
    #[serde(default)]
    pub(crate) device: Option<(u32, u32)>,
    /// When it was mounted, in seconds since 1970.
    #[serde(default)]
    pub(crate) since: u64,
    /// The kernel's FUSE_INIT.
    #[serde(default)]
    pub(crate) init: Option<Vec<u8>>,
    /// Whether the kernel has its answer; `init` then offers only what was agreed.
    #[serde(default)]
    pub(crate) answered: bool,
    /// Whether the kernel can resend the requests of a dead worker; `None`: an earlier version has
    /// mounted, and did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resends: Option<bool>,
    /// How many workers were started.
    #[serde(default)]
    pub(crate) generation: u64,
    /// How many of them ended without being told to.
    #[serde(default)]
    pub(crate) crashes: u64,
    /// The last of those.
    #[serde(default)]
    pub(crate) ends: Vec<End>,
    /// How often they ended for which reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Views that are kept from containers.
    #[serde(default)]
    pub(crate) put_aside: Vec<PutAside>,
    /// Views that are kept from single containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) quarantined: Vec<Quarantined>,
    /// Plugins that are not loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<LeftOut>,
    /// The text of the configuration that was last served by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) configuration: Option<String>,
    /// Whether containers are passed the host's files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) passing: bool,
    /// Whether it is a mount of the page-cache tree.
    #[serde(default, alias = "hot", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) page_cache: bool,
    /// What was served at the last crashes.
    #[serde(default)]
    pub(crate) suspects: Suspects,
    /// What a supervisor that replaces itself leaves to the next one.
    #[serde(default)]
    pub(crate) handed: Option<Handed>,
}

/// The end of a worker that was not told to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// Its process.
    pub(crate) pid: i32,
    /// In words.
    pub(crate) why: String,
}

/// Open descriptors and running processes, from one program to the next in the same process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handed {
    /// The program's path.
    pub(crate) program: OsString,
    /// The device.
    pub(crate) device: RawFd,
    /// The worker that serves.
    pub(crate) worker: HandedWorker,
    /// The memory that workers hand over.
    #[serde(default)]
    pub(crate) handover: Option<RawFd>,
    /// The socket that commands connect to.
    #[serde(default)]
    pub(crate) control: Option<RawFd>,
    /// Who waits to hear that the exchange is done.
    #[serde(default)]
    pub(crate) waiting: Option<RawFd>,
    /// Whether the configuration is still to be read anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reload: bool,
    /// The file with the process number, locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pid_file: Option<RawFd>,
    /// Of the process that holds shared files open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<RawFd>,
}

/// A running worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HandedWorker {
    /// Its process.
    pub(crate) pid: i32,
    /// Our end of the link.
    pub(crate) link: RawFd,
    /// When it was started, in seconds since 1970.
    pub(crate) since: u64,
    /// Its number in the memory that is handed over; 0: unknown.
    #[serde(default)]
    pub(crate) generation: u32,
    /// How old a request of it may become; 0: any age.
    #[serde(default)]
    pub(crate) stuck_seconds: u64,
    /// Whether it wakes a supervisor that sleeps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) wakes: bool,
}

impl State {
    /// Of a mount that is about to be made.
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

    /// Remembers that a worker ended.
    pub(crate) fn ended(&mut self, pid: i32, mut why: String) {
        // A worker may have said anything; the state has a bound, and holds many of these.
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

/// The time, in seconds since 1970.
pub(crate) fn seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The file that the state is kept in.
#[derive(Debug)]
pub(crate) struct StateFile(SlotFile);

impl StateFile {
    /// Creates an empty one.
    pub(crate) fn create() -> anyhow::Result<Self> {
        let file = SlotFile::create("vistafs-state").context("the state of the supervisor")?;
        Ok(Self(file))
    }

    /// Opens one that was handed over, and returns the last state that was written as a whole.
    pub(crate) fn open(file: OwnedFd) -> anyhow::Result<(Self, State)> {
        let (file, text) = SlotFile::open(file).context("the state of the supervisor")?;
        // A text of a version before slots may end in a longer one's rest, behind a NUL.
        let text = text.split(|byte| *byte == 0).next();
        let state = State::parse(text.unwrap_or_default())?;
        Ok((Self(file), state))
    }

    /// Writes it. A process that is killed meanwhile leaves this state or the one before.
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

    /// What the first version wrote. Never change this text: it is in memory files of running
    /// supervisors.
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
        // And no version that can be installed over a later one drops what it must know.
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
