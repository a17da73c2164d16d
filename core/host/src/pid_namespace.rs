//! The init of a pid namespace: process 1 in it, by its ID on the host.
//!
//! Linux 6.12 and later answer with one ioctl (ioctl_nsfs(2)). On older kernels the caller's
//! ancestors are searched, which nearly always include it, else all of `/proc`. The caller caches
//! the result: it is needed once per container.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Dir as DirStream, Mode, OFlags};
use rustix::io::Errno;
use vistafs_text::number;

use crate::namespace::HeldNamespace;
use crate::{Host, HostError, Process, nsfs};

impl HeldNamespace {
    /// Finds the init of this pid namespace; `member` is any process in it.
    ///
    /// # Errors
    /// `NotFound` when it has ended or is not visible here.
    pub fn init_process(&self, host: &Host, member: &Process) -> Result<Process, HostError> {
        let pid = match self.ask_kernel() {
            Ok(pid) => pid,
            Err(errno) if nsfs::is_unknown(errno) => return self.look_for_init(host, member),
            Err(errno) => return Err(HostError::from_errno(errno, &member_path(member))),
        };
        let init = Process::open(host, pid)?;
        // Guards against an ID that was reused between the ioctl and the opening.
        if init.is_namespace_init()? {
            Ok(init)
        } else {
            Err(HostError::NotFound {
                path: member_path(member),
            })
        }
    }

    /// Returns the inode number of the outermost pid namespace around this one, itself included,
    /// other than `own`, vistafs's. A process never leaves it, whatever namespaces it creates.
    #[must_use]
    pub fn outermost(&self, own: u64) -> u64 {
        let number = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map_or(0, |stat| stat.st_ino);
        let mut outermost = number(self.as_fd());
        let mut above = nsfs::parent(self);
        // The kernel allows 32 levels. EPERM: vistafs's own is not above it.
        while let Ok(parent) = above {
            let parent_number = number(parent.as_fd());
            if parent_number == own {
                break;
            }
            outermost = parent_number;
            above = nsfs::parent(&parent);
        }
        outermost
    }

    fn ask_kernel(&self) -> Result<u32, Errno> {
        nsfs::process_from(self, 1)
    }

    fn look_for_init(&self, host: &Host, member: &Process) -> Result<Process, HostError> {
        let wanted = rustix::fs::fstat(self.as_fd())
            .map_err(|errno| HostError::from_errno(errno, &member_path(member)))?
            .st_ino;
        let is_it = |process: &Process| -> Result<bool, HostError> {
            Ok(process.namespaces()?.pid == wanted && process.is_namespace_init()?)
        };
        let mut pid = member.pid();
        while pid > 1 {
            let process = Process::open(host, pid)?;
            if is_it(&process)? {
                return Ok(process);
            }
            pid = process.parent()?;
        }
        // A process that entered the namespace from outside (`nsenter`, `docker exec`).
        let listing = rustix::fs::openat(
            host.proc(),
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .and_then(DirStream::new)
        .map_err(|errno| HostError::from_errno(errno, host.proc().path()))?;
        for entry in listing.flatten() {
            let Some(pid) = number::parse_u32(entry.file_name().to_bytes()) else {
                continue;
            };
            // A process that ends meanwhile is not the init.
            if let Ok(process) = Process::open(host, pid)
                && is_it(&process).unwrap_or(false)
            {
                return Ok(process);
            }
        }
        Err(HostError::NotFound {
            path: member_path(member),
        })
    }
}

fn member_path(member: &Process) -> std::path::PathBuf {
    format!("/proc/{}/ns/pid (its init)", member.pid()).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::NamespaceKind;

    #[test]
    fn both_ways_find_the_same_init() {
        let host = Host::running(Duration::ZERO).unwrap();
        let me = Process::open(&host, std::process::id()).unwrap();
        let namespace = me.hold_namespace(NamespaceKind::Pid).unwrap();
        let looked_for = namespace.look_for_init(&host, &me).map(|p| p.pid());
        // Some sandboxes hide the namespaces of process 1; then both ways must report no init.
        match namespace.ask_kernel() {
            Ok(pid) => assert!(looked_for.is_err() || looked_for.unwrap() == pid),
            Err(errno) => assert!(matches!(errno, Errno::NOTTY | Errno::INVAL), "{errno}"),
        }
    }
}
