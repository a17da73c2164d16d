//! Why there is no handover.

use rustix::io::Errno;

/// Why memory cannot be made or taken over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The kernel refused it.
    #[error("cannot {what} the handover memory: {errno}")]
    Kernel {
        /// What was wanted.
        what: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The descriptor is not one of memory that was made for this.
    #[error("the descriptor is not vistafs's handover memory: {0} (start vistafs without it)")]
    Foreign(&'static str),
    /// It was made by a vistafs that lays it out in another way.
    #[error(
        "the handover memory is of layout {found}, this vistafs knows layouts up to {known} (install one that \
         knows it, or unmount and mount anew: counters begin anew then)"
    )]
    Version {
        /// What the memory says.
        found: u32,
        /// What is known here.
        known: u32,
    },
}

impl HandoverError {
    pub(crate) fn kernel(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Kernel { what, errno }
    }
}
