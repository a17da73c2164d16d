//! Open files: reading, writing, polling.

use std::path::Path;
use std::sync::Arc;

use vistafs_container::{Caller, Container};
use vistafs_view::{
    Access, Asker, Context, NodeId, Provider, Registered, Request, View, ViewError,
};

use super::{Dispatcher, SCRATCH, alive_or_gone};
use crate::aside::Aside;
use crate::channel::{OpenChannel, Wake};
use crate::errno::DispatchError;
use crate::figures::{Counted, Operation};
use crate::open_files::{Behind, OpenFile, Shows};
use crate::tree::Node;

/// Ready for everything, as a /proc file without a poll operation.
const ALWAYS_READY: u32 =
    (libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLWRNORM) as u32;

/// What a caller of poll(2) wants to know.
pub(crate) struct Poll {
    /// poll(2) events that it asks for.
    pub(crate) events: u32,
    /// Tells the kernel to ask again, if somebody waits.
    pub(crate) wake: Option<Wake>,
}

impl Dispatcher {
    /// Opens a file for the caller's container; its handle.
    ///
    /// # Errors
    /// `IsDirectory`, `Stale`, `Caller`; what a tree view answers.
    pub fn open(&self, number: u64, access: Access, asker: Asker) -> Result<u64, DispatchError> {
        let mut counted = self.figures.begin(Operation::Open);
        counted.view = self.view_of(number);
        let opened = self.open_counted(number, access, asker);
        counted.end(opened)
    }

    fn open_counted(
        &self,
        number: u64,
        access: Access,
        asker: Asker,
    ) -> Result<u64, DispatchError> {
        let file = self.file(number, asker)?;
        self.open_in_tree(&file, access, asker)?;
        if access.write && self.has_channels(file.view) {
            // Now, because what may be written depends on who has opened it, as with the kernel's.
            self.behind(&file, asker)?;
        }
        Ok(self.open_files.open(file))
    }

    /// Calls `reply` with up to `size` bytes from `offset` of an open file. At offset 0 the text is
    /// rendered afresh; further on it is the rest of the same text.
    ///
    /// # Errors
    /// `View`, `ContainerGone`; for a handle of another worker also those of `open`.
    pub fn read(
        &self,
        number: u64,
        handle: u64,
        offset: u64,
        size: usize,
        asker: Asker,
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        let mut counted = self.figures.begin(Operation::Read);
        let file = self.opened_counted(number, handle, &mut counted, asker)?;
        counted.end(self.read_file(&file, offset, size, asker, reply))
    }

    fn read_file(
        &self,
        file: &OpenFile,
        offset: u64,
        size: usize,
        asker: Asker,
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        let mut text = file.text.lock();
        if offset > 0 && text.ended_at.is_some_and(|end| offset >= end) {
            reply(&[]);
            return Ok(());
        }
        if offset == 0 || !text.rendered {
            let mut bytes = std::mem::take(&mut text.bytes);
            if bytes.capacity() == 0 {
                bytes = self.open_files.buffer();
            }
            bytes.clear();
            text.rendered = false;
            text.ended_at = None;
            self.render(file, asker, &mut bytes)?;
            text.bytes = bytes;
            text.rendered = true;
        }
        let length = text.bytes.len();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(length);
        let to = from.saturating_add(size).min(length);
        reply(&text.bytes[from..to]);
        if from == length {
            text.ended_at = Some(length as u64);
            text.rendered = false;
            self.open_files.give_back(std::mem::take(&mut text.bytes));
        }
        Ok(())
    }

    /// Writes into an open file; how many bytes were taken.
    ///
    /// # Errors
    /// `NotWritable`; what the view or the kernel answers.
    pub fn write(
        &self,
        number: u64,
        handle: u64,
        data: &[u8],
        asker: Asker,
    ) -> Result<usize, DispatchError> {
        let mut counted = self.figures.begin(Operation::Write);
        let file = self.opened_counted(number, handle, &mut counted, asker)?;
        counted.end(self.write_file(&file, data, asker))
    }

    fn write_file(
        &self,
        file: &OpenFile,
        data: &[u8],
        asker: Asker,
    ) -> Result<usize, DispatchError> {
        if !matches!(self.views[file.view].provider, Provider::File(_)) {
            return self.write_in_tree(file, data, asker);
        }
        let channel = self
            .channel(file, asker)?
            .ok_or(DispatchError::NotWritable)?;
        let written = channel.write(data);
        written.map_err(|error| self.failed(file.view, &file.shows, error))
    }

    /// Which of the events that a caller polls for are there; if none is, it is woken later.
    ///
    /// # Errors
    /// As the view's channel.
    pub(crate) fn poll(
        &self,
        number: u64,
        handle: u64,
        poll: Poll,
        asker: Asker,
    ) -> Result<u32, DispatchError> {
        let access = Access {
            read: true,
            write: false,
        };
        let file = self.opened(number, handle, access, asker)?;
        let Some(channel) = self.channel(&file, asker)? else {
            return Ok(ALWAYS_READY & poll.events);
        };
        if let Some(wake) = poll.wake {
            self.waiting
                .watch(handle, &channel, poll.events, wake)
                .map_err(ViewError::Answer)?;
        }
        Ok(channel.ready(poll.events).map_err(ViewError::Answer)?)
    }

    /// Closes a file.
    pub fn close(&self, handle: u64) {
        self.waiting.forget(handle);
        let Some(file) = self.open_files.close(handle) else {
            return;
        };
        if let Behind::Channel(channel) = file.behind.into_inner() {
            self.aside(&file.shows).give(move || drop(channel));
        }
    }

    /// Where to open a file if that may take long.
    pub(crate) fn aside_to_open(
        &self,
        number: u64,
        access: Access,
        asker: Asker,
    ) -> Option<Arc<Aside>> {
        let place = self.place(number).ok()?;
        match *self.tree.node(place.node) {
            Node::View(view) if access.write && self.has_channels(view) => {
                let shows = self.shows(view, &place, asker).ok()?;
                Some(self.aside(&shows))
            }
            _ => None,
        }
    }

    /// Where to poll a file if that may take long: what stands behind it is not open yet.
    pub(crate) fn aside_to_poll(&self, handle: u64) -> Option<Arc<Aside>> {
        let file = self.open_files.get(handle)?;
        let behind = file.behind.try_lock().map(|behind| behind.clone());
        let is_known = behind.is_some_and(|behind| !matches!(behind, Behind::Unknown));
        (self.has_channels(file.view) && !is_known).then(|| self.aside(&file.shows))
    }

    fn aside(&self, shows: &Shows) -> Arc<Aside> {
        match shows {
            Shows::Host => Arc::clone(&self.aside),
            Shows::Container(container) => container.state(),
        }
    }

    /// Whether something may stand behind the files of a view.
    fn has_channels(&self, view: usize) -> bool {
        let view = &self.views[view];
        matches!(view.provider, Provider::File(_)) && view.mode & 0o222 != 0
    }

    /// What a view shows to a caller, without a mount; of a tree, the file or link at `below`.
    ///
    /// # Errors
    /// `View`, `ContainerGone`; what a tree view answers.
    pub fn show(
        &self,
        view: &Registered,
        below: &Path,
        caller: &Caller,
        out: &mut Vec<u8>,
    ) -> Result<(), DispatchError> {
        let container = match caller {
            Caller::Host => None,
            Caller::Inside(container) => Some(container),
        };
        let shown = match (&view.provider, container) {
            (Provider::File(view), Some(container)) => self.rendered(&**view, container, out),
            (Provider::Tree(tree), _) => self.shown_in_tree(&**tree, below, container, out),
            _ => Ok(self.containers.host().read_now(view.spec.path, out)?),
        };
        shown.map_err(|error| match container {
            Some(container) => alive_or_gone(container, error),
            None => error.into(),
        })
    }

    fn rendered(
        &self,
        view: &dyn View,
        container: &Arc<Container>,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut cx = Context::new(container, self.containers.host(), self.policy, scratch);
            view.render(&mut cx, out)
        })
    }

    /// The file that a handle stands for; one of another worker's is opened again.
    fn opened(
        &self,
        number: u64,
        handle: u64,
        access: Access,
        asker: Asker,
    ) -> Result<Arc<OpenFile>, DispatchError> {
        if let Some(file) = self.open_files.get(handle) {
            return Ok(file);
        }
        let file = self.file(number, asker)?;
        self.open_in_tree(&file, access, asker)?;
        Ok(self.open_files.adopt(handle, file))
    }

    /// The file of a request that is counted. By its handle its view is known without a look-up.
    fn opened_counted(
        &self,
        number: u64,
        handle: u64,
        counted: &mut Counted<'_>,
        asker: Asker,
    ) -> Result<Arc<OpenFile>, DispatchError> {
        let access = Access {
            read: counted.operation == Operation::Read,
            write: counted.operation == Operation::Write,
        };
        if let Some(file) = self.open_files.get(handle) {
            counted.view = Some(file.view);
            return Ok(file);
        }
        counted.view = self.view_of(number);
        self.opened(number, handle, access, asker)
    }

    /// The view that a node belongs to.
    fn view_of(&self, number: u64) -> Option<usize> {
        match *self.tree.node(self.place(number).ok()?.node) {
            Node::View(view) => Some(view),
            Node::Directory(_) => None,
        }
    }

    fn file(&self, number: u64, asker: Asker) -> Result<OpenFile, DispatchError> {
        let place = self.place(number)?;
        let Node::View(view) = *self.tree.node(place.node) else {
            return Err(DispatchError::IsDirectory);
        };
        if self.is_metrics(view) {
            self.only_host_root(asker)?;
        }
        let is_tree = matches!(self.views[view].provider, Provider::Tree(_));
        if is_tree && place.within == NodeId::TOP {
            return Err(DispatchError::IsDirectory);
        }
        let shows = self.shows(view, &place, asker)?;
        Ok(OpenFile::new(view, place.within, shows))
    }

    fn render(
        &self,
        file: &OpenFile,
        asker: Asker,
        out: &mut Vec<u8>,
    ) -> Result<(), DispatchError> {
        if self.is_metrics(file.view) {
            out.extend_from_slice(self.metrics().as_bytes());
            return Ok(());
        }
        let served = &self.views[file.view];
        let outcome = match (&served.provider, &file.shows) {
            (Provider::File(_), Shows::Host) => {
                let read = self.containers.host().read_now(served.path, out);
                read.map_err(ViewError::from)
            }
            (Provider::File(view), Shows::Container(container)) => {
                self.rendered(&**view, container, out)
            }
            _ => return self.read_in_tree(file, asker, out),
        };
        outcome.map_err(|error| self.failed(file.view, &file.shows, error))
    }

    /// The channel of an open file, if it has one.
    fn channel(
        &self,
        file: &OpenFile,
        asker: Asker,
    ) -> Result<Option<Arc<OpenChannel>>, DispatchError> {
        match self.behind(file, asker)? {
            Behind::Channel(channel) => Ok(Some(channel)),
            Behind::Refused(errno) => Err(ViewError::Answer(errno).into()),
            Behind::Nothing | Behind::Unknown => Ok(None),
        }
    }

    /// What stands behind an open file, never `Unknown`.
    fn behind(&self, file: &OpenFile, asker: Asker) -> Result<Behind, DispatchError> {
        let view = match &self.views[file.view].provider {
            Provider::File(view) if self.has_channels(file.view) => view,
            _ => return Ok(Behind::Nothing),
        };
        let mut behind = file.behind.lock();
        if matches!(*behind, Behind::Unknown) {
            let opened = self.requested(file.view, &file.shows, asker, |request| {
                view.channel(request)
            });
            *behind = match opened {
                Ok(Some(channel)) => Behind::Channel(Arc::new(OpenChannel::new(channel))),
                Ok(None) => Behind::Nothing,
                Err(DispatchError::View(ViewError::Answer(errno))) => Behind::Refused(errno),
                Err(error) => return Err(error),
            };
        }
        Ok(behind.clone())
    }

    /// Has a view answer a request.
    pub(super) fn requested<T>(
        &self,
        view: usize,
        shows: &Shows,
        asker: Asker,
        answer: impl FnOnce(&mut Request<'_>) -> Result<T, ViewError>,
    ) -> Result<T, DispatchError> {
        let container = match shows {
            Shows::Host => None,
            Shows::Container(container) => Some(container),
        };
        self.with_request(container, asker, answer)
            .map_err(|error| self.failed(view, shows, error))
    }

    pub(super) fn with_request<T>(
        &self,
        container: Option<&Arc<Container>>,
        asker: Asker,
        answer: impl FnOnce(&mut Request<'_>) -> T,
    ) -> T {
        SCRATCH.with_borrow_mut(|scratch| {
            let host = self.containers.host();
            answer(&mut Request::new(
                asker,
                container,
                host,
                self.policy,
                scratch,
            ))
        })
    }
}
