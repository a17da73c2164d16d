//! The only mapping of errors to errno.

use vistafs_container::ContainerError;
use vistafs_host::HostError;
use vistafs_view::ViewError;

/// The cause of a failed request.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The name does not exist for any caller.
    #[error("no such file")]
    NoEntry,
    /// The name exists, but this caller may not see it.
    #[error("not for this caller")]
    Hidden,
    /// Reserved for root on the host.
    #[error("for root on the host alone")]
    HostOnly,
    /// The kernel handles the operation itself from now on.
    #[error("not asked for")]
    NotAsked,
    /// An inode that is not valid (any more).
    #[error("stale node")]
    Stale,
    /// A directory operation on a file.
    #[error("not a directory")]
    NotDirectory,
    /// A file operation on a directory.
    #[error("is a directory")]
    IsDirectory,
    /// Not a symbolic link.
    #[error("not a symbolic link")]
    NotLink,
    /// A change of an immutable object.
    #[error("read-only view")]
    ReadOnly,
    /// A write to a file without write support.
    #[error("not writable")]
    NotWritable,
    /// A read for the page cache, which containers share.
    #[error("cannot be read by way of the page cache")]
    NotCacheable,
    /// The process that rendered the contents has ended, and they were not kept.
    #[error("the rest of the text is lost; read it again from its beginning")]
    TextLost,
    /// The caller's container could not be determined.
    #[error(transparent)]
    Caller(#[from] ContainerError),
    /// The view failed.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The view failed because the container's cgroup has been removed.
    #[error("the container's cgroup is gone")]
    ContainerGone,
    /// The data written to an open file was lost with its process and cannot be written again.
    #[error("what was written before the last worker ended cannot be set again: {0}")]
    NotAgain(rustix::io::Errno),
    /// No handle is left for one more open file.
    #[error("too many open files")]
    TooManyOpen,
    /// Too many requests of the container wait.
    #[error("too many requests of this container wait")]
    Busy,
    /// The container has crashed workers with this view.
    #[error("this view is in quarantine for this container")]
    Quarantined,
    /// A caught panic.
    #[error("internal error")]
    Panic,
}

impl From<HostError> for DispatchError {
    fn from(error: HostError) -> Self {
        Self::View(error.into())
    }
}

impl DispatchError {
    /// Returns the errno for the caller, the same as for the kernel's own files where possible.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::NoEntry => libc::ENOENT,
            // Upon any other error (but EINTR) the kernel drops the name for all callers, with all
            // mounts on it: fuse_dentry_revalidate.
            Self::Hidden | Self::Busy => libc::ENOMEM,
            Self::HostOnly => libc::EACCES,
            Self::NotAsked => libc::ENOSYS,
            Self::Stale => libc::ESTALE,
            Self::NotDirectory => libc::ENOTDIR,
            Self::IsDirectory => libc::EISDIR,
            Self::NotLink => libc::EINVAL,
            Self::TooManyOpen => libc::ENFILE,
            // Like procfs for chmod, unlink, mkdir and the like.
            Self::ReadOnly => libc::EPERM,
            // Like procfs for a write to a file without a write operation.
            Self::NotWritable => libc::EIO,
            // Programs that try sendfile(2) first then fall back to read(2).
            Self::NotCacheable => libc::EINVAL,
            Self::Caller(ContainerError::CallerGone) => libc::ESRCH,
            Self::Caller(ContainerError::Invisible) => libc::EACCES,
            Self::Caller(ContainerError::Kernel(error)) => kernel(error),
            Self::View(ViewError::Kernel(error)) => kernel(error),
            Self::View(ViewError::Host { .. }) => libc::EIO,
            Self::View(ViewError::Answer(errno) | ViewError::Fault { errno, .. })
            | Self::NotAgain(errno) => errno.raw_os_error(),
            // Like a read from a removed cgroup's own file.
            Self::ContainerGone => libc::ENODEV,
            Self::TextLost | Self::Quarantined | Self::Panic => libc::EIO,
        }
    }

    /// Returns whether the error is logged for the administrator. Errors that callers can cause at
    /// will are not logged: they would fill the log.
    #[must_use]
    pub fn is_worth_telling(&self) -> bool {
        matches!(
            self,
            Self::View(ViewError::Kernel(_) | ViewError::Host { .. } | ViewError::Fault { .. })
                | Self::Panic
                | Self::NotAgain(_)
                | Self::Caller(ContainerError::Kernel(_) | ContainerError::Invisible)
        )
    }
}

/// Maps a missing, refused or malformed kernel file to EIO: vistafs failed, not the reader.
fn kernel(error: &HostError) -> i32 {
    match error {
        HostError::NotFound { .. }
        | HostError::Denied { .. }
        | HostError::Malformed { .. }
        | HostError::Io { .. } => libc::EIO,
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use vistafs_text::ParseError;

    use super::*;

    #[test]
    fn every_error_has_its_errno() {
        let malformed = || ParseError::new("a number", 1, b"x");
        let path = || "/proc/x".into();
        let io = || std::io::Error::from_raw_os_error(libc::EBADMSG);
        let rows: Vec<(DispatchError, i32)> = vec![
            (DispatchError::NoEntry, libc::ENOENT),
            (DispatchError::Hidden, libc::ENOMEM),
            (DispatchError::HostOnly, libc::EACCES),
            (DispatchError::NotAsked, libc::ENOSYS),
            (DispatchError::Stale, libc::ESTALE),
            (DispatchError::NotDirectory, libc::ENOTDIR),
            (DispatchError::IsDirectory, libc::EISDIR),
            (DispatchError::NotLink, libc::EINVAL),
            (DispatchError::ReadOnly, libc::EPERM),
            (DispatchError::NotWritable, libc::EIO),
            (DispatchError::NotCacheable, libc::EINVAL),
            (DispatchError::ContainerGone, libc::ENODEV),
            (DispatchError::Panic, libc::EIO),
            (DispatchError::TextLost, libc::EIO),
            (DispatchError::Busy, libc::ENOMEM),
            (DispatchError::Quarantined, libc::EIO),
            (ViewError::Answer(Errno::BUSY).into(), libc::EBUSY),
            (DispatchError::NotAgain(Errno::INVAL), libc::EINVAL),
            (
                ViewError::Fault {
                    errno: Errno::FBIG,
                    why: "too long".into(),
                }
                .into(),
                libc::EFBIG,
            ),
            (ContainerError::CallerGone.into(), libc::ESRCH),
            (ContainerError::Invisible.into(), libc::EACCES),
            (
                ContainerError::Kernel(HostError::Denied { path: path() }).into(),
                libc::EIO,
            ),
            (HostError::NotFound { path: path() }.into(), libc::EIO),
            (
                HostError::Io {
                    path: path(),
                    source: io(),
                }
                .into(),
                libc::EIO,
            ),
            (
                HostError::Malformed {
                    path: path(),
                    source: malformed(),
                }
                .into(),
                libc::EIO,
            ),
            (
                ViewError::Host {
                    file: "proc/stat",
                    source: malformed(),
                }
                .into(),
                libc::EIO,
            ),
        ];
        for (error, errno) in rows {
            assert_eq!(error.errno(), errno, "{error:?}");
        }
    }
}
