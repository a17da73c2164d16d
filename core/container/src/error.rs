//! Why a caller could not be told its container.

use vistafs_host::HostError;

/// A caller without a container that we could name.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// FUSE gave thread number 0: the caller is in a pid namespace that vistafs cannot see into.
    #[error("the caller is not visible in vistafs's pid namespace (run vistafs in the host's)")]
    Invisible,
    /// The caller ended meanwhile. Nobody waits for the answer.
    #[error("the caller has ended")]
    CallerGone,
    /// The kernel's files about it could not be read.
    #[error(transparent)]
    Kernel(#[from] HostError),
}
