//! The control socket of the supervisor.
//!
//! There is one per mount, below /run/vistafs, for root only. A question is one line of JSON, and so is its answer. A
//! client may be slow, silent or gone: the supervisor never waits for it.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::question::{Question, socket_path};
use crate::inherited::{self, KeptOpen};

/// Maximum number of connections.
const MOST_CONNECTIONS: usize = 16;
const LONGEST_QUESTION: usize = 4096;
/// Timeout for the question.
const PATIENCE: Duration = Duration::from_secs(10);
/// Timeout for the answer. A replacement takes less.
const ANSWERED_AFTER: Duration = Duration::from_secs(300);
/// Pause after a failed accept(2). The listener stays readable meanwhile; without the pause the supervisor would
/// spin. Clients stay in the backlog.
const ACCEPTED_AGAIN: Duration = Duration::from_secs(1);

/// The listener and its connections.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    connections: Vec<Connection>,
    next: u64,
    // After a failed accept(2).
    accepts_at: Option<Instant>,
}

/// A connection.
#[derive(Debug)]
struct Connection {
    number: u64,
    stream: UnixStream,
    question: Vec<u8>,
    since: Instant,
    // It has sent its question and waits.
    asked: bool,
}

/// A client that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker(u64);

impl Control {
    /// Listens for the mount at a path without symbolic links.
    pub(crate) fn listen(mount_point: &Path) -> anyhow::Result<Self> {
        let path = socket_path(mount_point);
        if let Some(dir) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
        }
        // The socket of a killed supervisor: no other process serves this mount point.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        Self::with(listener, path)
    }

    /// Continues with the listener and the waiting client of the previous program.
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
            accepts_at: None,
        })
    }

    /// Passes the listener and the waiting client to the next program.
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

    /// Continues with the listener of another supervisor.
    pub(crate) fn of(mount_point: &Path, listener: OwnedFd) -> anyhow::Result<Self> {
        Self::with(UnixListener::from(listener), socket_path(mount_point))
    }

    /// Returns the path of the socket.
    pub(crate) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Returns the client that waits for the end of a replacement.
    pub(crate) fn give(&mut self, asker: Asker) -> Option<UnixStream> {
        let is = |one: &Connection| one.number == asker.0;
        let at = self.connections.iter().position(is)?;
        Some(self.connections.swap_remove(at).stream)
    }

    /// Returns the descriptors to poll.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let asking = self.connections.iter().filter(|one| !one.asked);
        let listener = self.accepts_at.is_none().then(|| self.listener.as_fd());
        listener
            .into_iter()
            .chain(asking.map(|one| one.stream.as_fd()))
    }

    /// Returns whether a timer runs: a connection may expire, or accept(2) be tried again.
    pub(crate) fn is_busy(&self) -> bool {
        !self.connections.is_empty() || self.accepts_at.is_some()
    }

    /// Reads the input of all connections; returns the complete questions.
    pub(crate) fn questions(&mut self) -> Vec<(Asker, Question)> {
        self.accept();
        // The client can ask again.
        let is_late = |one: &Connection| one.asked && one.since.elapsed() > ANSWERED_AFTER;
        self.connections.retain(|one| !is_late(one));
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

    /// Answers a client and closes its connection.
    pub(crate) fn answer(&mut self, asker: Asker, answer: &Value) {
        let Some(at) = self
            .connections
            .iter()
            .position(|one| one.number == asker.0)
        else {
            return;
        };
        let mut connection = self.connections.swap_remove(at);
        // An answer fits in the socket's buffer; a client that has gone does not need it.
        if let Err(error) = connection
            .stream
            .write_all(format!("{answer}\n").as_bytes())
        {
            log::debug!("answering a command: {error}");
        }
    }

    /// Removes the socket.
    pub(crate) fn close(self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn accept(&mut self) {
        if self.accepts_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.accepts_at = None;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.add(stream, false);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                    ) => {}
                Err(error) => {
                    let seconds = ACCEPTED_AGAIN.as_secs();
                    log::warn!(
                        "cannot accept a command at {}: {error}; trying again in {seconds} s (raise \
                         LimitNOFILE= of the unit)",
                        self.path.display()
                    );
                    self.accepts_at = Some(Instant::now() + ACCEPTED_AGAIN);
                    return;
                }
            }
        }
    }

    fn add(&mut self, stream: UnixStream, asked: bool) -> Option<Asker> {
        let is_root =
            rustix::net::sockopt::socket_peercred(&stream).is_ok_and(|peer| peer.uid.is_root());
        if !is_root || stream.set_nonblocking(true).is_err() {
            return None;
        }
        if self.connections.len() >= MOST_CONNECTIONS {
            // Except clients that wait for an answer.
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
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
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

#[cfg(test)]
mod tests {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    use super::*;

    fn control(dir: &Path) -> Control {
        let path = dir.join("control");
        let listener = UnixListener::bind(&path).unwrap();
        Control::with(listener, path).unwrap()
    }

    fn waits_for_listener(control: &Control) -> bool {
        use std::os::fd::AsRawFd;
        let listener = control.listener().as_raw_fd();
        control.inputs().any(|one| one.as_raw_fd() == listener)
    }

    /// The limit applies to the whole process, so this test runs in a separate one.
    #[test]
    fn without_a_descriptor_the_listener_is_left_alone_for_a_while() {
        const ALONE: &str = "VISTAFS_TEST_WITHOUT_DESCRIPTORS";
        let name = "control::tests::without_a_descriptor_the_listener_is_left_alone_for_a_while";
        if std::env::var_os(ALONE).is_none() {
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            let status = again.args(["--exact", name]).env(ALONE, "1").status();
            assert!(status.unwrap().success());
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut control = control(dir.path());
        let _asks = UnixStream::connect(&control.path).unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 1, hard).unwrap();
        control.questions();
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert!(!waits_for_listener(&control) && control.is_busy());
        assert!(control.connections.is_empty());
        control.accepts_at = Some(Instant::now());
        control.questions();
        assert!(waits_for_listener(&control));
        assert_eq!(control.connections.len(), 1);
    }

    #[test]
    fn connections_have_a_bound_and_end_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut control = control(dir.path());
        let connect = || UnixStream::connect(dir.path().join("control")).unwrap();
        let _many: Vec<_> = (0..MOST_CONNECTIONS + 5).map(|_| connect()).collect();
        control.questions();
        assert_eq!(control.connections.len(), MOST_CONNECTIONS);
        let old =
            |patience: Duration| Instant::now().checked_sub(patience + Duration::from_secs(1));
        for (at, connection) in control.connections.iter_mut().enumerate() {
            connection.asked = at == 0;
            connection.since = old(PATIENCE).unwrap();
        }
        control.questions();
        assert_eq!(control.connections.len(), 1, "the one that has asked");
        control.connections[0].since = old(ANSWERED_AFTER).unwrap();
        control.questions();
        assert!(control.connections.is_empty());
    }
}
