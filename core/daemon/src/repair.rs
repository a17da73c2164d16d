//! `vistafs repair`: live views over the dead ones of running containers.
//!
//! When everything of vistafs has died, each bind mount of its files answers ENOTCONN for ever, in
//! every mount namespace. With a new mount served, each dead one is covered with the file of the same
//! path in the new one, at the very place, so that containers go on without a restart.
//!
//! | process | what it does |
//! |---|---|
//! | `vistafs repair` | finds the mount namespaces, gives one after the other to a worker, reports |
//! | `vistafs repair-worker` | enters them, finds what is dead, covers it; may be stopped at any time |
//!
//! | file | owns |
//! |---|---|
//! | `repair/namespaces.rs` | which mount namespaces there are |
//! | `repair/worker.rs` | the worker's process, as its parent sees it |
//! | `repair/protocol.rs` | what the two tell each other |
//! | `repair/inside.rs` | what the worker does |
//! | `repair/table.rs` | the mounts of a namespace: which may be ours, which are covered |
//! | `repair/look.rs` | which of them are dead |
//! | `repair/connections.rs` | whose a FUSE file system is |
//! | `repair/walk.rs` | the way to a mount point, without asking a stranger's file system |
//! | `repair/live.rs` | the new mount, and copies of what is in it |
//! | `repair/cover.rs` | mounting on a dead mount |
//! | `repair/mount_point.rs` | the dead mount that is in the way of a new one |
//! | `repair/kernel.rs` | two system calls that no library has |
//!
//! # What a container could try
//! The mounts of a container are what it made of them. So:
//! - What looks like ours by type, source and options counts only if root of this host has mounted
//!   it, by the kernel's own list of FUSE connections. A dead one cannot be asked who it was.
//! - No file system is asked anything on the way to a mount point unless the kernel itself answers for
//!   it. The one question, whether it is dead, is put to what has passed the test above; and by a
//!   worker that nobody waits for longer than [`PATIENCE`].
//! - What was found is the mount of that line of mountinfo, by its number, or it is left alone. It is
//!   mounted on by its descriptor: renames, links and mounts that come later lead nowhere else.
//! - A copy of a live view shows what the path of the dead one says, which was bound there by somebody
//!   who could. Only paths below `at/`, and containers' own files, show more than the container itself;
//!   they are mounted again in namespaces of the host's user namespace only, where nobody but root can have mounted a FUSE file
//!   system of root's.
//! - The copies receive no mounts and pass none on.
//!
//! Mount namespaces without a process are not seen.

mod connections;
mod cover;
mod inside;
mod kernel;
mod live;
mod look;
mod mount_point;
mod namespaces;
mod protocol;
mod table;
mod walk;
mod worker;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

pub(crate) use inside::work;
pub(crate) use mount_point::clear_dead_mount;
pub(crate) use protocol::{Outcome, Row};

use live::Live;
use namespaces::MountNamespace;
use protocol::{Event, Job};
use worker::{Silence, Worker};

/// How long a worker may say nothing. What it does takes milliseconds, unless a file system that
/// it has asked does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be repaired.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'w> {
    /// What these processes see; empty: everything.
    pub(crate) pids: &'w [u32],
    /// Only tells what would be done.
    pub(crate) is_dry_run: bool,
}

/// How many file systems that do not answer a namespace may have before it is given up.
const MOST_SILENT: usize = 4;

/// Covers dead bind mounts with what is below `mount`; what was done, one row for each.
///
/// # Errors
/// When `mount` is not a live mount of vistafs, a process does not exist, or /proc cannot be read.
/// What goes wrong with one container is a row.
pub(crate) fn repair(mount: &Path, wanted: &Wanted<'_>) -> anyhow::Result<Vec<Row>> {
    // Said once, and not by a worker for each namespace.
    Live::open(mount)?;
    let namespaces = match wanted.pids {
        [] => namespaces::all().context("cannot look for mount namespaces in /proc")?,
        pids => namespaces::of(pids)?,
    };
    let mut run = Run {
        mount,
        is_dry_run: wanted.is_dry_run,
        worker: None,
        silent: Vec::new(),
        rows: Vec::new(),
    };
    for namespace in namespaces {
        run.repair(&namespace)?;
    }
    if let Some(worker) = run.worker {
        worker.end();
    }
    Ok(run.rows)
}

struct Run<'r> {
    mount: &'r Path,
    is_dry_run: bool,
    // With nothing to do.
    worker: Option<Worker>,
    // Devices of file systems that have not answered.
    silent: Vec<String>,
    rows: Vec<Row>,
}

impl Run<'_> {
    fn repair(&mut self, namespace: &MountNamespace) -> anyhow::Result<()> {
        let mut lost = String::new();
        // Once more without each file system that does not answer.
        for _ in 0..MOST_SILENT {
            let mut worker = match self.worker.take() {
                Some(worker) => worker,
                None => Worker::start(self.mount, self.is_dry_run)?,
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
        self.rows.push(Row::of_namespace(namespace, lost));
        Ok(())
    }

    fn give(&mut self, worker: &mut Worker, namespace: &MountNamespace) -> Result<(), Silence> {
        let job = Job {
            inode: namespace.inode,
            pids: namespace.pids.clone(),
            silent: self.silent.clone(),
        };
        let mut asked = None;
        worker
            .send(&job)
            .map_err(|why| Silence { why, asked: None })?;
        loop {
            match worker.next(PATIENCE) {
                Ok(Event::Asks(device)) => asked = Some(device),
                Ok(Event::Answered) => asked = None,
                Ok(Event::Row(row)) => self.rows.push(Row {
                    container: namespaces::container_of(row.pid),
                    ..row
                }),
                Ok(Event::End(None)) => return Ok(()),
                Ok(Event::End(Some(why))) => {
                    self.rows.push(Row::of_namespace(namespace, why));
                    return Ok(());
                }
                Err(why) => return Err(Silence { why, asked }),
            }
        }
    }
}

/// Tells the log in a line or two what was done.
pub(crate) fn report(rows: &[Row]) {
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let (repaired, left) = (count(Outcome::Repaired), count(Outcome::Left));
    if repaired > 0 {
        log::info!("repaired {repaired} dead views of running containers");
    }
    if left > 0 {
        log::warn!(
            "{left} dead views of running containers are left (vistafs repair tells which, and why)"
        );
    }
}
