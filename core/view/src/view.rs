//! What a view is, and what can go wrong in one.

use std::fmt::Debug;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use vistafs_host::HostError;
use vistafs_text::ParseError;

use crate::{Context, Request};

/// Why a view could not be rendered. The dispatcher maps it to an errno, in one place.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// A kernel file that is there could not be read or understood.
    #[error(transparent)]
    Kernel(#[from] HostError),
    /// A text of the host is not what the kernel documents.
    #[error("the host's {file}: {source}")]
    Host {
        /// Path below `/`.
        file: &'static str,
        /// Where in it.
        source: ParseError,
    },
    /// What the caller is to be answered, as the kernel answers; no fault of anybody's.
    #[error("{0}")]
    Answer(Errno),
}

/// Renders one file for one container.
///
/// A view is asked for containers only; the host's processes get the host's file without it.
pub trait View: Debug + Send + Sync + 'static {
    /// Appends the whole text to `out`, which is empty.
    ///
    /// # Errors
    /// An error reaches the reader as such. A view never makes a number up for one that it could
    /// not read.
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError>;

    /// Opens what stands behind the file for callers that write to it or poll it: what they write
    /// goes to this descriptor, and the file is ready when the descriptor is. It is opened at the
    /// first such call on an open file and kept as long as that is open. Callers on the host are
    /// asked for as well. `None`: not writable, always ready.
    ///
    /// # Errors
    /// [`ViewError::Answer`] with what the kernel's own file would answer.
    fn channel(&self, request: &mut Request<'_>) -> Result<Option<OwnedFd>, ViewError> {
        let _ = request;
        Ok(None)
    }

    /// Whether the caller may write `data` into the channel.
    ///
    /// # Errors
    /// [`ViewError::Answer`] with what the kernel's own file would answer.
    fn check_write(&self, request: &mut Request<'_>, data: &[u8]) -> Result<(), ViewError> {
        let _ = (request, data);
        Ok(())
    }
}
