//! Passes mount namespaces to workers, one at a time.

use std::ffi::OsString;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::namespaces::MountNamespace;
use crate::protocol::{Event, Job};
use crate::worker::{Silence, Worker};

/// Timeout of a worker's messages. Its work takes milliseconds, unless a file system does not
/// answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Number of silent file systems after which a namespace is given up.
const MOST_SILENT: usize = 4;

/// One line of a report.
pub(crate) trait Report: DeserializeOwned {
    /// A namespace that could not be processed.
    fn of_namespace(namespace: &MountNamespace, why: String) -> Self;

    /// The same with the name of its container, as workers see no cgroups.
    fn named(self) -> Self;
}

/// A worker, and the report so far.
#[derive(Debug)]
pub(crate) struct Work<R> {
    // The arguments of the worker.
    words: Vec<OsString>,
    // The paths of the views.
    views: Vec<String>,
    // An idle worker.
    worker: Option<Worker>,
    // Devices of silent file systems.
    silent: Vec<String>,
    rows: Vec<R>,
}

impl<R: Report> Work<R> {
    pub(crate) fn new(words: Vec<OsString>, views: Vec<String>) -> Self {
        Self {
            words,
            views,
            worker: None,
            silent: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Processes a namespace. A failure in one container is a line of the report.
    ///
    /// # Errors
    /// When no worker can be started.
    pub(crate) fn on(&mut self, namespace: &MountNamespace) -> Result<()> {
        let mut lost = String::new();
        // Again without each file system that does not answer.
        for _ in 0..MOST_SILENT {
            let mut worker = match self.worker.take() {
                Some(worker) => worker,
                None => Worker::start(&self.words)?,
            };
            let silence = match self.give(&mut worker, namespace) {
                Ok(()) => {
                    self.worker = Some(worker);
                    return Ok(());
                }
                Err(silence) => silence,
            };
            worker.stop();
            lost = silence.why;
            match silence.asked {
                Some(device) => self.silent.push(device),
                None => break,
            }
        }
        self.rows.push(R::of_namespace(namespace, lost));
        Ok(())
    }

    /// Ends the worker; returns the report.
    pub(crate) fn end(self) -> Vec<R> {
        if let Some(worker) = self.worker {
            worker.end();
        }
        self.rows
    }

    fn give(&mut self, worker: &mut Worker, namespace: &MountNamespace) -> Result<(), Silence> {
        let job = Job {
            inode: namespace.inode,
            pids: namespace.pids.clone(),
            silent: self.silent.clone(),
            views: self.views.clone(),
        };
        let mut asked = None;
        worker
            .send(&job)
            .map_err(|why| Silence { why, asked: None })?;
        loop {
            match worker.next::<R>(PATIENCE) {
                Ok(Event::Asks(device)) => asked = Some(device),
                Ok(Event::Answered) => asked = None,
                Ok(Event::Row(row)) => self.rows.push(row.named()),
                Ok(Event::End(None)) => return Ok(()),
                Ok(Event::End(Some(why))) => {
                    self.rows.push(R::of_namespace(namespace, why));
                    return Ok(());
                }
                Err(why) => return Err(Silence { why, asked }),
            }
        }
    }
}
