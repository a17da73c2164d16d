//! Translation of process IDs between pid namespaces.
//!
//! Linux 6.12 and later translate with one ioctl per ID. On older kernels `NSpid` in
//! /proc/PID/status lists the IDs in each nested namespace, but not which namespaces these are: so
//! it is also checked that the process is in the namespace or a descendant of it.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;

use crate::namespace::{HeldNamespace, NamespaceKey, NamespaceKind};
use crate::{Host, HostError, Process, nsfs};

/// Translates between vistafs's IDs and a caller's.
#[derive(Debug)]
pub struct PidTranslation {
    // `None`: both are the same.
    namespace: Option<Numbered>,
}

#[derive(Debug)]
struct Numbered {
    held: HeldNamespace,
    inode: u64,
    // Number of levels below vistafs's namespace.
    depth: usize,
    // Whether a pid namespace, by inode number, is this one or a descendant.
    within: HashMap<u64, bool>,
    asks_kernel: bool,
}

impl PidTranslation {
    /// For the pid namespace of the thread `tid`.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn of_thread(host: &Host, tid: u32) -> Result<Self, HostError> {
        let process = Process::open(host, tid)?;
        let inode = process.namespaces()?.pid;
        if inode == NamespaceKey::of_self(host)?.pid {
            return Ok(Self { namespace: None });
        }
        let held = process.hold_namespace(NamespaceKind::Pid)?;
        let depth = process.pids()?.len().saturating_sub(1);
        Ok(Self {
            namespace: Some(Numbered {
                held,
                inode,
                depth,
                within: HashMap::from([(inode, true)]),
                asks_kernel: true,
            }),
        })
    }

    /// Whether both use the same IDs.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.namespace.is_none()
    }

    /// Returns the caller's ID of the thread or process `pid`; `None`: the caller cannot see it, or
    /// it has ended.
    ///
    /// # Errors
    /// When the kernel's files about it cannot be parsed.
    pub fn to_caller(&mut self, host: &Host, pid: u32) -> Result<Option<u32>, HostError> {
        let Some(namespace) = &mut self.namespace else {
            return Ok(Some(pid));
        };
        if namespace.asks_kernel {
            match nsfs::thread_in(&namespace.held, i32::try_from(pid).unwrap_or(0)) {
                Ok(number) => return Ok(Some(number)),
                Err(Errno::SRCH) => return Ok(None),
                Err(errno) if nsfs::is_unknown(errno) => namespace.asks_kernel = false,
                Err(errno) => return Err(failed(errno)),
            }
        }
        match namespace.look_into(host, pid) {
            Err(error) if error.is_not_found() => Ok(None),
            told => told,
        }
    }

    /// Returns the thread or process with the caller's ID `pid`; `None`: it does not exist.
    /// `candidates` enumerates possible ones for kernels without the ioctl.
    ///
    /// # Errors
    /// When the kernel's files about a candidate cannot be parsed.
    pub fn from_caller(
        &mut self,
        host: &Host,
        pid: u32,
        candidates: impl FnOnce(&mut dyn FnMut(u32)),
    ) -> Result<Option<u32>, HostError> {
        let Some(namespace) = &mut self.namespace else {
            let exists = Process::open(host, pid).is_ok();
            return Ok(exists.then_some(pid));
        };
        match nsfs::thread_from(&namespace.held, i32::try_from(pid).unwrap_or(0)) {
            Ok(number) => return Ok(Some(number)),
            Err(Errno::SRCH) => return Ok(None),
            Err(errno) if nsfs::is_unknown(errno) => namespace.asks_kernel = false,
            Err(errno) => return Err(failed(errno)),
        }
        let mut found = Ok(None);
        candidates(&mut |candidate| {
            if matches!(found, Ok(None)) {
                match self.to_caller(host, candidate) {
                    Ok(Some(number)) if number == pid => found = Ok(Some(candidate)),
                    Ok(_) => {}
                    Err(error) => found = Err(error),
                }
            }
        });
        found
    }
}

impl Numbered {
    fn look_into(&mut self, host: &Host, pid: u32) -> Result<Option<u32>, HostError> {
        let process = Process::open(host, pid)?;
        let pids = process.pids()?;
        let Some(number) = pids.get(self.depth) else {
            return Ok(None);
        };
        let inode = process.namespaces()?.pid;
        let within = match self.within.get(&inode) {
            Some(known) => *known,
            None => {
                let further = pids.len() - 1 - self.depth;
                let within = self.is_above(&process, further)?;
                self.within.insert(inode, within);
                within
            }
        };
        Ok(within.then_some(*number))
    }

    /// Whether this is the namespace `further` levels above the process's.
    fn is_above(&self, process: &Process, further: usize) -> Result<bool, HostError> {
        let mut here: OwnedFd = process.hold_namespace(NamespaceKind::Pid)?.into();
        for _ in 0..further {
            here = nsfs::parent(&here).map_err(failed)?;
        }
        let stat = rustix::fs::fstat(here.as_fd()).map_err(failed)?;
        Ok(stat.st_ino == self.inode)
    }
}

fn failed(errno: Errno) -> HostError {
    HostError::from_errno(errno, Path::new("pid namespace"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn numbers_of_our_own_namespace_are_the_same() {
        let host = Host::running(Duration::ZERO).unwrap();
        let own = std::process::id();
        let mut same = PidTranslation::of_thread(&host, own).unwrap();
        assert!(same.is_identity());
        assert_eq!(same.to_caller(&host, own).unwrap(), Some(own));
        let nobody = |_: &mut dyn FnMut(u32)| ();
        assert_eq!(same.from_caller(&host, own, nobody).unwrap(), Some(own));
        let none = same.from_caller(&host, u32::MAX, nobody);
        assert_eq!(none.unwrap(), None);
    }
}
