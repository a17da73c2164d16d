//! The socket that commands ask the supervisor by.
//!
//! One for each mount, below /run/vistafs, for root alone. A question is one line of JSON, and so is
//! its answer. Who asks can be slow, silent or gone: nothing here waits.

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

/// Who asks is rarely more than one.
const MOST_CONNECTIONS: usize = 16;
const LONGEST_QUESTION: usize = 4096;
/// How long a question may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may wait for its answer. An exchange takes less.
const ANSWERED_AFTER: Duration = Duration::from_secs(300);
/// How long nobody is accepted after that has failed. Whoever connects is still there then, and the listener,
/// which stays readable meanwhile, does not keep the supervisor awake.
const ACCEPTED_AGAIN: Duration = Duration::from_secs(1);

/// The socket, and who is connected.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    connections: Vec<Connection>,
    next: u64,
    // After a failure.
    accepts_at: Option<Instant>,
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
            accepts_at: None,
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
        let listener = self.accepts_at.is_none().then(|| self.listener.as_fd());
        listener
            .into_iter()
            .chain(asking.map(|one| one.stream.as_fd()))
    }

    /// Whether time brings something: a connection may become too old, or be accepted after a failure.
    pub(crate) fn is_busy(&self) -> bool {
        !self.connections.is_empty() || self.accepts_at.is_some()
    }

    /// Takes what has come; the questions that are whole.
    pub(crate) fn questions(&mut self) -> Vec<(Asker, Question)> {
        self.accept();
        // Whatever it waits for does not come; it may ask again.
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

    /// The limit belongs to the process: this test runs in one of its own.
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
