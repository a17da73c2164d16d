//! What stands behind an open file that is written to and polled.

use std::fmt::Debug;
use std::os::fd::AsFd;

use crate::{Request, ViewError};

/// How many bytes of what was written to an open file may last.
pub const MOST_LASTING: usize = 64;

/// A descriptor of the kernel's that one open file of a view is made of: the file is ready when the
/// descriptor is. Dropped when the open file is closed, by whoever closes it last.
pub trait Channel: AsFd + Debug + Send + Sync {
    /// Takes what a caller writes, who need not be the one that has opened the file; how many bytes of
    /// it were taken.
    ///
    /// # Errors
    /// [`ViewError::Answer`] with what the kernel's own file would answer.
    fn write(&self, request: &mut Request<'_>, data: &[u8]) -> Result<usize, ViewError>;

    /// What was written and makes of the descriptor what it is, as bytes that another process makes such a
    /// descriptor from should this one end while the file is open ([`View::channel_again`],
    /// [`TreeView::channel_again`]). Asked for after each write; [`MOST_LASTING`] bytes at most.
    ///
    /// [`View::channel_again`]: crate::View::channel_again
    /// [`TreeView::channel_again`]: crate::TreeView::channel_again
    fn lasting(&self) -> Option<Vec<u8>> {
        None
    }

    /// Appends the whole text to `out`, where it has to be read by way of this descriptor. `None`: the
    /// view renders it.
    fn read(&self, request: &mut Request<'_>, out: &mut Vec<u8>) -> Option<Result<(), ViewError>> {
        let _ = (request, out);
        None
    }
}
