//! What supervisor and worker say to each other.
//!
//! A pair of sockets that keep datagrams apart; each datagram is one message in JSON. The two may be
//! of different versions of vistafs while one is exchanged for the other: words and fields are
//! added and never changed, and a word that is not known is passed over.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::plugins::{LeftOut, PluginFile};

/// The exit status of one that was told to leave and has left requests to the next. It is EX_TEMPFAIL of
/// sysexits.h(3head): what fails by itself ends with 1.
pub const UNANSWERED: u8 = 75;

/// A word of the supervisor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum Order {
    /// Get everything ready but do not serve yet. The first word.
    Prepare {
        /// Which worker of this mount it is, counted from 1.
        generation: u64,
        /// Views that are not to serve containers.
        #[serde(default)]
        put_aside: Vec<PutAside>,
        /// Views that are kept from single containers.
        #[serde(default)]
        quarantined: Vec<Quarantined>,
        /// Plugins that are not to be loaded.
        #[serde(default)]
        left_out: Vec<LeftOut>,
        /// What the supervisor knows of itself.
        #[serde(default)]
        supervision: Option<Supervision>,
        /// The text of the configuration that the worker before served by; `None`: read it anew.
        #[serde(default)]
        configuration: Option<String>,
        /// Whether the host's files are passed to containers.
        #[serde(default)]
        passing: bool,
    },
    /// Serve.
    Serve {
        /// The kernel's FUSE_INIT request.
        init: Vec<u8>,
        /// Whether the kernel does not send again what the worker before had read.
        #[serde(default)]
        redo: bool,
    },
    /// Pass the host's files to containers, or do not any more.
    Pass {
        /// Which of the two.
        passing: bool,
    },
    /// Finish what was begun, and leave.
    Leave,
    /// Something of a later version's.
    #[serde(other)]
    Unknown,
}

/// A word of the worker's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum Word {
    /// A plugin is going to be loaded, which may be the last that the worker does.
    Loading {
        /// Which; `None`: it was loaded.
        #[serde(default)]
        file: Option<PluginFile>,
    },
    /// All is ready but the kernel's FUSE_INIT.
    Prepared {
        /// How old a request may become before the worker is taken for stuck; 0: never.
        #[serde(default)]
        stuck_seconds: u64,
        /// The text of the configuration that it goes by.
        #[serde(default)]
        configuration: Option<String>,
        /// Whether it says [`Word::Asked`] to a supervisor that sleeps.
        #[serde(default)]
        wakes: bool,
    },
    /// FUSE_INIT was answered so.
    Answered {
        /// What was written to the device, or would have been.
        reply: Vec<u8>,
        /// The worker's number in the memory that is handed over; 0: it does not use it.
        #[serde(default)]
        generation: u32,
    },
    /// Requests are being answered.
    Ready,
    /// A request was read while the supervisor slept.
    Asked,
    /// It cannot serve, and ends.
    Failed {
        /// Why.
        why: String,
    },
    /// The kernel has no more requests: unmounted or aborted.
    Unmounted,
    /// Something of a later version's.
    #[serde(other)]
    Unknown,
}

/// A view that is kept from containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutAside {
    /// The view.
    pub name: String,
    /// For `vistafs views`.
    pub why: String,
}

/// A view that is kept from one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The view.
    pub view: String,
    /// Short for the container.
    pub container: u32,
}

/// What a supervisor knows of itself and of its workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervision {
    /// Its process.
    pub pid: u32,
    /// When it started, in seconds since 1970.
    pub since: u64,
    /// Why workers were started anew, and how often.
    pub restarts: BTreeMap<String, u64>,
}

/// One end.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// Longer than any message, with the longest configuration that there may be in it.
const MOST: usize = 160 << 10;

impl Link {
    /// Two ends.
    pub fn pair() -> rustix::io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(ours), Self(theirs)))
    }

    /// An end that was handed over.
    pub fn new(end: OwnedFd) -> Self {
        Self(end)
    }

    /// The same end once more.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends a message. Never waits: somebody who does not listen is as good as gone.
    pub fn say(&self, message: &impl Serialize) -> rustix::io::Result<()> {
        let text = serde_json::to_vec(message).map_err(|_| Errno::INVAL)?;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        send(&self.0, &text, flags).map(|_| ())
    }

    /// Waits for the next message. `None`: the other end is closed.
    pub fn hear<T: DeserializeOwned>(&self) -> rustix::io::Result<Option<T>> {
        self.receive(RecvFlags::empty())
    }

    /// The next message, if there is one; else `AGAIN`.
    pub fn hear_now<T: DeserializeOwned>(&self) -> rustix::io::Result<Option<T>> {
        self.receive(RecvFlags::DONTWAIT)
    }

    fn receive<T: DeserializeOwned>(&self, flags: RecvFlags) -> rustix::io::Result<Option<T>> {
        let mut text = vec![0; MOST];
        let (got, _) = loop {
            match recv(&self.0, &mut text[..], flags) {
                Err(Errno::INTR) => {}
                // It ended with a message of ours unread.
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

    /// Both sides must go on understanding what earlier versions say.
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
