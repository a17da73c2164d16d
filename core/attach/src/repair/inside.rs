//! The worker: enters namespaces, finds dead mounts, covers them.
//!
//! `entry.rs` has the code that `vistafs attach` shares with it.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::error::{Context as _, Result};
use rustix::io::Errno;
use vistafs_text::mountinfo::Mount;

use super::look::{self, Found, Look};
use super::row::{Outcome, Row};
use crate::connections::Connections;
use crate::cover::{self, Inside, Target};
use crate::entry::{self, Entry};
use crate::kernel::Refusals;
use crate::live::{self, Live};
use crate::protocol::{Event, Job, shown, tell};
use crate::table::{self, Table};
use crate::walk;

/// Takes jobs from standard input until its end, and reports on standard output.
///
/// # Errors
/// When the parent is gone.
pub fn work(mount: &Path, is_dry_run: bool) -> Result<()> {
    entry::serve(Worker::new(mount, is_dry_run), Worker::repair)
}

/// All descriptors belong to the host.
struct Worker {
    live: Live,
    connections: Connections,
    entry: Entry,
    is_dry_run: bool,
}

impl Worker {
    fn new(mount: &Path, is_dry_run: bool) -> Result<Self> {
        Ok(Self {
            live: Live::open(mount)?,
            connections: Connections::open()?,
            entry: Entry::new()?,
            is_dry_run,
        })
    }

    fn repair(&self, job: &Job) -> Result<()> {
        let Some((pid, namespace)) = self.entry.open(job) else {
            // Its last process has ended, and with it the namespace.
            return Ok(());
        };
        let report = Report {
            pid,
            namespace: job.inode,
        };
        let (root, text) = self.entry.within(&namespace, || {
            let root = live::root().context("cannot open its root directory")?;
            Ok((root, self.entry.mountinfo()?))
        })?;
        let table = Table::parse(&text).context("its mountinfo")?;
        let look = Look {
            live: &self.live,
            connections: &self.connections,
            silent: &job.silent,
            root: &root,
            is_hosts_own: job.inode == self.entry.mounts_inode,
            is_of_host_users: self.entry.is_of_host_users(&namespace)?,
        };
        let found = look.all(&table, |file, device| {
            tell::<()>(&Event::Asks(look::name(device)))?;
            let is_dead = walk::does_not_answer(file);
            tell::<()>(&Event::Answered)?;
            Ok(is_dead)
        })?;
        let mut ready = Vec::new();
        for (mount, found) in found {
            match self.copy(mount, found) {
                Ok(_) if self.is_dry_run => tell(&report.of(mount, Outcome::Dead, None))?,
                Ok(pair) => ready.push(pair),
                Err(why) => tell(&report.of(mount, Outcome::Left, Some(why)))?,
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        self.entry.within(&namespace, || {
            let inside = Inside {
                root: &root,
                table: &table,
                proc: &self.entry.proc,
            };
            for (copy, target) in &ready {
                let (outcome, why) = match cover::cover(copy, target, inside) {
                    Ok(()) => (Outcome::Repaired, None),
                    Err(why) => (Outcome::Left, Some(why)),
                };
                tell(&report.of(target.mount, outcome, why))?;
            }
            Ok(())
        })
    }

    /// Returns the file to cover a dead mount with, or the reason why there is none.
    fn copy<'t>(
        &self,
        mount: &'t Mount<'t>,
        found: Found,
    ) -> Result<(OwnedFd, Target<'t>), String> {
        let (root, path) = match found {
            Found::Dead(root, path) => (root, path),
            Found::Left(why) => return Err(why),
        };
        let refusals = Refusals::parse(mount.options);
        let copy = self.live.copy(&path, refusals);
        let copy = copy.map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => "the mount has no such file now".to_owned(),
            errno => format!("cannot copy it from the mount: {errno}"),
        })?;
        let seen = walk::look(&root).map_err(|errno| errno.to_string())?;
        let target = Target {
            mount,
            root,
            is_directory: seen.is_directory,
        };
        Ok((copy, target))
    }
}

struct Report {
    pid: u32,
    namespace: u64,
}

impl Report {
    fn of(&self, mount: &Mount<'_>, outcome: Outcome, why: Option<String>) -> Event<Row> {
        let below = table::path_below(mount).as_os_str();
        Event::Row(Row {
            // For the parent, which knows the cgroups.
            container: String::new(),
            pid: self.pid,
            namespace: self.namespace,
            path: Some(shown(&mount.mount_point)),
            shows: Some(shown(below.as_encoded_bytes())),
            outcome,
            why,
        })
    }
}
