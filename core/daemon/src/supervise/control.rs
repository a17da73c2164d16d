//! The socket that commands ask the supervisor by.
//!
//! One for each mount, below /run/vistafs, for root alone. A question is one line of JSON, and so is
//! its answer. Who asks can be slow, silent or gone: nothing here waits.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::question::{Question, socket_path};
use crate::inherited::{self, KeptOpen};

/// Who asks is rarely more than one.
const MOST_CONNECTIONS: usize = 16;
const LONGEST_QUESTION: usize = 4096;
/// How long a question may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket, and who is connected.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    connections: Vec<Connection>,
    next: u64,
}

/// Somebody who asks.
#[derive(Debug)]
struct Connection {
    number: u64,
    stream: UnixStream,
    question: Vec<u8>,
    since: Instant,
    // It has asked, and waits.
    asked: bool,
}

/// Who asks, to be answered later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker(u64);

impl Control {
    /// Listens for the mount at a path without links.
    pub(crate) fn listen(mount_point: &Path) -> anyhow::Result<Self> {
        let path = socket_path(mount_point);
        if let Some(dir) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
        }
        // Of a supervisor that was killed: nobody else serves this mount point.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        Self::with(listener, path)
    }

    /// Goes on where the program before us listened, and with who waits there.
    pub(crate) fn again(
        mount_point: &Path,
        listener: RawFd,
        waiting: Option<RawFd>,
    ) -> anyhow::Result<(Self, Option<Asker>)> {
        let listener = UnixListener::from(inherited::take(listener)?);
        let mut control = Self::with(listener, socket_path(mount_point))?;
        let asker = match waiting {
            Some(waiting) => {
                let stream = UnixStream::from(inherited::take(waiting)?);
                control.add(stream, true)
            }
            None => None,
        };
        Ok((control, asker))
    }

    fn with(listener: UnixListener, path: PathBuf) -> anyhow::Result<Self> {
        listener
            .set_nonblocking(true)
            .context("the control socket")?;
        Ok(Self {
            listener,
            path,
            connections: Vec::new(),
            next: 1,
        })
    }

    /// For the program after us: the listener and who waits.
    pub(crate) fn hand<'c>(
        &'c self,
        asker: Option<Asker>,
        kept: &mut KeptOpen<'c>,
    ) -> rustix::io::Result<(Option<RawFd>, Option<RawFd>)> {
        let waits = |connection: &&Connection| asker == Some(Asker(connection.number));
        let waiting = self.connections.iter().find(waits);
        let listener = kept.keep(self.listener.as_fd())?;
        let waiting = waiting
            .map(|one| kept.keep(one.stream.as_fd()))
            .transpose()?;
        Ok((Some(listener), waiting))
    }

    /// Goes on where another supervisor listened.
    pub(crate) fn of(mount_point: &Path, listener: OwnedFd) -> anyhow::Result<Self> {
        Self::with(UnixListener::from(listener), socket_path(mount_point))
    }

    /// Where it listens.
    pub(crate) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Who has asked something that takes more than an answer.
    pub(crate) fn give(&mut self, asker: Asker) -> Option<UnixStream> {
        let is = |one: &Connection| one.number == asker.0;
        let at = self.connections.iter().position(is)?;
        Some(self.connections.swap_remove(at).stream)
    }

    /// What to wait for input of.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let asking = self.connections.iter().filter(|one| !one.asked);
        std::iter::once(self.listener.as_fd()).chain(asking.map(|one| one.stream.as_fd()))
    }

    /// Whether somebody is about to ask.
    pub(crate) fn is_busy(&self) -> bool {
        self.connections.iter().any(|one| !one.asked)
    }

    /// Takes what has come; the questions that are whole.
    pub(crate) fn questions(&mut self) -> Vec<(Asker, Question)> {
        while let Ok((stream, _)) = self.listener.accept() {
            self.add(stream, false);
        }
        let mut whole = Vec::new();
        let mut refused = Vec::new();
        for connection in &mut self.connections {
            match connection.hear() {
                Heard::Nothing => {}
                Heard::Question(question) => whole.push((Asker(connection.number), question)),
                Heard::Nonsense(why) => refused.push((Asker(connection.number), why)),
                Heard::End => refused.push((Asker(connection.number), String::new())),
            }
        }
        for (asker, why) in refused {
            self.answer(asker, &json!({ "error": why }));
        }
        whole
    }

    /// Answers, and is done with the asker.
    pub(crate) fn answer(&mut self, asker: Asker, answer: &Value) {
        let Some(at) = self
            .connections
            .iter()
            .position(|one| one.number == asker.0)
        else {
            return;
        };
        let mut connection = self.connections.swap_remove(at);
        // An answer fits in a socket's buffer; who has gone does not want it.
        if let Err(error) = connection
            .stream
            .write_all(format!("{answer}\n").as_bytes())
        {
            log::debug!("answering a command: {error}");
        }
    }

    /// The socket's path goes.
    pub(crate) fn close(self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn add(&mut self, stream: UnixStream, asked: bool) -> Option<Asker> {
        let is_root =
            rustix::net::sockopt::socket_peercred(&stream).is_ok_and(|peer| peer.uid.is_root());
        if !is_root || stream.set_nonblocking(true).is_err() {
            return None;
        }
        if self.connections.len() >= MOST_CONNECTIONS {
            // Not who waits for an answer of ours.
            let idle = self.connections.iter().position(|one| !one.asked)?;
            self.connections.swap_remove(idle);
        }
        let number = self.next;
        self.next += 1;
        self.connections.push(Connection {
            number,
            stream,
            question: Vec::new(),
            since: Instant::now(),
            asked,
        });
        Some(Asker(number))
    }
}

enum Heard {
    Nothing,
    Question(Question),
    Nonsense(String),
    End,
}

impl Connection {
    fn hear(&mut self) -> Heard {
        if self.asked {
            return Heard::Nothing;
        }
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Heard::End,
                Ok(got) => self.question.extend_from_slice(&buffer[..got]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return Heard::End,
            }
            if self.question.len() > LONGEST_QUESTION {
                return Heard::Nonsense("a question that is too long".into());
            }
            if self.question.contains(&b'\n') {
                break;
            }
        }
        let Some(end) = self.question.iter().position(|byte| *byte == b'\n') else {
            let is_late = self.since.elapsed() > PATIENCE;
            return if is_late { Heard::End } else { Heard::Nothing };
        };
        self.asked = true;
        match serde_json::from_slice(&self.question[..end]) {
            Ok(Question::Unknown) => Heard::Nonsense("this vistafs does not know that".into()),
            Ok(question) => Heard::Question(question),
            Err(error) => Heard::Nonsense(format!("a question that is not understood: {error}")),
        }
    }
}
