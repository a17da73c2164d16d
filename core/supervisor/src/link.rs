//! The messages between supervisor and worker.
//!
//! They use a pair of SEQPACKET sockets; each datagram is one message in JSON. During an upgrade the two may run
//! different versions of vistafs: messages and fields are added and never changed, and unknown messages are
//! ignored.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::plugins::{LeftOut, PluginFile};

/// Exit status of a worker that was ordered to leave and left unfinished requests: EX_TEMPFAIL of
/// sysexits.h(3head). A failure ends with 1.
pub const UNANSWERED: u8 = 75;

/// A message of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum Order {
    /// Prepare, but do not serve yet. The first message.
    Prepare {
        /// Number of this worker, counted from 1 for each mount.
        generation: u64,
        /// Views that are disabled for all containers.
        #[serde(default)]
        put_aside: Vec<PutAside>,
        /// Views that are disabled for single containers.
        #[serde(default)]
        quarantined: Vec<Quarantined>,
        /// Plugins that must not be loaded.
        #[serde(default)]
        left_out: Vec<LeftOut>,
        /// Facts about the supervisor, for `metrics`.
        #[serde(default)]
        supervision: Option<Supervision>,
        /// The text of the configuration in effect; `None`: read the file.
        #[serde(default)]
        configuration: Option<String>,
        /// Whether passthrough is enabled.
        #[serde(default)]
        passing: bool,
    },
    /// Begin to serve.
    Serve {
        /// The kernel's FUSE_INIT request.
        init: Vec<u8>,
        /// Whether the worker must replay requests, because the kernel does not resend them.
        #[serde(default)]
        redo: bool,
    },
    /// Enable or disable passthrough.
    Pass {
        /// Whether it is enabled.
        passing: bool,
    },
    /// Finish the requests in service, and exit.
    Leave,
    /// A message of a later version.
    #[serde(other)]
    Unknown,
}

/// A message of the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum Word {
    /// A plugin is about to be loaded; the worker may die of that.
    Loading {
        /// The file; `None`: it was loaded.
        #[serde(default)]
        file: Option<PluginFile>,
    },
    /// Everything is prepared; only FUSE_INIT is missing.
    Prepared {
        /// Maximum age of a request without progress, in seconds; 0: unlimited.
        #[serde(default)]
        stuck_seconds: u64,
        /// The text of the configuration in use.
        #[serde(default)]
        configuration: Option<String>,
        /// Whether it sends [`Word::Asked`] to a sleeping supervisor.
        #[serde(default)]
        wakes: bool,
    },
    /// FUSE_INIT was answered.
    Answered {
        /// The reply, whether or not the kernel took it.
        reply: Vec<u8>,
        /// The worker's generation in the shared memory; 0: it uses none.
        #[serde(default)]
        generation: u32,
    },
    /// It serves requests.
    Ready,
    /// It read a request while the supervisor slept.
    Asked,
    /// It cannot serve, and exits.
    Failed {
        /// The cause.
        why: String,
    },
    /// The connection has ended: unmounted or aborted.
    Unmounted,
    /// A message of a later version.
    #[serde(other)]
    Unknown,
}

/// A view that is disabled for all containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutAside {
    /// The name of the view.
    pub name: String,
    /// The cause, for `vistafs views`.
    pub why: String,
}

/// A view that is disabled for one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The name of the view.
    pub view: String,
    /// The tag of the container.
    pub container: u32,
}

/// Facts about a supervisor and its workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervision {
    /// Process ID.
    pub pid: u32,
    /// When it started, in seconds since 1970.
    pub since: u64,
    /// Causes of restarts of workers, with their numbers.
    pub restarts: BTreeMap<String, u64>,
}

/// One end of the pair.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// Maximum length of a message in bytes: one with the longest configuration fits.
const MOST: usize = 160 << 10;

impl Link {
    /// Creates both ends.
    pub fn pair() -> rustix::io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(ours), Self(theirs)))
    }

    /// Wraps an inherited end.
    pub fn new(end: OwnedFd) -> Self {
        Self(end)
    }

    /// Duplicates this end.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends a message. Never blocks: a receiver that does not read counts as gone.
    pub fn say(&self, message: &impl Serialize) -> rustix::io::Result<()> {
        let text = serde_json::to_vec(message).map_err(|_| Errno::INVAL)?;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        send(&self.0, &text, flags).map(|_| ())
    }

    /// Waits for the next message. `None`: the other end is closed.
    pub fn hear<T: DeserializeOwned>(&self) -> rustix::io::Result<Option<T>> {
        self.receive(RecvFlags::empty())
    }

    /// Returns the next message, or `AGAIN`.
    pub fn hear_now<T: DeserializeOwned>(&self) -> rustix::io::Result<Option<T>> {
        self.receive(RecvFlags::DONTWAIT)
    }

    fn receive<T: DeserializeOwned>(&self, flags: RecvFlags) -> rustix::io::Result<Option<T>> {
        let mut text = vec![0; MOST];
        let (got, _) = loop {
            match recv(&self.0, &mut text[..], flags) {
                Err(Errno::INTR) => {}
                // The peer exited with unread messages of this end.
                Err(Errno::CONNRESET) => return Ok(None),
                received => break received?,
            }
        };
        if got == 0 {
            return Ok(None);
        }
        match serde_json::from_slice(&text[..got]) {
            Ok(message) => Ok(Some(message)),
            Err(error) => {
                log::debug!("a message that is not understood: {error}");
                Err(Errno::BADMSG)
            }
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_apart_and_the_end_is_told() {
        let (ours, theirs) = Link::pair().unwrap();
        assert_eq!(ours.hear_now::<Word>(), Err(Errno::AGAIN));
        let reply = vec![0, 1, 255];
        let prepared = Word::Prepared {
            stuck_seconds: 10,
            configuration: Some("\n\t\"\\".repeat(16 << 10)),
            wakes: true,
        };
        theirs.say(&prepared).unwrap();
        theirs
            .say(&Word::Answered {
                reply: reply.clone(),
                generation: 3,
            })
            .unwrap();
        drop(theirs);
        assert_eq!(ours.hear().unwrap(), Some(prepared));
        let answered = Word::Answered {
            reply,
            generation: 3,
        };
        assert_eq!(ours.hear().unwrap(), Some(answered));
        assert_eq!(ours.hear::<Word>().unwrap(), None);
        assert!(ours.say(&Order::Leave).is_err());
    }

    /// Both sides must understand the messages of earlier versions.
    #[test]
    fn earlier_and_later_versions_are_understood() {
        let order = |text: &str| serde_json::from_str::<Order>(text).unwrap();
        assert_eq!(
            order(r#"{"say":"prepare","generation":2}"#),
            Order::Prepare {
                generation: 2,
                put_aside: vec![],
                quarantined: vec![],
                left_out: vec![],
                supervision: None,
                configuration: None,
                passing: false,
            }
        );
        let init = vec![1, 2];
        assert_eq!(
            order(r#"{"say":"serve","init":[1,2],"speed":9}"#),
            Order::Serve { init, redo: false }
        );
        assert_eq!(order(r#"{"say":"leave"}"#), Order::Leave);
        assert_eq!(order(r#"{"say":"sing"}"#), Order::Unknown);
        let word = |text: &str| serde_json::from_str::<Word>(text).unwrap();
        assert_eq!(word(r#"{"say":"ready"}"#), Word::Ready);
        assert_eq!(
            word(r#"{"say":"loading","file":{"path":"/x.so","mark":"1"}}"#),
            Word::Loading {
                file: Some(PluginFile {
                    path: "/x.so".into(),
                    mark: "1".into(),
                }),
            }
        );
        assert_eq!(word(r#"{"say":"loading"}"#), Word::Loading { file: None });
        assert_eq!(
            word(r#"{"say":"prepared"}"#),
            Word::Prepared {
                stuck_seconds: 0,
                configuration: None,
                wakes: false,
            }
        );
        assert_eq!(word(r#"{"say":"later","x":1}"#), Word::Unknown);
    }
}
