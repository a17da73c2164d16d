//! Pressure stall information of a cgroup; only v2 has it.
//!
//! `cgroup-v2.rst`, `cpu.pressure` and the like, and `psi.rst`. No controller has to be enabled.
//! The files are missing where the kernel was built or started without PSI, and where
//! `cgroup.pressure` disables them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use vistafs_host::{Dir, FileSpec, Host, HostError, KeptFiles, without_sys_resource};

use crate::Cgroup;

/// The resource that tasks wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A free CPU.
    Cpu,
    /// Memory to be reclaimed, swapped in or read again.
    Memory,
    /// Block I/O.
    Io,
    /// The end of an interrupt.
    Irq,
}

impl Resource {
    fn file_of_cgroup(self) -> &'static str {
        match self {
            Self::Cpu => "cpu.pressure",
            Self::Memory => "memory.pressure",
            Self::Io => "io.pressure",
            Self::Irq => "irq.pressure",
        }
    }

    fn file_of_host(self) -> &'static str {
        match self {
            Self::Cpu => "proc/pressure/cpu",
            Self::Memory => "proc/pressure/memory",
            Self::Io => "proc/pressure/io",
            Self::Irq => "proc/pressure/irq",
        }
    }
}

/// The pressure files of one cgroup.
#[derive(Debug)]
pub struct Pressure {
    cgroup: Arc<Cgroup>,
    files: KeptFiles<4>,
}

/// In the order of [`Resource`].
static FILES: [FileSpec; 4] = [
    FileSpec::whole("cpu.pressure"),
    FileSpec::whole("memory.pressure"),
    FileSpec::whole("io.pressure"),
    FileSpec::whole("irq.pressure"),
];

impl Pressure {
    /// Names the files and opens none.
    #[must_use]
    pub fn new(cgroup: &Arc<Cgroup>) -> Self {
        Self {
            files: KeptFiles::new(cgroup.own(), &FILES),
            cgroup: Arc::clone(cgroup),
        }
    }

    /// Replaces `text` with the kernel's contents. `false`: the kernel has no such file.
    ///
    /// # Errors
    /// When an existing file cannot be read, or the cgroup has been removed.
    pub fn read(&self, resource: Resource, text: &mut Vec<u8>) -> Result<bool, HostError> {
        let file = self.files.at(match resource {
            Resource::Cpu => 0,
            Resource::Memory => 1,
            Resource::Io => 2,
            Resource::Irq => 3,
        });
        let is_there = match file.read(text) {
            Err(HostError::Io { source, .. })
                if source.raw_os_error() == Some(libc::EOPNOTSUPP) =>
            {
                false
            }
            read => read?,
        };
        if !is_there {
            self.cgroup.ensure_alive()?;
        }
        Ok(is_there)
    }

    /// Opens a file for a trigger requested by a caller that is or is not privileged
    /// (CAP_SYS_RESOURCE). `None`: there is no such file.
    ///
    /// # Errors
    /// When it cannot be opened, or the cgroup has been removed.
    pub fn open(
        &self,
        resource: Resource,
        privileged: bool,
    ) -> Result<Option<PressureFile>, HostError> {
        let name = Path::new(resource.file_of_cgroup());
        let dir = self.cgroup.own();
        let (opened, rule) = match open(dir, name, privileged) {
            Err(Errno::PERM) if !privileged => (open(dir, name, true), Rule::Ours),
            opened => (opened, Rule::Kernel),
        };
        match opened {
            Ok(fd) => Ok(Some(PressureFile { fd, rule })),
            Err(Errno::NOENT | Errno::NODEV) => {
                self.cgroup.ensure_alive()?;
                Ok(None)
            }
            Err(errno) => Err(HostError::from_errno(errno, &dir.path().join(name))),
        }
    }
}

/// Enforces that a caller without CAP_SYS_RESOURCE uses only windows of whole multiples of 2 s.
///
/// The kernel checks such windows at intervals that it has anyway; for any other window it runs a
/// real-time thread for the cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The kernel.
    Kernel,
    /// vistafs: a kernel before 6.5 opens the file only for privileged callers.
    Ours,
}

/// A pressure file that is open for a trigger.
#[derive(Debug)]
pub struct PressureFile {
    fd: OwnedFd,
    rule: Rule,
}

impl PressureFile {
    /// Opens the host's file, for a caller on the host.
    ///
    /// # Errors
    /// The errno that the kernel returns to such a caller.
    pub fn of_host(host: &Host, resource: Resource, privileged: bool) -> Result<Self, Errno> {
        let fd = open(host.root(), Path::new(resource.file_of_host()), privileged)?;
        Ok(Self {
            fd,
            rule: Rule::Kernel,
        })
    }

    /// Returns which side enforces the rule about windows.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Writes a trigger.
    ///
    /// # Errors
    /// EINVAL for a malformed trigger, EBUSY if the file has one already, ENODEV for a removed
    /// cgroup.
    pub fn write(&self, text: &[u8]) -> Result<usize, Errno> {
        rustix::io::write(&self.fd, text)
    }
}

impl AsFd for PressureFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens with no more capabilities than the caller has: the kernel judges a trigger by the
/// capabilities of the opener.
fn open(dir: &Dir, name: &Path, privileged: bool) -> Result<OwnedFd, Errno> {
    if privileged {
        dir.open_file_to_write(name)
    } else {
        without_sys_resource(|| dir.open_file_to_write(name))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hierarchies;

    #[test]
    fn files_come_and_go_and_a_cgroup_goes_for_ever() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("c/box");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("cgroup.procs"), "").unwrap();
        std::fs::write(dir.join("io.pressure"), "some avg10=0.00\n").unwrap();
        let mounts = b"20 1 0:20 / /c rw - cgroup2 cgroup2 rw\n";
        let all = Hierarchies::discover(mounts, tmp.path()).unwrap();
        let located = all.locate_path(Path::new("/box")).unwrap();
        let pressure = Pressure::new(located.of(&all, "pressure").unwrap());
        let mut text = b"old".to_vec();
        assert!(!pressure.read(Resource::Irq, &mut text).unwrap());
        assert!(pressure.read(Resource::Io, &mut text).unwrap());
        assert_eq!(text, b"some avg10=0.00\n");
        for privileged in [false, true] {
            assert!(pressure.open(Resource::Irq, privileged).unwrap().is_none());
            let file = pressure.open(Resource::Io, privileged).unwrap().unwrap();
            assert_eq!(file.rule(), Rule::Kernel);
            assert_eq!(file.write(b"some").unwrap(), 4);
        }
        std::fs::remove_dir_all(&dir).unwrap();
        let read = pressure.read(Resource::Cpu, &mut text);
        assert!(read.unwrap_err().is_not_found());
        let opened = pressure.open(Resource::Cpu, true);
        assert!(opened.unwrap_err().is_not_found());
    }
}
