//! Serving page-cached files: a container's own, whose contents the kernel keeps for the TTL.
//!
//! Where files are opened, the opener decides: pages are for descriptors that a process of the owner has
//! opened. Any other caller who reaches the node, by a bind mount or /proc/PID/root, gets a descriptor that
//! bypasses the page cache and shows its own numbers. Where no file is opened (`Dispatcher::without_open`),
//! whoever reads gets the owner's contents, as the page is the owner's.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use vistafs_container::{Caller, Container};
use vistafs_host::Process;
use vistafs_view::{Access, Asker, NodeKind, Provider, ViewError};

use super::{Attributes, Dispatcher};
use crate::errno::DispatchError;
use crate::number::{self, OwnerHash};
use crate::open_files::{OpenFile, Shows};
use crate::own::OwnNode;
use crate::page_cache::{CachedNode, Freshness, PAGE, Snapshot, Told, fill, first_length};
use crate::tree::Node;

/// How far up the caller's ancestors the owner is looked for.
const GENERATIONS: usize = 32;

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

/// Who gets the bytes of a page-cached node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The page cache, page by page.
    PageCache,
    /// A reader that goes around it.
    Direct,
}

/// A page-cached node, by what its number tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cached {
    number: u64,
    owner: OwnerHash,
    view: usize,
}

impl Dispatcher {
    /// The kernel may keep contents of a container's own files for this long; zero: it keeps none.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        self.page_cache.set_ttl(ttl);
        self
    }

    /// The kernel does not look whether what it keeps is fresh: it is given nothing to keep.
    pub(crate) fn keep_nothing(&self) {
        self.page_cache.set_ttl(Duration::ZERO);
    }

    /// The page-cached node of a number. `None`: it is none, whatever the TTL.
    pub(super) fn cached(&self, number: u64) -> Option<Cached> {
        let OwnNode::Of(owner, node) = self.own.node(number)? else {
            return None;
        };
        match *self.tree.node(node) {
            Node::View(view) if self.page_cache.has(view) => Some(Cached {
                number,
                owner,
                view,
            }),
            _ => None,
        }
    }

    /// The attributes of a page-cached node, whoever asks. `reader`: the handle that they are asked for to read
    /// by way of the page cache.
    ///
    /// They are of fresh contents where the page cache may serve a read next: for a reader; and where no file is
    /// opened for everybody, as the kernel asks for expired attributes at an open. A caller that just looks
    /// has nothing rendered.
    pub(super) fn cached_attributes(
        &self,
        cached: Cached,
        reader: Option<u64>,
        asker: Asker,
    ) -> Attributes {
        let Cached { number, view, .. } = cached;
        if reader.is_none() && !self.no_open {
            let told = match self.page_cache.known(number) {
                Some(node) if node.owner().is_some() => node.told(),
                Some(node) => node.told().over(),
                None => Told::default(),
            };
            return self.attributes_told(number, view, told);
        }
        let file = reader.and_then(|handle| self.open_files.get(handle));
        let Some((node, container)) = self.owned(cached, file.as_deref(), asker) else {
            let told = self.page_cache.known(number).map(|node| node.told());
            return self.attributes_told(number, view, told.unwrap_or_default().over());
        };
        let mut snapshot = node.snapshot.lock();
        if snapshot.told.freshness(self.page_cache.ttl()).is_none()
            && let Err(error) = self.renew(&node, &mut snapshot, view, &container)
        {
            // There are attributes still; the reader gets the error when it reads.
            log::debug!("{}: {error}", self.views[view].path);
            return self.attributes_told(number, view, node.told().over());
        }
        self.attributes_told(number, view, node.told())
    }

    fn attributes_told(&self, number: u64, view: usize, told: Told) -> Attributes {
        let served = &self.views[view];
        let (size, modified) = match told.modified() {
            Some(modified) => (told.length as u64, modified),
            None => {
                let of_host = usize::try_from(served.size).unwrap_or(PAGE);
                let length = first_length(of_host, served.is_steady);
                (length as u64, SystemTime::now())
            }
        };
        let fresh = told.freshness(self.page_cache.ttl());
        Attributes {
            number,
            kind: NodeKind::File,
            mode: served.mode,
            uid: 0,
            gid: 0,
            size,
            changeable: false,
            freshness: Some(Freshness {
                modified,
                left: fresh.unwrap_or(Duration::ZERO),
            }),
        }
    }

    fn renew(
        &self,
        node: &CachedNode,
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
    pub(super) fn caching_of(&self, number: u64, file: &OpenFile) -> PageCache {
        if !self.page_cache.is_on() || file.access.write || self.cached(number).is_none() {
            return PageCache::Bypassed;
        }
        let Shows::Container(container) = self.read_as(file.view, &file.shows) else {
            return PageCache::Bypassed;
        };
        let Some(node) = self.page_cache.of_owner(number, container) else {
            return PageCache::Bypassed;
        };
        let mut snapshot = node.snapshot.lock();
        // Not earlier than the kernel asks for attributes: a page that is dropped before it does so is filled
        // with other contents under the old length, which may not be long enough.
        let was_fresh = snapshot.told.is_within(self.page_cache.ttl());
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
            // For those who use the page cache without a look at attributes: sendfile(2), mmap(2).
            PageCache::Renewed
        }
    }

    /// Calls `reply` with what the page cache is to have of a node: from `offset` on, up to `size` bytes.
    ///
    /// # Errors
    /// `NotCacheable` for every shared node, and for a descriptor that another container has opened;
    /// `Stale` if an earlier worker has opened it for nobody knows whom and the caller is not the owner;
    /// `View`, `ContainerGone`; `TextLost` if the contents do not fit the length that was told.
    pub fn read_page(
        &self,
        number: u64,
        handle: u64,
        (offset, size): (u64, usize),
        asker: Asker,
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        let cached = self.cached(number).ok_or(DispatchError::NotCacheable)?;
        let file = match self.no_open {
            true => None,
            false => Some(self.opened_for_pages(number, handle, asker)?),
        };
        self.read_cached(
            cached,
            (offset, size, Reader::PageCache),
            (file.as_deref(), asker),
            reply,
        )
    }

    /// The open file that pages are read for, which a process of the node's owner has opened.
    ///
    /// Who has opened a file of an earlier worker is not known. It is taken for the owner's when the owner
    /// reads it, and only then: otherwise a container could read another one's pages through a descriptor that
    /// it had opened before, for itself, on that one's node.
    fn opened_for_pages(
        &self,
        number: u64,
        handle: u64,
        asker: Asker,
    ) -> Result<Arc<OpenFile>, DispatchError> {
        if let Some(file) = self.open_files.get(handle) {
            // With no TTL nothing that was opened here may leave pages behind, which nobody would renew.
            let is_kept = self.page_cache.is_on() || !self.open_files.is_own(handle);
            return match is_owner(number, &file) && is_kept {
                true => Ok(file),
                false => Err(DispatchError::NotCacheable),
            };
        }
        let container = self.container_of(asker.tid);
        let key = container.and_then(|container| container.key());
        if !key.is_some_and(|key| number::is_owner(number, key)) {
            return Err(DispatchError::Stale);
        }
        let access = Access {
            read: true,
            write: false,
        };
        let file = self.opened(number, handle, access, asker)?;
        // Another reader may have been faster.
        match is_owner(number, &file) {
            true => Ok(file),
            false => Err(DispatchError::NotCacheable),
        }
    }

    /// Calls `reply` with a piece of a page-cached node's contents: always its owner's.
    pub(super) fn read_cached(
        &self,
        cached: Cached,
        piece: (u64, usize, Reader),
        (file, asker): (Option<&OpenFile>, Asker),
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        let (node, container) = self
            .owned(cached, file, asker)
            .ok_or(DispatchError::Stale)?;
        self.give(&node, (cached.view, &container), piece, reply)
    }

    /// Calls `reply` with a piece of a node's text.
    fn give(
        &self,
        node: &CachedNode,
        (view, container): (usize, &Arc<Container>),
        (offset, size, reader): (u64, usize, Reader),
        reply: impl FnOnce(&[u8]),
    ) -> Result<(), DispatchError> {
        let mut snapshot = node.snapshot.lock();
        let was_known = snapshot.told.modified().is_some();
        if !was_known {
            self.renew(node, &mut snapshot, view, container)?;
        }
        if self.no_open && snapshot.told.length > PAGE {
            // A reader would get the beginning of one text and the end of another.
            return Err(DispatchError::NotCacheable);
        }
        let mut text = match snapshot.take(self.page_cache.ttl()) {
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

    /// A page-cached node and its owner: the caller, whoever has opened the file, or a container that is known;
    /// where no file is opened also one that the caller is in by way of its ancestors, as a container
    /// in the owner is when it is the first to read from a new worker.
    fn owned(
        &self,
        Cached { number, owner, .. }: Cached,
        file: Option<&OpenFile>,
        asker: Asker,
    ) -> Option<(Arc<CachedNode>, Arc<Container>)> {
        // The caller first: it may have moved to other cgroups since it was met.
        let own = self.container_of(asker.tid);
        let container = own
            .filter(|container| self.is_of(container, owner))
            .or_else(|| {
                let opener = file.map(|file| &file.shows);
                let opener = opener.and_then(|shows| match shows {
                    Shows::Container(container) => Some(Arc::clone(container)),
                    Shows::Host => None,
                });
                opener.filter(|container| self.is_of(container, owner))
            })
            .or_else(|| self.own.owner(owner))
            .or_else(|| match self.no_open {
                true => self.ancestor(owner, asker),
                false => None,
            })?;
        Some((self.page_cache.of_owner(number, &container)?, container))
    }

    fn ancestor(&self, owner: OwnerHash, asker: Asker) -> Option<Arc<Container>> {
        let mut pid = asker.tid;
        for _ in 0..GENERATIONS {
            pid = Process::open(self.containers.host(), pid)
                .ok()?
                .parent()
                .ok()?;
            if pid <= 1 {
                return None;
            }
            let container = self.container_of(pid);
            if let Some(container) = container.filter(|one| self.is_of(one, owner)) {
                return Some(container);
            }
        }
        None
    }

    /// Whether a container has this ID, by which it is known from now on.
    fn is_of(&self, container: &Arc<Container>, owner: OwnerHash) -> bool {
        let is_it = container
            .key()
            .is_some_and(|key| OwnerHash::of(key) == owner);
        is_it && self.own.id_of(container) == Some(owner)
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

/// Whether a file was opened by the owner of a node.
fn is_owner(number: u64, file: &OpenFile) -> bool {
    match &file.shows {
        Shows::Container(container) => container
            .key()
            .is_some_and(|key| number::is_owner(number, key)),
        Shows::Host => false,
    }
}
