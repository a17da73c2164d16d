//! What stands behind an open file that is written to and polled.

use std::fmt::Debug;
use std::os::fd::AsFd;

use crate::ViewError;

/// A descriptor of the kernel's that one open file of a view is made of: the file is ready when the
/// descriptor is. Dropped when the open file is closed, by whoever closes it last.
pub trait Channel: AsFd + Debug + Send + Sync {
    /// Takes what a caller writes; how many bytes of it were taken.
    ///
    /// # Errors
    /// [`ViewError::Answer`] with what the kernel's own file would answer.
    fn write(&self, data: &[u8]) -> Result<usize, ViewError>;
}
