//! Operations on open files: open and read.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vistafs_container::{Caller, Container};
use vistafs_host::HostError;
use vistafs_view::{
    Access, Asker, Context, Errno, NodeId, Provider, Registered, Request, View, ViewError,
};

use super::channels::whose;
use super::page_cache::Reader;
use super::{Dispatcher, PageCache, SCRATCH, alive_or_gone};
use crate::errno::DispatchError;
use crate::figures::{Counted, Operation};
use crate::kept_text::{Budget, KeptText};
use crate::open_files::{Behind, OpenFile, Shows, Text};
use crate::tree::Node;

/// A part of the contents, for a reply.
#[derive(Default)]
struct Part {
    text: Option<Arc<Vec<u8>>>,
    range: Range<usize>,
    // The rest is held for the next read.
    is_of_more: bool,
}

impl Dispatcher {
    /// Opens a file for the caller's container; returns its handle and its use of the page cache.
    ///
    /// # Errors
    /// `IsDirectory`, `Stale`, `Caller`, `TooManyOpen`; errors of a tree view; `NotAsked` on a
    /// connection without OPEN.
    pub fn open(
        &self,
        number: u64,
        access: Access,
        asker: Asker,
    ) -> Result<(u64, PageCache), DispatchError> {
        if self.no_open {
            return Err(DispatchError::NotAsked);
        }
        let mut counted = self.figures.begin(Operation::Open);
        counted.view = self.index_of(number);
        let opened = self.open_counted(number, access, &mut counted, asker);
        counted.end(opened)
    }

    fn open_counted(
        &self,
        number: u64,
        access: Access,
        counted: &mut Counted<'_>,
        asker: Asker,
    ) -> Result<(u64, PageCache), DispatchError> {
        let file = self.file(number, access, asker)?;
        self.open_in_tree(&file, asker)?;
        if access.write && self.has_channels(file.view) {
            // Now, because write access depends on the opener, as for the kernel's files.
            self.behind(&file, asker)?;
        }
        let page_cache = self.caching_of(number, &file);
        self.took(file.view, &file.shows, counted.took());
        let mut file = file;
        let count = self.account(&file.shows).held.open();
        file.count = Some(count.ok_or(DispatchError::TooManyOpen)?);
        let handle = self.open_files.open(file);
        Ok((handle.ok_or(DispatchError::TooManyOpen)?, page_cache))
    }

    /// Calls `reply` with up to `size` bytes from `offset` of an open file. A read at offset 0
    /// renders new contents; later offsets continue the same contents. `opened`: the access mode of
    /// the file.
    ///
    /// # Errors
    /// `View`, `ContainerGone`; for another worker's handle also errors of `open`, and `TextLost`.
    pub fn read(
        &self,
        number: u64,
        (handle, opened): (u64, Access),
        offset: u64,
        size: usize,
        asker: Asker,
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        let file = self.open_files.get(handle);
        self.read_of(file, number, (handle, opened), (offset, size), asker, reply)
    }

    /// Like [`read`](Self::read), after the look-up of the handle's file.
    pub(crate) fn read_of(
        &self,
        file: Option<Arc<OpenFile>>,
        number: u64,
        (handle, opened): (u64, Access),
        (offset, size): (u64, usize),
        asker: Asker,
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        if self.no_open {
            let cached = self.cached(number).ok_or(DispatchError::Stale)?;
            let piece = (offset, size, Reader::Direct);
            return self.read_cached(cached, piece, (None, asker), reply);
        }
        let mut counted = self.figures.begin(Operation::Read);
        let file = self.opened_counted(file, number, (handle, opened), &mut counted, asker)?;
        let read = self.read_file((handle, &file), offset, size, asker);
        self.took(file.view, &file.shows, counted.took());
        if read.as_ref().is_ok_and(|part| part.is_of_more) {
            file.count_text(&self.account(&file.shows).held);
        }
        // Before the reply: the reader may then read the metrics or close the file, and must hold
        // the only reference.
        drop(file);
        let Part { text, range, .. } = counted.end(read)?;
        reply(text.as_deref().map_or(&[], |bytes| &bytes[range]));
        self.open_files.give_back_shared(text);
        Ok(())
    }

    fn read_file(
        &self,
        (handle, file): (u64, &OpenFile),
        offset: u64,
        size: usize,
        asker: Asker,
    ) -> Result<Part, DispatchError> {
        let mut text = file.text.lock();
        if offset > 0 && text.ended_at.is_some_and(|end| offset >= end) {
            return Ok(Part::default());
        }
        if offset > 0 && text.lost {
            return Err(DispatchError::TextLost);
        }
        let is_new = offset == 0 || !text.rendered;
        if is_new {
            let mut bytes = self.open_files.empty(text.take());
            text.rendered = false;
            text.ended_at = None;
            if let Some(bytes) = Arc::get_mut(&mut bytes) {
                self.render(file, asker, bytes)?;
            }
            text.set(bytes);
            text.rendered = true;
            text.lost = false;
        }
        let length = text.bytes().len();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(length);
        let to = from.saturating_add(size).min(length);
        // Before the reply: after it this process may end at any time.
        self.keep(handle, file, &mut text, is_new, from..to);
        let is_of_more = to < length;
        let shown = if !is_of_more {
            // Frees the contents: a tenant may keep thousands of descriptors open after reads.
            text.ended_at = Some(length as u64);
            text.rendered = false;
            text.take()
        } else {
            text.share()
        };
        Ok(Part {
            text: shown,
            range: from..to,
            is_of_more,
        })
    }

    /// Saves the part that is about to be returned for a successor process.
    fn keep(
        &self,
        handle: u64,
        file: &OpenFile,
        text: &mut Text,
        is_new: bool,
        shown: Range<usize>,
    ) {
        let is_end = shown.start == text.bytes().len();
        let Some(handover) = self.handover().filter(|_| is_new || is_end) else {
            return;
        };
        if text.kept.is_none() {
            text.kept = KeptText::open(handover, handle, || self.budget(&file.shows));
        }
        let mut kept = text.kept.take();
        match &mut kept {
            Some(kept) if is_end => kept.end(text.bytes().len()),
            Some(kept) => kept.show(text.bytes(), shown.end),
            None => {}
        }
        text.kept = kept;
    }

    fn budget(&self, shows: &Shows) -> Arc<Budget> {
        match shows {
            Shows::Host => Arc::clone(&self.texts),
            Shows::Container(container) => container.state(),
        }
    }

    /// Charges the time of an open or a read to the container.
    pub(super) fn took(&self, view: usize, shows: &Shows, took: Duration) {
        // A view that waits for something other than the kernel blocks no serving thread.
        if !self.views[view].takes_time() {
            self.account(shows).pace.charge(took, Instant::now());
        }
    }

    /// Renders a view for a caller without a mount; for a tree, the file or link at `below`.
    ///
    /// # Errors
    /// `View`, `ContainerGone`; errors of a tree view.
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
            (Provider::File(file), None) => {
                let asker = Asker::administrator();
                self.with_request(None, asker, |request| file.render_on_host(request, out))
                    .unwrap_or_else(|| self.host_file(view.spec.path, out))
            }
            _ => self.host_file(view.spec.path, out),
        };
        shown.map_err(|error| match container {
            Some(container) => alive_or_gone(container, error),
            None => error.into(),
        })
    }

    /// Reads the host's own file. An external view may be at a path that the host does not have.
    pub(super) fn host_file(&self, path: &'static str, out: &mut Vec<u8>) -> Result<(), ViewError> {
        match self.containers.host().read_now(path, out) {
            Err(HostError::NotFound { .. }) => Err(ViewError::Answer(Errno::NOENT)),
            read => Ok(read?),
        }
    }

    pub(super) fn rendered(
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

    /// Returns the file of a handle; opens a file of another worker again.
    pub(super) fn opened(
        &self,
        number: u64,
        handle: u64,
        access: Access,
        asker: Asker,
    ) -> Result<Arc<OpenFile>, DispatchError> {
        if let Some(file) = self.open_files.get(handle) {
            return Ok(file);
        }
        let file = self.file(number, access, asker)?;
        self.open_in_tree(&file, asker)?;
        let left = self.handover().and_then(|h| h.adopt_handle(handle));
        if let Some((kept, shown)) = left {
            let mut text = file.text.lock();
            text.kept = Some(KeptText::adopted(kept, self.budget(&file.shows)));
            shown.into_iter().for_each(|shown| text.go_on_from(shown));
        }
        if self.has_channels(file.view)
            && let Some(handover) = self.handover()
            && let Some(lasting) = handover.written(handle, whose(&file.shows))
        {
            *file.behind.lock() = Behind::Lasting(lasting.into());
        }
        Ok(self.open_files.adopt(handle, file))
    }

    /// Returns the file of a counted request. A known handle needs no look-up of the view.
    pub(super) fn opened_counted(
        &self,
        known: Option<Arc<OpenFile>>,
        number: u64,
        (handle, opened): (u64, Access),
        counted: &mut Counted<'_>,
        asker: Asker,
    ) -> Result<Arc<OpenFile>, DispatchError> {
        if let Some(file) = known {
            counted.view = Some(file.view);
            return Ok(file);
        }
        counted.view = self.index_of(number);
        self.opened(number, handle, opened, asker)
    }

    /// Returns the view of a node.
    fn index_of(&self, number: u64) -> Option<usize> {
        match *self.tree.node(self.place(number).ok()?.node) {
            Node::View(view) => Some(view),
            Node::Directory(_) => None,
        }
    }

    /// Creates a file that is not in the table yet.
    fn file(&self, number: u64, access: Access, asker: Asker) -> Result<OpenFile, DispatchError> {
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
        Ok(OpenFile::new(view, place.within, shows, access))
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
        let shows = self.read_as(file.view, &file.shows);
        let outcome = match (&served.provider, shows) {
            (Provider::File(view), Shows::Host) => self
                .with_request(None, asker, |request| view.render_on_host(request, out))
                .unwrap_or_else(|| self.host_file(served.path, out)),
            (Provider::File(view), Shows::Container(container)) => {
                self.with_request(Some(container), asker, |request| match request.context() {
                    Some(mut cx) => view.render(&mut cx, out),
                    None => Err(ViewError::Answer(Errno::IO)),
                })
            }
            _ => return self.render_in_tree(file, asker, out),
        };
        outcome.map_err(|error| self.failed(file.view, shows, error))
    }

    /// Renders a file in a tree, through its channel if it has to be.
    fn render_in_tree(
        &self,
        file: &OpenFile,
        asker: Asker,
        out: &mut Vec<u8>,
    ) -> Result<(), DispatchError> {
        let behind = file.behind.lock().clone();
        if let Behind::Channel(channel) = behind {
            let read = self.requested(file.view, &file.shows, asker, |request| {
                channel.read(request, out).transpose()
            })?;
            if read.is_some() {
                return Ok(());
            }
        }
        self.read_in_tree(file, asker, out)
    }

    /// Calls a view with a request.
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
            let (host, hierarchies) = (self.containers.host(), self.containers.hierarchies());
            answer(&mut Request::new(
                asker,
                container,
                (host, hierarchies),
                self.policy,
                scratch,
            ))
        })
    }
}
