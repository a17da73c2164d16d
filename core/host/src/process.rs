//! Facts about one process or thread, read from its directory in `/proc`.
//!
//! The directory is held open: when the process ends, its files return ESRCH, and never a later
//! process's contents with the same ID.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::CapabilitySet;
use vistafs_text::{IdMap, pid_stat, pid_status, time_offsets};

use crate::namespace::{HeldNamespace, NamespaceKey, NamespaceKind};
use crate::{Dir, Host, HostError, KeptFile, Shape};

/// A process or thread of the host, by its open `/proc` directory.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    dir: Arc<Dir>,
}

impl Process {
    /// Opens `/proc/PID` (a thread ID works too).
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub fn open(host: &Host, pid: u32) -> Result<Self, HostError> {
        let dir = host.proc().subdir(Path::new(&pid.to_string()))?;
        Ok(Self {
            pid,
            dir: Arc::new(dir),
        })
    }

    /// Its ID in the pid namespace of vistafs.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Checks that it still exists and its ID was not reused.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn ensure_there(&self) -> Result<(), HostError> {
        self.text("stat").map(drop)
    }

    /// Whether it has an effective capability in vistafs's own user namespace. Per thread.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn has_capability_here(
        &self,
        host: &Host,
        capability: CapabilitySet,
    ) -> Result<bool, HostError> {
        let own = Self::open(host, std::process::id())?.user_namespace()?;
        Ok(self.user_namespace()? == own && self.has_capability(capability)?)
    }

    /// Its start time, since boot.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn start(&self, host: &Host) -> Result<Duration, HostError> {
        let text = self.text("stat")?;
        let stat =
            pid_stat::parse(&text).map_err(|e| HostError::malformed(&self.path("stat"), e))?;
        let ticks = u128::from(stat.start_time) * 1_000_000_000 / u128::from(host.clk_tck());
        Ok(Duration::from_nanos(
            u64::try_from(ticks).unwrap_or(u64::MAX),
        ))
    }

    /// Its `/proc/PID/cgroup` as the reading thread's cgroup namespace shows it.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn cgroup_text(&self) -> Result<Vec<u8>, HostError> {
        self.text("cgroup")
    }

    /// Whether a fatal signal is pending for the thread or its process.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn is_ending(&self) -> Result<bool, HostError> {
        let text = self.text("status")?;
        pid_status::is_ending(&text).map_err(|e| HostError::malformed(&self.path("status"), e))
    }

    /// Its parent's ID; 0 without a parent.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn parent(&self) -> Result<u32, HostError> {
        let text = self.text("status")?;
        pid_status::ppid(&text)
            .map(Option::unwrap_or_default)
            .map_err(|e| HostError::malformed(&self.path("status"), e))
    }

    /// The process that this thread belongs to.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn leader(&self, host: &Host) -> Result<Self, HostError> {
        let text = self.text("status")?;
        let tgid =
            pid_status::tgid(&text).map_err(|e| HostError::malformed(&self.path("status"), e))?;
        Self::open(host, tgid.unwrap_or(self.pid))
    }

    /// Its ID in its own pid namespace; `None` before Linux 4.1.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn innermost_pid(&self) -> Result<Option<u32>, HostError> {
        let text = self.text("status")?;
        pid_status::ns_pid_innermost(&text)
            .map_err(|e| HostError::malformed(&self.path("status"), e))
    }

    /// Whether it has an effective capability in its user namespace. Per thread.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn has_capability(&self, capability: CapabilitySet) -> Result<bool, HostError> {
        let text = self.text("status")?;
        let effective = pid_status::effective_capabilities(&text)
            .map_err(|e| HostError::malformed(&self.path("status"), e))?;
        Ok(effective.is_some_and(|set| set & capability.bits() == capability.bits()))
    }

    /// Its supplementary groups, and its effective capabilities in its user namespace.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub(crate) fn groups_and_capabilities(&self) -> Result<(Vec<u32>, CapabilitySet), HostError> {
        let text = self.text("status")?;
        let malformed = |e| HostError::malformed(&self.path("status"), e);
        let groups = pid_status::groups(&text).map_err(malformed)?;
        let effective = pid_status::effective_capabilities(&text).map_err(malformed)?;
        let effective = CapabilitySet::from_bits_retain(effective.unwrap_or(0));
        Ok((groups, effective))
    }

    /// Inode number of its user namespace.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub(crate) fn user_namespace(&self) -> Result<u64, HostError> {
        self.namespace_inode(NamespaceKind::User)
    }

    /// The user and group mappings of its user namespace to vistafs's.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub(crate) fn id_maps(&self) -> Result<(IdMap, IdMap), HostError> {
        let map = |name| -> Result<IdMap, HostError> {
            let text = self.text(name)?;
            IdMap::parse(&text).map_err(|e| HostError::malformed(&self.path(name), e))
        };
        Ok((map("uid_map")?, map("gid_map")?))
    }

    /// Its ID in each pid namespace, from vistafs's inwards; empty before Linux 4.1.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub(crate) fn pids(&self) -> Result<Vec<u32>, HostError> {
        let text = self.text("status")?;
        pid_status::ns_pids(&text).map_err(|e| HostError::malformed(&self.path("status"), e))
    }

    /// Whether it is process 1 of its own pid namespace.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn is_namespace_init(&self) -> Result<bool, HostError> {
        Ok(self.innermost_pid()? == Some(1))
    }

    /// Offset that its time namespace adds to CLOCK_BOOTTIME.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn boottime_offset(&self) -> Result<time_offsets::Offset, HostError> {
        match self.text("timens_offsets") {
            Ok(text) => time_offsets::boottime(&text)
                .map_err(|e| HostError::malformed(&self.path("timens_offsets"), e)),
            // A kernel without time namespaces lacks the file: the offset is 0.
            Err(error) if error.is_not_found() => Ok(time_offsets::Offset::default()),
            Err(error) => Err(error),
        }
    }

    /// The namespaces that it is in.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn namespaces(&self) -> Result<NamespaceKey, HostError> {
        Ok(NamespaceKey {
            pid: self.namespace_inode(NamespaceKind::Pid)?,
            cgroup: self.namespace_inode(NamespaceKind::Cgroup)?,
        })
    }

    /// Holds one of its namespaces.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn hold_namespace(&self, kind: NamespaceKind) -> Result<HeldNamespace, HostError> {
        // The entries of ns/ are magic links: only here is a link followed, deliberately.
        let fd = rustix::fs::openat(
            &*self.dir,
            kind.proc_entry(),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| HostError::from_errno(errno, &self.path(kind.proc_entry())))?;
        Ok(HeldNamespace::new(fd))
    }

    /// A descriptor that becomes readable when the process ends. Only for a process, not a thread.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn pidfd(&self) -> Result<std::os::fd::OwnedFd, HostError> {
        let gone = || HostError::NotFound {
            path: self.dir.path().to_owned(),
        };
        let pid = i32::try_from(self.pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(gone)?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .map_err(|errno| HostError::from_errno(errno, self.dir.path()))?;
        // If the ID was reused in between, the open directory is dead.
        self.ensure_there()?;
        Ok(pidfd)
    }

    fn namespace_inode(&self, kind: NamespaceKind) -> Result<u64, HostError> {
        rustix::fs::statat(&*self.dir, kind.proc_entry(), AtFlags::empty())
            .map(|stat| stat.st_ino)
            .map_err(|errno| HostError::from_errno(errno, &self.path(kind.proc_entry())))
    }

    fn text(&self, name: &'static str) -> Result<Vec<u8>, HostError> {
        let mut text = Vec::new();
        KeptFile::new(Arc::clone(&self.dir), name, Shape::Records)
            .file()
            .read_required(&mut text)?;
        Ok(text)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known() {
        let host = Host::running(Duration::ZERO).unwrap();
        let me = Process::open(&host, std::process::id()).unwrap();
        assert!(me.start(&host).unwrap() <= host.boottime());
        assert!(me.parent().unwrap() > 0);
        assert_eq!(
            me.namespaces().unwrap(),
            NamespaceKey::of_self(&host).unwrap()
        );
        assert!(me.cgroup_text().unwrap().contains(&b'/'));
        let effective = rustix::thread::capabilities(None).unwrap().effective;
        for capability in [CapabilitySet::SYS_RESOURCE, CapabilitySet::CHOWN] {
            let has = effective.contains(capability);
            assert_eq!(me.has_capability(capability).unwrap(), has);
            // A capability in another user namespace does not count:
            // tests/tests/machine/address.rs.
            assert_eq!(me.has_capability_here(&host, capability).unwrap(), has);
        }
    }

    #[test]
    fn a_process_that_has_ended_is_not_found() {
        let host = Host::running(Duration::ZERO).unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = Process::open(&host, child.id()).unwrap();
        process.namespaces().unwrap();
        process.ensure_there().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(process.namespaces().unwrap_err().is_not_found());
        assert!(process.start(&host).unwrap_err().is_not_found());
        assert!(process.pidfd().unwrap_err().is_not_found());
        assert!(process.ensure_there().unwrap_err().is_not_found());
    }
}
