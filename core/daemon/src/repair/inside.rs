//! What the worker does: enters namespaces, finds what is dead there, covers it.
//!
//! It has one thread, as the kernel wants of who changes his mount namespace, and comes back to the
//! host's for each copy of a live view: it can be made there only.

use std::io::{BufRead as _, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context as _;
use nix::sched::{CloneFlags, setns};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use vistafs_text::mountinfo::Mount;

use super::connections::Connections;
use super::cover::{self, Inside, Target};
use super::kernel::{self, Refusals};
use super::live::{self, Live};
use super::look::{self, Found, Look};
use super::protocol::{Event, Job, Outcome, Row, shown};
use super::table::{self, Table};
use super::walk;

/// Takes jobs from standard input until its end, and tells of them on standard output.
///
/// # Errors
/// When nobody listens.
pub(crate) fn work(mount: &Path, is_dry_run: bool) -> anyhow::Result<()> {
    let worker = match Worker::new(mount, is_dry_run) {
        Ok(worker) => worker,
        Err(error) => return tell(&Event::End(Some(format!("{error:#}")))),
    };
    for line in std::io::stdin().lock().lines() {
        let line = line.context("cannot read from standard input")?;
        let job: Job = serde_json::from_str(&line).context("a job that is none")?;
        let end = worker.repair(&job).err();
        tell(&Event::End(end.map(|error| format!("{error:#}"))))?;
    }
    Ok(())
}

fn tell(event: &Event) -> anyhow::Result<()> {
    let line = serde_json::to_string(event)? + "\n";
    let mut out = std::io::stdout().lock();
    let told = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    told.context("nobody listens")
}

/// All descriptors are of the host.
struct Worker {
    live: Live,
    connections: Connections,
    proc: OwnedFd,
    mounts: OwnedFd,
    mounts_inode: u64,
    user_inode: u64,
    is_dry_run: bool,
}

impl Worker {
    fn new(mount: &Path, is_dry_run: bool) -> anyhow::Result<Self> {
        let open = |path: &str, flags| {
            rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
                .with_context(|| format!("cannot open {path}"))
        };
        let mounts = open("/proc/self/ns/mnt", OFlags::RDONLY)?;
        let user = open("/proc/self/ns/user", OFlags::RDONLY)?;
        Ok(Self {
            live: Live::open(mount)?,
            connections: Connections::open()?,
            proc: open("/proc", OFlags::PATH | OFlags::DIRECTORY)?,
            mounts_inode: rustix::fs::fstat(&mounts)?.st_ino,
            mounts,
            user_inode: rustix::fs::fstat(&user)?.st_ino,
            is_dry_run,
        })
    }

    fn repair(&self, job: &Job) -> anyhow::Result<()> {
        let Some((pid, namespace)) = self.open_namespace(job) else {
            // Its last process has ended, and with it all that was mounted there.
            return Ok(());
        };
        let report = Report {
            pid,
            namespace: job.inode,
        };
        let (root, text) = self.within(&namespace, || {
            let root = live::root().context("cannot open its root directory")?;
            Ok((root, self.mountinfo()?))
        })?;
        let table = Table::parse(&text).context("its mountinfo")?;
        let look = Look {
            live: &self.live,
            connections: &self.connections,
            silent: &job.silent,
            root: &root,
            is_hosts_own: job.inode == self.mounts_inode,
            is_of_host_users: self.is_of_host_users(&namespace)?,
        };
        let found = look.all(&table, |file, device| {
            tell(&Event::Asks(look::name(device)))?;
            let is_dead = look::does_not_answer(file);
            tell(&Event::Answered)?;
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
        self.within(&namespace, || {
            let inside = Inside {
                root: &root,
                table: &table,
                proc: &self.proc,
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

    /// What is to cover a dead mount, with it; or why there is nothing.
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

    /// The namespace of the job, if there is still a process in it.
    fn open_namespace(&self, job: &Job) -> Option<(u32, OwnedFd)> {
        job.pids.iter().find_map(|pid| {
            let path = format!("{pid}/ns/mnt");
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(&self.proc, path, flags, Mode::empty()).ok()?;
            let inode = rustix::fs::fstat(&opened).ok()?.st_ino;
            (inode == job.inode).then_some((*pid, opened))
        })
    }

    /// Does something in a mount namespace, and comes back.
    fn within<T>(
        &self,
        namespace: &OwnedFd,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        setns(namespace, CloneFlags::CLONE_NEWNS).context("cannot enter its mount namespace")?;
        let done = work();
        if let Err(errno) = setns(&self.mounts, CloneFlags::CLONE_NEWNS) {
            // What is copied from here on would be the container's.
            let why = format!("cannot come back to the host's mount namespace: {errno}");
            let _ = tell(&Event::End(Some(why)));
            std::process::exit(1);
        }
        done
    }

    fn is_of_host_users(&self, namespace: &OwnedFd) -> anyhow::Result<bool> {
        let owner = kernel::owner(namespace).context("cannot tell whose the namespace is")?;
        Ok(rustix::fs::fstat(&owner)?.st_ino == self.user_inode)
    }

    /// Of this process, which is in the namespace at its root directory: nothing is out of sight.
    fn mountinfo(&self) -> anyhow::Result<Vec<u8>> {
        let path = "thread-self/mountinfo";
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.proc, path, flags, Mode::empty())
            .with_context(|| format!("cannot open /proc/{path}"))?;
        let mut text = Vec::new();
        let read = std::fs::File::from(file).read_to_end(&mut text);
        read.with_context(|| format!("cannot read /proc/{path}"))?;
        Ok(text)
    }
}

struct Report {
    pid: u32,
    namespace: u64,
}

impl Report {
    fn of(&self, mount: &Mount<'_>, outcome: Outcome, why: Option<String>) -> Event {
        let below = table::path_below(mount).as_os_str();
        Event::Row(Row {
            // For who knows the cgroups.
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
