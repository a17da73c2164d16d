//! What a view is, and what can go wrong in one.

use std::fmt::Debug;

use vistafs_host::HostError;
use vistafs_text::ParseError;

use crate::Context;

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
}
