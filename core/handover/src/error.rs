//! Errors of creating or adopting the shared memory.

use rustix::io::Errno;

/// An error of creating or adopting the memory.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The kernel refused it.
    #[error("cannot {what} the handover memory: {errno}")]
    Kernel {
        /// The failed operation.
        what: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The descriptor does not refer to vistafs's shared memory.
    #[error("the descriptor is not vistafs's handover memory: {0} (start vistafs without it)")]
    Foreign(&'static str),
    /// Another vistafs created it with another layout.
    #[error(
        "the handover memory is of layout {found}, this vistafs knows layouts up to {known} (install one that \
         knows it, or unmount and mount anew: counters begin anew then)"
    )]
    Version {
        /// The version in the memory.
        found: u32,
        /// The version supported here.
        known: u32,
    },
}

impl HandoverError {
    pub(crate) fn kernel(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Kernel { what, errno }
    }
}
