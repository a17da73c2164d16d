//! The object behind an open file that is written to and polled.

use std::fmt::Debug;
use std::os::fd::AsFd;

use crate::{Request, ViewError};

/// Maximum size of the persistent state of an open file, in bytes.
pub const MOST_LASTING: usize = 64;

/// A kernel descriptor behind one open file of a view: the file is ready when the descriptor is.
/// Dropped when the last copy of the open file is closed.
pub trait Channel: AsFd + Debug + Send + Sync {
    /// Takes written data; the writer may be another caller than the opener. Returns the number of
    /// bytes taken.
    ///
    /// # Errors
    /// [`ViewError::Answer`] with the errno of the kernel's own file.
    fn write(&self, request: &mut Request<'_>, data: &[u8]) -> Result<usize, ViewError>;

    /// Returns the written state as bytes, from which another process recreates the descriptor if
    /// this one ends while the file is open ([`View::channel_again`], [`TreeView::channel_again`]).
    /// Called after each write; at most [`MOST_LASTING`] bytes.
    ///
    /// [`View::channel_again`]: crate::View::channel_again
    /// [`TreeView::channel_again`]: crate::TreeView::channel_again
    fn lasting(&self) -> Option<Vec<u8>> {
        None
    }

    /// Appends the whole contents to `out`, where they must be read through this descriptor.
    /// `None`: the view renders them.
    fn read(&self, request: &mut Request<'_>, out: &mut Vec<u8>) -> Option<Result<(), ViewError>> {
        let _ = (request, out);
        None
    }
}
