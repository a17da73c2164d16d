//! Errors of reading kernel files, named for the caller's possible reaction.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use vistafs_text::ParseError;

/// An error of reading a kernel file or process. Always names the object.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The object does not exist: the kernel lacks it, or its process or cgroup is gone.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// Path of the missing object.
        path: PathBuf,
    },
    /// Access is refused: a missing capability, a security module, or a container around vistafs
    /// itself.
    #[error("{}: permission denied (vistafs needs CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH in the initial user namespace)", path.display())]
    Denied {
        /// Path of the refused object.
        path: PathBuf,
    },
    /// The contents do not match the kernel's documentation.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it, and what was expected.
        source: ParseError,
    },
    /// Any other error of the kernel.
    #[error("{}: {source}", path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
}

impl HostError {
    /// Wraps the kernel's error for `path`.
    ///
    /// ESRCH counts as "not found": files of an ended process return it.
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

    /// Wraps a parse error.
    #[must_use]
    pub fn malformed(path: &Path, source: ParseError) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the object does not exist (any more).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// Returns errno of a system call that was made without a library.
#[must_use]
pub fn last_errno() -> Errno {
    let errno = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(errno.unwrap_or(libc::EIO))
}
