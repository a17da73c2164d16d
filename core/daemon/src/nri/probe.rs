//! Whether vistafs answers at its mount.
//!
//! statfs(2) of a FUSE mount waits for the daemon, and the runtime drops a plugin that takes 2 s for an
//! answer. So a thread does it, and a thread that still waits is an answer, too.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use vistafs_attach::oci;

/// A tenth of it is much for a daemon that serves.
const PATIENCE: Duration = Duration::from_millis(500);

/// A thread that looks at the mount.
#[derive(Debug)]
pub(super) struct Probe {
    questions: SyncSender<()>,
    answers: Receiver<bool>,
    // The thread still works on the last question.
    is_pending: bool,
}

impl Probe {
    /// Looks at this mount.
    pub(super) fn new(mount: PathBuf) -> anyhow::Result<Self> {
        Self::with(move || oci::is_serving(&mount))
    }

    fn with(mut look: impl FnMut() -> bool + Send + 'static) -> anyhow::Result<Self> {
        let (questions, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let work = move || {
            while asked.recv().is_ok() && answer.send(look()).is_ok() {}
        };
        let named = thread::Builder::new().name("mount".to_owned());
        named.spawn(work).context("cannot start a thread")?;
        Ok(Self {
            questions,
            answers,
            is_pending: false,
        })
    }

    /// Whether vistafs answers there, within [`PATIENCE`].
    pub(super) fn is_serving(&mut self) -> bool {
        if self.is_pending {
            // The answer to an earlier question is too old.
            match self.answers.try_recv() {
                Ok(_) => self.is_pending = false,
                Err(_) => return false,
            }
        }
        if self.questions.try_send(()).is_err() {
            return false;
        }
        let answer = self.answers.recv_timeout(PATIENCE);
        self.is_pending = answer.is_err();
        answer.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_mount_that_does_not_answer_counts_as_down_until_it_answers() {
        let (release, blocked) = channel();
        let mut probe = Probe::with(move || blocked.recv().unwrap_or(false)).unwrap();
        assert!(!probe.is_serving());
        assert!(!probe.is_serving());
        // The late answer is not taken for a new one.
        release.send(true).unwrap();
        release.send(true).unwrap();
        while probe.is_pending {
            if probe.is_serving() {
                return;
            }
        }
        panic!("the second answer was not taken");
    }

    #[test]
    fn what_is_not_fuse_is_not_serving() {
        let directory = tempfile::tempdir().unwrap();
        let mut probe = Probe::new(directory.path().to_owned()).unwrap();
        assert!(!probe.is_serving());
        let mut probe = Probe::with(|| true).unwrap();
        assert!(probe.is_serving() && probe.is_serving());
    }
}
