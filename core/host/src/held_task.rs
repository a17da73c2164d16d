//! A task with frequent requests: its namespaces, read from an open directory.
//!
//! The directory belongs to the task, not to its number: after the task has ended, every access
//! fails, even if the number is reused. So the path from `/proc` is resolved once. The pid
//! namespace is read once, because a task never leaves its pid namespace.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::namespace::{self, NamespaceKey};
use crate::{Host, HostError};

/// A task with an open `ns` directory.
#[derive(Debug)]
pub struct HeldTask {
    ns: OwnedFd,
    pid_namespace: u64,
}

impl HeldTask {
    /// Opens the `ns` directory of the task `tid`.
    ///
    /// # Errors
    /// When the task does not exist (any more).
    pub fn hold(host: &Host, tid: u32) -> Result<Self, HostError> {
        let path = format!("{tid}/ns");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let ns = rustix::fs::openat(host.proc(), path.as_str(), flags, Mode::empty())
            .map_err(|errno| HostError::from_errno(errno, &host.proc().path().join(&path)))?;
        let pid_namespace = namespace::number_at(&ns, b"pid")
            .map_err(|errno| HostError::from_errno(errno, &host.proc().path().join(&path)))?;
        Ok(Self { ns, pid_namespace })
    }

    /// Returns the current namespaces. `None`: the task has ended, or cannot be read.
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
    fn an_ended_task_has_no_namespaces() {
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
