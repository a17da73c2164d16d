//! The namespaces of a task.
//!
//! A namespace is identified by its inode number in nsfs. The kernel reuses the number after the
//! namespace has ended, so code that uses it as a key also holds the namespace ([`HeldNamespace`]).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use vistafs_text::number;

use crate::{Host, HostError};

/// The namespaces that distinguish containers, and the user namespace, which decides about
/// privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceKind {
    /// pid_namespaces(7)
    Pid,
    /// cgroup_namespaces(7)
    Cgroup,
    /// user_namespaces(7)
    User,
}

impl NamespaceKind {
    pub(crate) fn proc_entry(self) -> &'static str {
        match self {
            Self::Pid => "ns/pid",
            Self::Cgroup => "ns/cgroup",
            Self::User => "ns/user",
        }
    }
}

/// The identity of a task's container: inode numbers of its pid and cgroup namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceKey {
    /// Inode number of the pid namespace.
    pub pid: u64,
    /// Inode number of the cgroup namespace.
    pub cgroup: u64,
}

impl NamespaceKey {
    /// Reads the namespaces of the task `tid`: two links, no allocation.
    ///
    /// # Errors
    /// `NotFound` when the task does not exist (any more).
    pub fn of_task(host: &Host, tid: u32) -> Result<Self, HostError> {
        Ok(Self {
            pid: inode(host, tid, NamespaceKind::Pid)?,
            cgroup: inode(host, tid, NamespaceKind::Cgroup)?,
        })
    }

    /// Reads the namespaces of the calling thread.
    ///
    /// # Errors
    /// When `/proc` does not show them.
    pub fn of_self(host: &Host) -> Result<Self, HostError> {
        let stat = |name: &str| {
            rustix::fs::statat(host.proc(), name, AtFlags::empty())
                .map(|stat| stat.st_ino)
                .map_err(|errno| HostError::from_errno(errno, &host.proc().path().join(name)))
        };
        Ok(Self {
            pid: stat("thread-self/ns/pid")?,
            cgroup: stat("thread-self/ns/cgroup")?,
        })
    }
}

fn inode(host: &Host, tid: u32, kind: NamespaceKind) -> Result<u64, HostError> {
    const LONGEST: usize = "4294967295/ns/cgroup".len();
    let mut name = [0u8; LONGEST];
    let path = join(&mut name, tid, kind.proc_entry());
    number_at(host.proc(), path).map_err(|errno| {
        let name = format!("{tid}/{}", kind.proc_entry());
        HostError::from_errno(errno, &host.proc().path().join(Path::new(&name)))
    })
}

/// Reads the inode number of a namespace from the text of its link; following the link for stat(2)
/// costs more.
pub(crate) fn number_at(dir: impl AsFd, path: &[u8]) -> Result<u64, Errno> {
    let mut text = [0u8; 64];
    let length = rustix::fs::readlinkat_raw(dir, path, &mut text[..])?;
    // Other links do not exist there.
    number_of(text.get(..length).unwrap_or_default()).ok_or(Errno::INVAL)
}

/// Parses the inode number of a link such as `pid:[4026531836]`.
fn number_of(link: &[u8]) -> Option<u64> {
    let bracket = link.iter().position(|byte| *byte == b'[')?;
    number::parse_u64(link.get(bracket + 1..)?.strip_suffix(b"]")?)
}

/// Writes `TID/ENTRY` into `buffer`, which fits the longest.
fn join<'b>(buffer: &'b mut [u8; 20], tid: u32, entry: &str) -> &'b [u8] {
    let mut length = 0;
    let mut digits = [0u8; 10];
    let mut rest = tid;
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    for byte in digits[first..].iter().chain(b"/").chain(entry.as_bytes()) {
        buffer[length] = *byte;
        length += 1;
    }
    debug_assert!(number::parse_u32(&digits[first..]) == Some(tid));
    &buffer[..length]
}

/// A namespace that lives at least as long as this value.
#[derive(Debug)]
pub struct HeldNamespace {
    fd: OwnedFd,
}

impl HeldNamespace {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl From<HeldNamespace> for OwnedFd {
    fn from(held: HeldNamespace) -> Self {
        held.fd
    }
}

impl AsFd for HeldNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined() {
        let mut buffer = [0; 20];
        assert_eq!(join(&mut buffer, 0, "ns/pid"), b"0/ns/pid");
        assert_eq!(join(&mut buffer, 120, "ns/pid"), b"120/ns/pid");
        assert_eq!(
            join(&mut buffer, u32::MAX, "ns/cgroup"),
            b"4294967295/ns/cgroup"
        );
    }

    #[test]
    fn links_tell_what_stat_does() {
        assert_eq!(number_of(b"pid:[4026531836]"), Some(4_026_531_836));
        for odd in ["", "pid:[]", "pid:[1", "pid1]", "pid:[x]"] {
            assert_eq!(number_of(odd.as_bytes()), None, "{odd}");
        }
        let host = Host::running(std::time::Duration::ZERO).unwrap();
        let own = NamespaceKey::of_self(&host).unwrap();
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        let asked = NamespaceKey::of_task(&host, tid.unsigned_abs()).unwrap();
        assert_eq!(asked, own);
    }

    #[test]
    fn no_task_has_the_number_zero() {
        let host = Host::running(std::time::Duration::ZERO).unwrap();
        assert!(NamespaceKey::of_task(&host, 0).unwrap_err().is_not_found());
    }
}
