//! Enters the mount namespaces of containers, in a worker.
//!
//! A worker has one thread, because a process with several cannot change its mount namespace. It
//! returns to the host's namespace for each copy of a live view: copies can only be made there.

use std::io::{BufRead as _, Read as _};
use std::os::fd::OwnedFd;

use nix::sched::{CloneFlags, setns};
use rustix::fs::{CWD, Mode, OFlags};

use crate::error::{Context as _, Result};
use crate::kernel;
use crate::protocol::{Event, Job, tell};

/// Maximum length of a mount table in bytes. The kernel allows 100,000 mounts in a namespace, and a
/// container chooses the lengths of their paths.
const LARGEST_TABLE: u64 = 64 << 20;

/// The host, to return to. All descriptors belong to the host.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The host's /proc.
    pub(crate) proc: OwnedFd,
    mounts: OwnedFd,
    /// Inode number of the host's mount namespace.
    pub(crate) mounts_inode: u64,
    user_inode: u64,
}

impl Entry {
    pub(crate) fn new() -> Result<Self> {
        let open = |path: &str, flags| {
            rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
                .with_context(|| format!("cannot open {path}"))
        };
        let mounts = open("/proc/self/ns/mnt", OFlags::RDONLY)?;
        let user = open("/proc/self/ns/user", OFlags::RDONLY)?;
        Ok(Self {
            proc: open("/proc", OFlags::PATH | OFlags::DIRECTORY)?,
            mounts_inode: inode(&mounts)?,
            user_inode: inode(&user)?,
            mounts,
        })
    }

    /// Opens the namespace of the job, if it still has a process.
    pub(crate) fn open(&self, job: &Job) -> Option<(u32, OwnedFd)> {
        job.pids.iter().find_map(|pid| {
            let path = format!("{pid}/ns/mnt");
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(&self.proc, path, flags, Mode::empty()).ok()?;
            (inode(&opened).ok()? == job.inode).then_some((*pid, opened))
        })
    }

    /// Runs `work` in a mount namespace, and returns.
    pub(crate) fn within<T>(
        &self,
        namespace: &OwnedFd,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        setns(namespace, CloneFlags::CLONE_NEWNS).context("cannot enter its mount namespace")?;
        let done = work();
        if let Err(errno) = setns(&self.mounts, CloneFlags::CLONE_NEWNS) {
            // Copies made from here on would be of the container's mounts.
            let why = format!("cannot come back to the host's mount namespace: {errno}");
            let _ = tell::<()>(&Event::End(Some(why)));
            std::process::exit(1);
        }
        done
    }

    /// Returns whether the namespace belongs to the user namespace of the host.
    pub(crate) fn is_of_host_users(&self, namespace: &OwnedFd) -> Result<bool> {
        let owner = kernel::owner(namespace).context("cannot find the owner of the namespace")?;
        Ok(inode(&owner)? == self.user_inode)
    }

    /// Reads the mount table of this process, whose root directory is that of the namespace: it shows every
    /// mount.
    pub(crate) fn mountinfo(&self) -> Result<Vec<u8>> {
        let path = "thread-self/mountinfo";
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.proc, path, flags, Mode::empty())
            .with_context(|| format!("cannot open /proc/{path}"))?;
        let mut text = Vec::new();
        let mut file = std::fs::File::from(file).take(LARGEST_TABLE + 1);
        let read = file.read_to_end(&mut text);
        read.with_context(|| format!("cannot read /proc/{path}"))?;
        if text.len() as u64 > LARGEST_TABLE {
            crate::error::bail!("its table of mounts is longer than {LARGEST_TABLE} bytes");
        }
        Ok(text)
    }
}

fn inode(file: &OwnedFd) -> Result<u64> {
    let stat = rustix::fs::fstat(file).context("cannot look at a namespace")?;
    Ok(stat.st_ino)
}

/// Processes the jobs from standard input until its end, and reports on standard output.
pub(crate) fn serve<W>(worker: Result<W>, work: impl Fn(&W, &Job) -> Result<()>) -> Result<()> {
    let worker = match worker {
        Ok(worker) => worker,
        Err(error) => return tell::<()>(&Event::End(Some(error.line()))),
    };
    for line in std::io::stdin().lock().lines() {
        let line = line.context("cannot read from standard input")?;
        let job: Job = serde_json::from_str(&line).context("a job that is none")?;
        let end = work(&worker, &job).err();
        tell::<()>(&Event::End(end.map(|error| error.line())))?;
    }
    Ok(())
}
