//! What a view is, and what can go wrong in one.

use std::fmt::Debug;

use rustix::io::Errno;
use vistafs_container::Container;
use vistafs_host::HostError;
use vistafs_text::ParseError;

use crate::{Channel, Context, Request};

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
    /// A fault of the view's own, which it tells in words.
    #[error("{why}")]
    Fault {
        /// What the caller is answered.
        errno: Errno,
        /// For the administrator.
        why: String,
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

    /// Appends what callers on the host are shown. `None`: the host's own file.
    fn render_on_host(
        &self,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Result<(), ViewError>> {
        let _ = (request, out);
        None
    }

    /// Whether a rendering may wait for others than the kernel. It then waits where it delays nobody
    /// but its own container.
    fn takes_time(&self) -> bool {
        false
    }

    /// Whether a rendering for this container would now walk what the container has made, such as all its cgroups
    /// and threads. It then runs on the container's offload thread. Serving threads ask this at each read, so
    /// the answer must cost a look-up at most.
    fn must_walk(&self, container: &Container) -> bool {
        let _ = container;
        false
    }

    /// Whether the texts of one container have the same length as long as nothing but numbers in
    /// them changes. Others may be followed by spaces, so that their length stays for a while.
    fn keeps_its_length(&self) -> bool {
        false
    }

    /// Opens what stands behind the file for callers that write to it or poll it. Asked of views
    /// whose mode lets somebody write, once for each open file: when it is opened for writing, and by
    /// that caller; else at the first poll. Callers on the host are asked for as well. It may take
    /// its time. `None`: not writable, always ready.
    ///
    /// # Errors
    /// [`ViewError::Answer`]: what each write and poll of this open file will be answered.
    fn channel(&self, request: &mut Request<'_>) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let _ = request;
        Ok(None)
    }

    /// The same for a file that an earlier process has opened, and whose channel has left this
    /// ([`Channel::lasting`]): it is to be as it was. Who asks need not be the one who has opened it.
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
