//! What can go wrong with a kernel file, named for what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use vistafs_text::ParseError;

/// A kernel file or process that could not be read. Always names the object.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It is not there: the kernel lacks it, or its process or cgroup is gone.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// What was looked for.
        path: PathBuf,
    },
    /// We may not: a missing capability, a security module, or a container around vistafs itself.
    #[error("{}: permission denied (vistafs needs CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH in the initial user namespace)", path.display())]
    Denied {
        /// What was refused.
        path: PathBuf,
    },
    /// The text is not what the kernel documents.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it, and what was expected.
        source: ParseError,
    },
    /// Any other failure of the kernel's.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was being read.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl HostError {
    /// Wraps the kernel's answer about `path`.
    ///
    /// ESRCH counts as "not found": files of a process that has ended answer so.
    #[must_use]
    pub fn from_errno(errno: Errno, path: &Path) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::NOENT | Errno::SRCH | Errno::NODEV => Self::NotFound { path },
            Errno::ACCESS | Errno::PERM => Self::Denied { path },
            _ => Self::Io {
                path,
                source: errno.into(),
            },
        }
    }

    /// Wraps a text that could not be understood.
    #[must_use]
    pub fn malformed(path: &Path, source: ParseError) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the object is simply not there (any more).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// What the kernel has just answered a system call that no library makes.
#[must_use]
pub fn last_errno() -> Errno {
    let errno = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(errno.unwrap_or(libc::EIO))
}
