//! Hands the mount over to another supervisor, in another process and perhaps in another container.
//!
//! The successor connects to the control socket and receives the descriptors. Until it serves, the predecessor can
//! continue, and does so if the successor exits or closes the connection:
//!
//! ```text
//! successor                          predecessor
//! {"ask":"hand-over"}
//!                                    {"state": ..., "descriptors": [...]}, and the descriptors
//! (prepares a worker)                (serves)
//! {"say":"take"}
//!                                    (its worker finishes what it has begun, and leaves)
//!                                    {"say":"yours","lost":false}
//! (its worker serves)
//! {"say":"serving"}
//!                                    (is done)
//! ```
//!
//! While no worker serves, requests wait in the kernel. Messages and fields are added and never changed.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Supervisor;
use super::control::Asker;
use super::question::{Question, socket_path};
use super::run::{TO_LEAVE, TO_SERVE};
use super::state::State;
use super::worker_process::{Stage as WorkerStage, WorkerProcess};
use crate::error_text::in_one_line;

/// Names of the descriptors, in the order of sending.
const DEVICE: &str = "device";
const CONTROL: &str = "control";
const HANDOVER: &str = "handover";
const MOST_DESCRIPTORS: usize = 8;
/// Maximum length of a message in bytes; a state has some thousand.
const LONGEST: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
enum Word {
    /// From the successor: its worker is ready.
    Take,
    /// From the predecessor: no worker serves.
    Yours {
        /// Whether its worker left unfinished requests.
        #[serde(default)]
        lost: bool,
    },
    /// From the successor: its worker serves.
    Serving,
    /// A message of a later version.
    #[serde(other)]
    Unknown,
}

/// The successor, as the predecessor sees it.
#[derive(Debug)]
pub(super) struct Successor {
    stream: UnixStream,
    heard: Vec<u8>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has the descriptors; the predecessor serves.
    Offered,
    /// The predecessor's worker finishes its requests.
    Leaving,
    /// The successor may serve.
    Given,
}

impl Successor {
    /// Returns the descriptor to poll.
    pub(super) fn input(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Returns whether the predecessor has stopped serving, unless the successor gives up.
    pub(super) fn is_taking(&self) -> bool {
        self.stage != Stage::Offered
    }

    /// Returns its next message, if there is one; `None` inside: the connection is closed.
    fn hear(&mut self) -> Option<Option<Word>> {
        let mut buffer = [0; 256];
        while !self.heard.contains(&b'\n') {
            match self.stream.read(&mut buffer) {
                Ok(got) if got > 0 && self.heard.len() < 4096 => {
                    self.heard.extend_from_slice(&buffer[..got]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return Some(None),
            }
        }
        let end = self.heard.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.heard.drain(..=end).collect();
        Some(serde_json::from_slice(&line).ok())
    }
}

impl Supervisor {
    /// Sends state and descriptors to a successor.
    pub(super) fn offer(&mut self, asker: Asker) {
        let serves = |worker: &WorkerProcess| matches!(worker.stage, WorkerStage::Serving(_));
        let why = if self.stored {
            "the service manager keeps this mount (systemctl reload vistafs)"
        } else if self.ending.is_some() || self.exchange.is_some() || self.successor.is_some() {
            "another exchange or the end is under way"
        } else if !self.current.as_ref().is_some_and(serves) {
            "no worker serves just now"
        } else {
            match self.send_all(asker) {
                Ok(successor) => {
                    self.successor = Some(successor);
                    return;
                }
                Err(error) => {
                    log::warn!("the mount is not handed over: {}", in_one_line(&error));
                    return;
                }
            }
        };
        self.answer(Some(asker), &json!({ "error": why }));
    }

    fn send_all(&mut self, asker: Asker) -> anyhow::Result<Successor> {
        let control = self.control.as_mut().context("no control socket")?;
        let stream = control.give(asker).context("who asked is gone")?;
        let mut state = self.state.clone();
        state.handed = None;
        let mut names = vec![DEVICE, CONTROL];
        let mut descriptors = vec![self.device.as_fd(), control.listener()];
        if let Some(memory) = &self.handover {
            names.push(HANDOVER);
            descriptors.push(memory.as_fd());
        }
        let text = format!("{}\n", json!({ "state": state, "descriptors": names }));
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            bail!("too many descriptors");
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = sendmsg(
            &stream,
            &[IoSlice::new(text.as_bytes())],
            &mut control,
            flags,
        )
        .context("cannot send the descriptors")?;
        if sent != text.len() {
            bail!("the state does not fit in a message");
        }
        Ok(Successor {
            stream,
            heard: Vec::new(),
            stage: Stage::Offered,
        })
    }

    /// Handles a message of the successor. Returns true when it serves.
    pub(super) fn hear_successor(&mut self) -> bool {
        while let Some(word) = self.successor.as_mut().and_then(Successor::hear) {
            let stage = self.successor.as_ref().map(|successor| successor.stage);
            match (word, stage) {
                (Some(Word::Take), Some(Stage::Offered)) => self.let_go(),
                (Some(Word::Serving), Some(Stage::Given)) => return true,
                (Some(Word::Unknown), _) => {}
                _ => {
                    self.successor = None;
                    self.go_on(stage);
                }
            }
        }
        self.give_when_due();
        false
    }

    fn let_go(&mut self) {
        if let Some(successor) = &mut self.successor {
            successor.stage = Stage::Leaving;
        }
        self.start_at = None;
        if let Some(mut worker) = self.current.take() {
            worker.leave(TO_LEAVE);
            self.leaving.push(worker);
        }
    }

    /// Continues when the worker has exited.
    fn give_when_due(&mut self) {
        let gone = self.leaving.iter().all(WorkerProcess::is_beyond_reach);
        let lost = self.lost_requests;
        if let Some(successor) = &mut self.successor
            && successor.stage == Stage::Leaving
            && gone
        {
            successor.stage = Stage::Given;
            // A successor that does not read has exited, which is noticed later.
            if let Err(error) = say(&successor.stream, Word::Yours { lost }) {
                log::debug!("the successor: {error}");
            }
        }
    }

    /// Handles a successor that has given up.
    fn go_on(&mut self, stage: Option<Stage>) {
        log::warn!("takeover aborted: the new supervisor exited; continuing to serve");
        if stage != Some(Stage::Offered) {
            self.lost_requests = true;
            self.resend();
            self.start_next_worker();
        }
    }
}

fn say(mut stream: &UnixStream, word: Word) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(&word)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// The predecessor, as the successor sees it.
#[derive(Debug)]
pub(super) struct Predecessor {
    stream: UnixStream,
}

/// The state and the descriptors from the predecessor.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) predecessor: Predecessor,
    pub(super) device: OwnedFd,
    pub(super) control: OwnedFd,
    pub(super) handover: Option<OwnedFd>,
    pub(super) state: State,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<String>,
    state: Option<State>,
    #[serde(default)]
    descriptors: Vec<String>,
}

/// Asks the supervisor of a mount at a path without symbolic links. `None`: there is none.
pub(super) fn ask(mount_point: &Path) -> anyhow::Result<Option<Offer>> {
    let socket = socket_path(mount_point);
    let stream = match UnixStream::connect(&socket) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        connected => {
            connected.with_context(|| format!("cannot connect to {}", socket.display()))?
        }
    };
    let peer = rustix::net::sockopt::socket_peercred(&stream)
        .with_context(|| format!("who listens at {}", socket.display()))?;
    if !peer.uid.is_root() {
        bail!(
            "{} is not root's: nothing is taken from there",
            socket.display()
        );
    }
    // It may have to wait for its own worker.
    stream.set_read_timeout(Some(TO_SERVE))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut question = serde_json::to_vec(&Question::HandOver)?;
    question.push(b'\n');
    (&stream)
        .write_all(&question)
        .context("cannot ask for the mount")?;
    let (line, mut descriptors) = receive(&stream).context("the vistafs that serves now")?;
    let answer: Answer =
        serde_json::from_slice(&line).context("an answer that is not understood")?;
    if let Some(why) = answer.error {
        bail!("the vistafs that serves now does not hand the mount over: {why}");
    }
    if descriptors.len() != answer.descriptors.len() {
        bail!("the vistafs that serves now sent other descriptors than it said");
    }
    let mut take = |name: &str| {
        let at = answer.descriptors.iter().position(|one| one == name)?;
        descriptors[at].take()
    };
    Ok(Some(Offer {
        device: take(DEVICE).context("no device was handed over")?,
        control: take(CONTROL).context("no control socket was handed over")?,
        handover: take(HANDOVER),
        state: answer.state.context("no state was handed over")?,
        predecessor: Predecessor { stream },
    }))
}

/// Receives one line, and the descriptors sent with it.
fn receive(stream: &UnixStream) -> anyhow::Result<(Vec<u8>, Vec<Option<OwnedFd>>)> {
    let (mut line, mut descriptors) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 64 << 10];
    while line.last() != Some(&b'\n') {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let got = recvmsg(stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
            .context("no answer")?
            .bytes;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received.map(Some));
            }
        }
        if got == 0 || line.len() + got > LONGEST {
            bail!("it ended without a whole answer");
        }
        line.extend_from_slice(&buffer[..got]);
    }
    Ok((line, descriptors))
}

impl Predecessor {
    /// Reports that the worker is ready; waits until the predecessor's has exited. True: it left unfinished requests.
    pub(super) fn take(&self) -> anyhow::Result<bool> {
        say(&self.stream, Word::Take).context("the vistafs that serves now is gone")?;
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            match (&self.stream).read(&mut byte) {
                // The predecessor has exited meanwhile: this supervisor is the only owner.
                Ok(0) => return Ok(true),
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) => line.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(true),
                Err(error) => {
                    return Err(error).context("the vistafs that served does not let go");
                }
            }
        }
        match serde_json::from_slice(&line) {
            Ok(Word::Yours { lost }) => Ok(lost),
            _ => bail!("the vistafs that served says what is not understood"),
        }
    }

    /// Reports that the worker serves.
    pub(super) fn release(self) {
        if let Err(error) = say(&self.stream, Word::Serving) {
            log::debug!("the vistafs that served before: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_earlier_and_later_versions_are_understood() {
        let word = |text: &str| serde_json::from_str::<Word>(text).unwrap();
        assert_eq!(word(r#"{"say":"take"}"#), Word::Take);
        assert_eq!(word(r#"{"say":"yours"}"#), Word::Yours { lost: false });
        assert_eq!(word(r#"{"say":"serving","x":1}"#), Word::Serving);
        assert_eq!(word(r#"{"say":"hum"}"#), Word::Unknown);
    }

    #[test]
    fn a_successor_is_heard_word_by_word() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut successor = Successor {
            stream: ours,
            heard: Vec::new(),
            stage: Stage::Offered,
        };
        assert_eq!(successor.hear(), None);
        say(&theirs, Word::Take).unwrap();
        (&theirs).write_all(b"{\"say\":\"ser").unwrap();
        assert_eq!(successor.hear(), Some(Some(Word::Take)));
        assert_eq!(successor.hear(), None);
        (&theirs).write_all(b"ving\"}\nrubbish\n").unwrap();
        assert_eq!(successor.hear(), Some(Some(Word::Serving)));
        assert_eq!(successor.hear(), Some(None));
        drop(theirs);
        assert_eq!(successor.hear(), Some(None));
    }

    #[test]
    fn a_predecessor_that_ends_has_let_go() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let predecessor = Predecessor { stream: ours };
        say(&theirs, Word::Yours { lost: false }).unwrap();
        assert!(!predecessor.take().unwrap());
        say(&theirs, Word::Serving).unwrap();
        assert!(predecessor.take().is_err());
        drop(theirs);
        assert!(predecessor.take().is_err(), "cannot be sent");
    }

    #[test]
    fn an_answer_comes_whole_or_not_at_all() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&theirs).write_all(b"{\"state\":").unwrap();
        drop(theirs);
        assert!(receive(&ours).is_err());
    }
}
