//! What pinned nodes are answered: a container's own files, to be kept in the page cache.
//!
//! Who *opens* decides, as everywhere: pages are for descriptors that a process of the owner has
//! opened. Anybody else who reaches a pinned node, by a bind mount or /proc/PID/root, opens it as if
//! it were not pinned, and sees its own numbers.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use vistafs_container::{Caller, Container};
use vistafs_view::{Asker, NodeKind, Provider, ViewError};

use super::{Attributes, Dispatcher};
use crate::errno::DispatchError;
use crate::number;
use crate::open_files::{OpenFile, Shows};
use crate::pinned::{Freshness, PAGE, PinnedNode, Snapshot, Told, fill, first_length};

/// What the kernel does with the page cache of an opened file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageCache {
    /// Goes around it.
    Bypassed,
    /// Drops what it has, and fills it again.
    Renewed,
    /// Uses what it has.
    Kept,
}

/// Who gets the bytes of a pinned node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The page cache, page by page.
    PageCache,
    /// A reader that goes around it.
    Direct,
}

impl Dispatcher {
    /// Texts of containers may be as old as `window`; zero: never kept.
    #[must_use]
    pub fn with_window(self, window: Duration) -> Self {
        self.pinned.set_window(window);
        self
    }

    /// The kernel does not look whether what it keeps is fresh: nothing is pinned.
    pub(crate) fn keep_nothing(&self) {
        self.pinned.set_window(Duration::ZERO);
    }

    /// Whether files of a view are looked up anew by each caller.
    pub(super) fn may_be_pinned(&self, view: usize) -> bool {
        self.pinned.has(view, self.views[view].path)
    }

    /// The attributes of the pinned node that a view's name stands for. `None`: it stands for the
    /// common one.
    ///
    /// It is the caller's own, unless another one was found a short time ago (`Pinned::turn`).
    pub(super) fn named(&self, view: usize, asker: Asker) -> Option<Attributes> {
        let own = self.own_number(view, asker);
        let number = self.pinned.turn((view, self.views[view].path), own)?;
        self.attributes_of_pinned(number, None, asker)
    }

    fn own_number(&self, view: usize, asker: Asker) -> Option<u64> {
        let container = self.container_of(asker.tid)?;
        let path = self.views[view].path;
        let number = self.pinned.number((view, path), &container)?;
        let node = self.pinned.of_owner(number, &container)?;
        let is_large = node.told().length > PAGE;
        (!is_large).then_some(number)
    }

    /// The attributes of a pinned node, whoever asks. `None`: it is not pinned.
    ///
    /// For a reader that the page cache serves there will be a fresh text. To have looked is not to
    /// have asked, so for anybody else nothing is rendered.
    pub(super) fn attributes_of_pinned(
        &self,
        number: u64,
        reader: Option<u64>,
        asker: Asker,
    ) -> Option<Attributes> {
        let view = self.pinned.view(number)?;
        let file = reader.and_then(|handle| self.open_files.get(handle));
        let Some((node, container)) = self.owned(number, file.as_deref(), asker) else {
            let told = self.pinned.known(number).map(|node| node.told());
            return Some(self.pinned_attributes(number, view, told.unwrap_or_default().over()));
        };
        if reader.is_some() {
            let mut snapshot = node.snapshot.lock();
            if snapshot.told.freshness(self.pinned.window()).is_none()
                && let Err(error) = self.renew(&node, &mut snapshot, view, &container)
            {
                // There are attributes still; the reader will be told when it reads.
                log::debug!("{}: {error}", self.views[view].path);
                return Some(self.pinned_attributes(number, view, node.told().over()));
            }
        }
        Some(self.pinned_attributes(number, view, node.told()))
    }

    pub(super) fn pinned_attributes(&self, number: u64, view: usize, told: Told) -> Attributes {
        let served = &self.views[view];
        let (size, modified) = match told.modified() {
            Some(modified) => (told.length as u64, modified),
            None => {
                let of_host = usize::try_from(served.size).unwrap_or(PAGE);
                let length = first_length(of_host, served.is_steady);
                (length as u64, SystemTime::now())
            }
        };
        let fresh = told.freshness(self.pinned.window());
        Attributes {
            number,
            kind: NodeKind::File,
            mode: served.mode,
            uid: 0,
            gid: 0,
            size,
            changeable: false,
            pinned: Some(Freshness {
                modified,
                left: fresh.unwrap_or(Duration::ZERO),
            }),
        }
    }

    pub(super) fn renew(
        &self,
        node: &PinnedNode,
        snapshot: &mut Snapshot,
        view: usize,
        container: &Arc<Container>,
    ) -> Result<(), DispatchError> {
        let text = self.text_of(view, container)?;
        snapshot.renew(text, self.views[view].is_steady);
        node.tell(snapshot);
        Ok(())
    }

    /// What an opened file does with the page cache.
    pub(super) fn page_cache(&self, number: u64, file: &OpenFile) -> PageCache {
        if !self.pinned.is_on() || file.access.write || self.pinned.view(number).is_none() {
            return PageCache::Bypassed;
        }
        let Shows::Container(container) = self.read_as(file.view, &file.shows) else {
            return PageCache::Bypassed;
        };
        let Some(node) = self.pinned.of_owner(number, container) else {
            return PageCache::Bypassed;
        };
        let mut snapshot = node.snapshot.lock();
        // Not earlier than the kernel asks for attributes: a page that is dropped before it does so is filled
        // with another text under the old length, which may not be long enough.
        let was_fresh = snapshot.told.is_within(self.pinned.window());
        if snapshot.told.modified().is_none()
            && self
                .renew(&node, &mut snapshot, file.view, container)
                .is_err()
        {
            return PageCache::Bypassed;
        }
        if snapshot.told.length > PAGE {
            PageCache::Bypassed
        } else if was_fresh {
            PageCache::Kept
        } else {
            // Those who go by the page cache without a look at attributes: sendfile(2), mmap(2).
            PageCache::Renewed
        }
    }

    /// Calls `reply` with what the page cache is to have of a pinned node: from `offset` on, up to
    /// `size` bytes.
    ///
    /// # Errors
    /// `NotCacheable` for what is not pinned, or was opened by another container; `Stale` if the owner
    /// is not known; `View`, `ContainerGone`; `TextLost` if the text does not fit the length that was
    /// told.
    pub fn read_page(
        &self,
        number: u64,
        handle: u64,
        (offset, size): (u64, usize),
        asker: Asker,
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        if let Some(hot) = &self.hot {
            return self.read_hot(hot, number, (offset, size, Reader::PageCache), asker, reply);
        }
        let view = self
            .pinned
            .view(number)
            .ok_or(DispatchError::NotCacheable)?;
        let file = self.open_files.get(handle);
        if file.as_ref().is_some_and(|file| !is_owner(number, file)) {
            return Err(DispatchError::NotCacheable);
        }
        let (node, container) = self
            .owned(number, file.as_deref(), asker)
            .ok_or(DispatchError::Stale)?;
        let piece = (offset, size, Reader::PageCache);
        self.give(&node, (view, &container), piece, reply)
    }

    /// Calls `reply` with a piece of a node's text.
    pub(super) fn give(
        &self,
        node: &PinnedNode,
        (view, container): (usize, &Arc<Container>),
        (offset, size, reader): (u64, usize, Reader),
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        let mut snapshot = node.snapshot.lock();
        let was_known = snapshot.told.modified().is_some();
        if !was_known {
            self.renew(node, &mut snapshot, view, container)?;
        }
        if self.is_hot() && snapshot.told.length > PAGE {
            // A reader would get the beginning of one text and the end of another.
            return Err(DispatchError::NotCacheable);
        }
        let mut text = match snapshot.take(self.pinned.window()) {
            Some(text) => text,
            // It was given out before, and the kernel has dropped the page.
            None => {
                let mut text = self.text_of(view, container)?;
                if !fill(&mut text, snapshot.told.length) {
                    return Err(DispatchError::TextLost);
                }
                text
            }
        };
        // Who finds the page under a longer length, which is told at this moment, sees empty lines.
        // Without it the kernel takes the end of what it gets for the end of the file.
        if was_known && reader == Reader::PageCache && text.len() <= PAGE {
            text.resize(PAGE, b'\n');
        }
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(text.len());
        let to = from.saturating_add(size).min(text.len());
        reply(&text[from..to]);
        self.open_files.give_back(text);
        Ok(())
    }

    /// A pinned node and its owner: as it is known here, as a file was opened, or as the caller is.
    fn owned(
        &self,
        number: u64,
        file: Option<&OpenFile>,
        asker: Asker,
    ) -> Option<(Arc<PinnedNode>, Arc<Container>)> {
        if let Some(node) = self.pinned.known(number)
            && let Some(owner) = node.owner()
        {
            return Some((node, owner));
        }
        let container = match file.map(|file| &file.shows) {
            Some(Shows::Container(container)) => Arc::clone(container),
            _ => self.container_of(asker.tid)?,
        };
        Some((self.pinned.of_owner(number, &container)?, container))
    }

    /// The container that a thread is in, if it is in one and can be seen.
    pub(super) fn container_of(&self, tid: u32) -> Option<Arc<Container>> {
        match super::whom::caller(&self.containers, tid) {
            Ok(Caller::Inside(container)) => Some(container),
            _ => None,
        }
    }

    fn text_of(&self, view: usize, container: &Arc<Container>) -> Result<Vec<u8>, DispatchError> {
        let mut text = self.open_files.buffer();
        let shows = Shows::Container(Arc::clone(container));
        let served = &self.views[view];
        let began = Instant::now();
        let rendered = match (&served.provider, self.read_as(view, &shows)) {
            (Provider::File(_), Shows::Host) => self.host_file(served.path, &mut text),
            (Provider::File(view), _) => self.rendered(&**view, container, &mut text),
            _ => Err(ViewError::Answer(vistafs_view::Errno::NODEV)),
        };
        self.took(view, &shows, began.elapsed());
        rendered.map_err(|error| self.failed(view, &shows, error))?;
        Ok(text)
    }
}

/// Whether a file was opened by the owner of a pinned node.
fn is_owner(number: u64, file: &OpenFile) -> bool {
    match &file.shows {
        Shows::Container(container) => container
            .key()
            .is_some_and(|key| number::is_owner(number, key)),
        Shows::Host => false,
    }
}
