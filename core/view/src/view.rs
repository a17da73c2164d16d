//! The contract of a view of one file, and its errors.

use std::fmt::Debug;

use rustix::io::Errno;
use vistafs_container::Container;
use vistafs_host::HostError;
use vistafs_text::ParseError;

use crate::{Channel, Context, Request};

/// Error of rendering a view. The dispatcher maps it to an errno, in one place.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// An existing kernel file could not be read or parsed.
    #[error(transparent)]
    Kernel(#[from] HostError),
    /// A host file does not match the kernel's documentation.
    #[error("the host's {file}: {source}")]
    Host {
        /// Path below `/`.
        file: &'static str,
        /// Position.
        source: ParseError,
    },
    /// A fault of the view, with an explanation.
    #[error("{why}")]
    Fault {
        /// The caller's errno.
        errno: Errno,
        /// For the administrator.
        why: String,
    },
    /// An errno that the kernel's own file would return; not a fault.
    #[error("{0}")]
    Answer(Errno),
}

/// Renders one file for one container.
///
/// A view is called for containers only; the host's processes get the host's file without it.
pub trait View: Debug + Send + Sync + 'static {
    /// Appends the whole contents to `out`, which is empty.
    ///
    /// # Errors
    /// The reader gets the error. A view never invents a number that it could not read.
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError>;

    /// Appends the contents for callers on the host. `None`: the host's own file.
    fn render_on_host(
        &self,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Result<(), ViewError>> {
        let _ = (request, out);
        None
    }

    /// Whether a rendering may wait for anything but the kernel. It then waits on the container's
    /// offload thread.
    fn takes_time(&self) -> bool {
        false
    }

    /// Whether a rendering for this container would now walk what the container created, such as
    /// all its cgroups and threads. It then runs on the container's offload thread. Serving threads
    /// call this at each read, so it must cost a look-up at most.
    fn must_walk(&self, container: &Container) -> bool {
        let _ = container;
        false
    }

    /// Whether the contents for one container keep their length as long as only numbers in them
    /// change. Other contents may be padded with spaces, so that their length stays the same for a
    /// while.
    fn keeps_its_length(&self) -> bool {
        false
    }

    /// Opens the channel of a file for callers that write to it or poll it. Called for views with a
    /// write bit in their mode, once for each open file: when it is opened for writing, and for
    /// that caller; else at the first poll. Callers on the host are included. It may block. `None`:
    /// not writable, always ready.
    ///
    /// # Errors
    /// [`ViewError::Answer`]: the errno of each write and poll of this open file.
    fn channel(&self, request: &mut Request<'_>) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let _ = request;
        Ok(None)
    }

    /// Recreates the channel of a file that an earlier process opened, from its persistent state
    /// ([`Channel::lasting`]). The caller may differ from the opener.
    ///
    /// # Errors
    /// As [`channel`](Self::channel).
    fn channel_again(
        &self,
        request: &mut Request<'_>,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let _ = lasting;
        self.channel(request)
    }
}
