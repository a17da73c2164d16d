//! A task that asks again and again: its namespaces, by a directory of it that is held.
//!
//! The directory is the task's and not its number's: once the task has ended, all of it answers with an
//! error, whoever has the number by then. So the walk from `/proc` to it is done once; and of its
//! namespaces one need not be read again, as a task never leaves the pid namespace that it began in.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::namespace::{self, NamespaceKey};
use crate::{Host, HostError};

/// A task whose `ns` directory is held.
#[derive(Debug)]
pub struct HeldTask {
    ns: OwnedFd,
    pid_namespace: u64,
}

impl HeldTask {
    /// Holds the task of a number.
    ///
    /// # Errors
    /// When there is no such task (any more).
    pub fn hold(host: &Host, tid: u32) -> Result<Self, HostError> {
        let path = format!("{tid}/ns");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let ns = rustix::fs::openat(host.proc(), path.as_str(), flags, Mode::empty())
            .map_err(|errno| HostError::from_errno(errno, &host.proc().path().join(&path)))?;
        let pid_namespace = namespace::number_at(&ns, b"pid")
            .map_err(|errno| HostError::from_errno(errno, &host.proc().path().join(&path)))?;
        Ok(Self { ns, pid_namespace })
    }

    /// The namespaces that it is in now. `None`: it has ended, as far as can be told.
    #[must_use]
    pub fn namespaces(&self) -> Option<NamespaceKey> {
        let cgroup: Result<u64, Errno> = namespace::number_at(&self.ns, b"cgroup");
        Some(NamespaceKey {
            pid: self.pid_namespace,
            cgroup: cgroup.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_task_that_has_ended_tells_nothing() {
        let host = Host::running(Duration::ZERO).unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let task = HeldTask::hold(&host, child.id()).unwrap();
        let own = NamespaceKey::of_self(&host).unwrap();
        assert_eq!(task.namespaces(), Some(own));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(task.namespaces(), None);
        assert!(HeldTask::hold(&host, 0).is_err());
    }
}
