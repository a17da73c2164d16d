//! Errors of the resolution of a caller.

use vistafs_host::HostError;

/// The container of a caller could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// FUSE passed thread ID 0: the caller is in a pid namespace that vistafs cannot see into.
    #[error("the caller is not visible in vistafs's pid namespace (run vistafs in the host's)")]
    Invisible,
    /// The caller has ended; no thread waits for the reply.
    #[error("the caller has ended")]
    CallerGone,
    /// The kernel's files about the caller could not be read.
    #[error(transparent)]
    Kernel(#[from] HostError),
}
