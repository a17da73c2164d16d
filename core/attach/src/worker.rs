//! The worker process, as its parent sees it.
//!
//! It may hang in a system call that not even SIGKILL ends, for as long as a hostile file system
//! wants. So the parent never waits for it: it kills the worker, and a separate thread reaps it.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use vistafs_host::{Inherited, spawn};

use crate::protocol::{Event, Job};

/// A row contains two paths.
const LONGEST_LINE: usize = 64 << 10;

/// The reason why a namespace was not repaired: the worker was killed.
#[derive(Debug)]
pub(crate) struct Silence {
    pub(crate) why: String,
    /// The device of the file system that it accessed.
    pub(crate) asked: Option<String>,
}

/// A running worker.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    // Input that is no complete line yet.
    received: Vec<u8>,
}

impl Worker {
    /// Starts this program with these arguments.
    pub(crate) fn start(words: &[OsString]) -> Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        // The name that `ps` shows.
        command.arg0("vistafs").args(words);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Standard error may be a pipe, whose reader would wait for a hanging worker.
            .stderr(Stdio::null());
        let mut child = spawn(command, Inherited::default())
            .context("cannot start a worker from /proc/self/exe")?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let Some((to, from)) = pipes else {
            bail!("a worker without pipes");
        };
        Ok(Self {
            child,
            to,
            from,
            received: Vec::new(),
        })
    }

    /// Passes a namespace to it. On failure, returns the text for the report.
    pub(crate) fn send(&mut self, job: &Job) -> Result<(), String> {
        let line = serde_json::to_string(job).map_err(|error| error.to_string())? + "\n";
        let sent = self.to.write_all(line.as_bytes());
        sent.map_err(|_| "the worker has ended".to_owned())
    }

    /// Returns its next message within this time. On failure, returns the text for the report.
    pub(crate) fn next<R: DeserializeOwned>(
        &mut self,
        patience: Duration,
    ) -> Result<Event<R>, String> {
        let until = Instant::now() + patience;
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|error| error.to_string());
            }
            if self.received.len() > LONGEST_LINE {
                return Err("the worker talks nonsense".to_owned());
            }
            self.receive(until)?;
        }
    }

    fn receive(&mut self, until: Instant) -> Result<(), String> {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        let mut waits = [PollFd::new(&self.from, PollFlags::IN)];
        match poll(&mut waits, timeout.as_ref()) {
            Ok(0) => return Err("no answer in time".to_owned()),
            // A signal to this process; the timeout continues.
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => return Err(errno.to_string()),
            Ok(_) => {}
        }
        let mut buffer = [0; 4096];
        match self.from.read(&mut buffer) {
            Ok(0) => Err("the worker has ended".to_owned()),
            Ok(got) => {
                self.received.extend_from_slice(&buffer[..got]);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Ends an idle worker, by the end of its standard input.
    pub(crate) fn end(mut self) {
        drop(self.to);
        // A failure cannot be reported.
        let _ = self.child.wait();
    }

    /// Kills it, whatever it does.
    pub(crate) fn stop(self) {
        let mut child = self.child;
        // It may have exited.
        let _ = child.kill();
        let reap = move || {
            let _ = child.wait();
        };
        // Without the thread it stays a zombie until this process exits.
        let _ = std::thread::Builder::new().name("reap".into()).spawn(reap);
    }
}
