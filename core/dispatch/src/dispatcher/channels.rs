//! Operations on open files that are written to or polled.

use std::sync::Arc;

use vistafs_handover::ContainerKey;
use vistafs_view::{Access, Asker, Provider, ViewError};

use super::Dispatcher;
use crate::channel::{OpenChannel, Wake};
use crate::errno::DispatchError;
use crate::figures::Operation;
use crate::open_files::{Behind, OpenFile, Shows};

/// Ready for all events, like a /proc file without a poll operation.
const ALWAYS_READY: u32 =
    (libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLWRNORM) as u32;

/// Parameters of FUSE_POLL.
pub(crate) struct Poll {
    /// The requested poll(2) events.
    pub(crate) events: u32,
    /// The kernel's ID of the open file, for the notification.
    pub(crate) number: u64,
    /// Notifies the kernel to poll again, if a caller waits.
    pub(crate) wake: Option<Wake>,
}

impl Dispatcher {
    /// Writes to an open file; returns the number of bytes taken. `opened`: its access mode.
    ///
    /// # Errors
    /// `NotWritable`; errors of the view or the kernel.
    pub fn write(
        &self,
        number: u64,
        (handle, opened): (u64, Access),
        data: &[u8],
        asker: Asker,
    ) -> Result<usize, DispatchError> {
        let mut counted = self.figures.begin(Operation::Write);
        let file = self.open_files.get(handle);
        let file = self.opened_counted(file, number, (handle, opened), &mut counted, asker)?;
        let written = self.write_file((handle, &file), data, asker);
        self.took(file.view, &file.shows, counted.took());
        counted.end(written)
    }

    fn write_file(
        &self,
        (handle, file): (u64, &OpenFile),
        data: &[u8],
        asker: Asker,
    ) -> Result<usize, DispatchError> {
        let channel = self
            .channel(file, asker)?
            .ok_or(DispatchError::NotWritable)?;
        let taken = self.requested(file.view, &file.shows, asker, |request| {
            channel.write(request, data)
        })?;
        if let Some(handover) = self.handover()
            && let Some(lasting) = channel.lasting()
        {
            // Without room, a poll in the successor process behaves as if nothing was written.
            let _ = handover.keep_written(handle, whose(&file.shows), &lasting);
        }
        Ok(taken)
    }

    /// Prepares to repeat a write whose process has ended: removes that process's record of it.
    pub(crate) fn write_again(&self, handle: u64) {
        if let Some(handover) = self.handover()
            && self.open_files.get(handle).is_none()
        {
            handover.forget_written(handle);
        }
    }

    /// Returns the polled events that are ready; if there are none, registers a wake-up.
    ///
    /// # Errors
    /// Errors of the view's channel.
    pub(crate) fn poll(
        &self,
        number: u64,
        handle: u64,
        poll: Poll,
        asker: Asker,
    ) -> Result<u32, DispatchError> {
        if self.no_open {
            // All files are always ready.
            return Err(DispatchError::NotAsked);
        }
        // FUSE_POLL does not contain the access mode of another worker's file.
        let access = Access {
            read: true,
            write: false,
        };
        let file = self.opened(number, handle, access, asker)?;
        let Some(channel) = self.channel(&file, asker)? else {
            return Ok(ALWAYS_READY & poll.events);
        };
        if let Some(wake) = poll.wake {
            if let Some(handover) = self.handover() {
                handover.note_poller(poll.number);
            }
            self.waiting
                .watch(handle, &channel, poll.events, (poll.number, wake))
                .map_err(ViewError::Answer)?;
        }
        Ok(channel.ready(poll.events).map_err(ViewError::Answer)?)
    }

    /// Closes a file.
    pub fn close(&self, handle: u64) {
        if let Some(handover) = self.handover() {
            handover.close_handle(handle);
        }
        let closed = self.open_files.close(handle);
        let closed = closed.map(|file| (file.behind.into_inner(), file.shows));
        // A file that this process has not opened may have been written before.
        let may_last = match &closed {
            Some((behind, _)) => !matches!(behind, Behind::Unknown | Behind::Nothing),
            None => true,
        };
        if may_last {
            let polled = self.waiting.forget(handle);
            if let Some(handover) = self.handover() {
                polled.into_iter().for_each(|n| handover.forget_poller(n));
                handover.forget_written(handle);
            }
        }
        if let Some((Behind::Channel(channel), shows)) = closed {
            // Closing it may take the kernel 10 ms.
            let close = move |_| drop(channel);
            self.account(&shows).work.give(0, Box::new(close));
        }
    }

    /// Returns whether the files of a view may have channels.
    pub(super) fn has_channels(&self, view: usize) -> bool {
        let view = &self.views[view];
        match view.provider {
            Provider::File(_) => view.mode & 0o222 != 0,
            _ => true,
        }
    }

    /// Returns the channel of an open file, if it has one.
    pub(super) fn channel(
        &self,
        file: &OpenFile,
        asker: Asker,
    ) -> Result<Option<Arc<OpenChannel>>, DispatchError> {
        match self.behind(file, asker)? {
            Behind::Channel(channel) => Ok(Some(channel)),
            Behind::Refused(errno) => Err(ViewError::Answer(errno).into()),
            Behind::Nothing | Behind::Unknown | Behind::Lasting(_) => Ok(None),
        }
    }

    /// Returns the channel state of an open file, never `Unknown` or `Lasting`.
    pub(super) fn behind(&self, file: &OpenFile, asker: Asker) -> Result<Behind, DispatchError> {
        if !self.has_channels(file.view) {
            return Ok(Behind::Nothing);
        }
        let mut behind = file.behind.lock();
        let lasting = match &*behind {
            Behind::Unknown => Some(None),
            Behind::Lasting(lasting) => Some(Some(lasting.clone())),
            _ => None,
        };
        if let Some(lasting) = lasting {
            let (view, provider) = (file.view, &self.views[file.view].provider);
            let opened = self.requested(view, &file.shows, asker, |request| {
                match (provider, lasting.as_deref()) {
                    (Provider::File(view), None) => view.channel(request),
                    (Provider::File(view), Some(lasting)) => view.channel_again(request, lasting),
                    (Provider::Tree(tree), None) => tree.channel(request, file.within, file.access),
                    (Provider::Tree(tree), Some(lasting)) => {
                        tree.channel_again(request, file.within, file.access, lasting)
                    }
                    _ => Ok(None),
                }
            });
            if let (Err(DispatchError::View(ViewError::Answer(errno))), true) =
                (&opened, lasting.is_some())
            {
                let error = DispatchError::NotAgain(*errno);
                self.told_of(view, &file.shows, error);
            }
            *behind = match opened {
                Ok(Some(channel)) => Behind::Channel(Arc::new(OpenChannel::new(channel))),
                Ok(None) => Behind::Nothing,
                // For a tree, the open fails like the kernel's own; a view of one file returns the
                // error at each write and poll.
                Err(DispatchError::View(ViewError::Answer(errno)))
                    if matches!(provider, Provider::File(_)) =>
                {
                    Behind::Refused(errno)
                }
                Err(error) => return Err(error),
            };
        }
        Ok(behind.clone())
    }
}

/// Returns a key of the file's container, the same in every process.
pub(super) fn whose(shows: &Shows) -> ContainerKey {
    match shows {
        Shows::Host => ContainerKey::new(b"host"),
        Shows::Container(container) => {
            ContainerKey::new(&[b"container", &container.mark()[..]].concat())
        }
    }
}
