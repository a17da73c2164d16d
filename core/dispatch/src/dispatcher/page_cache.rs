//! Operations on page-cached files: a container's own, which the kernel caches for the TTL.
//!
//! With OPEN, the page cache is for descriptors that a process of the owner has opened. Any other
//! caller that reaches the node, through a bind mount or /proc/PID/root, gets a descriptor that
//! bypasses the page cache and shows its own values. Without OPEN (`Dispatcher::without_open`),
//! every reader gets the owner's contents, as the page is the owner's.

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

/// Number of the caller's ancestors that are checked for the owner.
const GENERATIONS: usize = 32;

/// How the kernel uses the page cache for an opened file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageCache {
    /// Bypasses it.
    Bypassed,
    /// Drops the cached pages and fills them again.
    Renewed,
    /// Uses the cached pages.
    Kept,
}

/// The destination of a page-cached node's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The page cache, page by page.
    PageCache,
    /// A reader that bypasses it.
    Direct,
}

/// A page-cached node, decoded from its inode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cached {
    number: u64,
    owner: OwnerHash,
    view: usize,
}

impl Dispatcher {
    /// Sets the TTL of containers' own files in the page cache; zero disables page caching.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        self.page_cache.set_ttl(ttl);
        self
    }

    /// Disables page caching on a kernel that does not invalidate cached pages.
    pub(crate) fn keep_nothing(&self) {
        self.page_cache.set_ttl(Duration::ZERO);
    }

    /// Decodes a page-cached node, independent of the TTL. `None`: it is another kind of node.
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

    /// Returns the attributes of a page-cached node for any caller. `reader`: the handle of a read
    /// through the page cache that needs them.
    ///
    /// Renders new contents only if a read from the page cache may follow: for a `reader`; and
    /// without OPEN for every caller, as the kernel refreshes expired attributes at open(2).
    /// stat(2) renders nothing.
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
        if snapshot
            .told
            .freshness(self.page_cache.ttl(), Instant::now())
            .is_none()
            && let Err(error) = self.renew(&node, &mut snapshot, view, &container)
        {
            // Attributes are returned nevertheless; the reader gets the error at READ.
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
        let fresh = told.freshness(self.page_cache.ttl(), Instant::now());
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
        snapshot.renew(text, self.views[view].is_steady, Instant::now());
        node.tell(snapshot);
        Ok(())
    }

    /// Returns how an opened file uses the page cache.
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
        // Not before the kernel's GETATTR: an earlier drop would fill the page with new contents
        // under the old length, which may be too short.
        let was_fresh = snapshot
            .told
            .is_within(self.page_cache.ttl(), Instant::now());
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
            // For users of the page cache without GETATTR: sendfile(2), mmap(2).
            PageCache::Renewed
        }
    }

    /// Calls `reply` with up to `size` bytes for the page cache from `offset` of a node.
    ///
    /// # Errors
    /// `NotCacheable` for every shared node, and for a descriptor that another container has
    /// opened; `Stale` if an earlier worker opened it for an unknown caller and this caller is not
    /// the owner; `View`, `ContainerGone`; `TextLost` if the contents exceed the reported length.
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

    /// Returns the open file for a page read, which a process of the node's owner must have opened.
    ///
    /// The opener of an earlier worker's file is unknown. It counts as the owner's only if the
    /// owner reads it: otherwise a container could read another container's pages through a
    /// descriptor that it had opened before on that container's node.
    fn opened_for_pages(
        &self,
        number: u64,
        handle: u64,
        asker: Asker,
    ) -> Result<Arc<OpenFile>, DispatchError> {
        if let Some(file) = self.open_files.get(handle) {
            // Without a TTL, a file opened here must not leave pages that never expire.
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
        // Another reader may have adopted it first.
        match is_owner(number, &file) {
            true => Ok(file),
            false => Err(DispatchError::NotCacheable),
        }
    }

    /// Calls `reply` with a part of a page-cached node's contents, always of its owner.
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

    /// Calls `reply` with a part of a node's contents.
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
            // A reader would get parts of two renderings.
            return Err(DispatchError::NotCacheable);
        }
        let mut text = match snapshot.take(self.page_cache.ttl(), Instant::now()) {
            Some(text) => text,
            // It was returned before, and the kernel has dropped the page.
            None => {
                let mut text = self.text_of(view, container)?;
                if !fill(&mut text, snapshot.told.length) {
                    return Err(DispatchError::TextLost);
                }
                text
            }
        };
        // A reader that gets a longer length at this moment sees empty lines. Without the padding
        // the kernel takes the end of the data for the end of the file.
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

    /// Returns a page-cached node and its owner: the caller, the opener, or a cached container.
    /// Without OPEN, the owner may also be a container of the caller's ancestors, as for a nested
    /// container that is the first to read from a new worker.
    fn owned(
        &self,
        Cached { number, owner, .. }: Cached,
        file: Option<&OpenFile>,
        asker: Asker,
    ) -> Option<(Arc<CachedNode>, Arc<Container>)> {
        // The caller first: it may have moved to other cgroups since its last request.
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

    /// Returns whether a container has this ID, and records it under the ID.
    fn is_of(&self, container: &Arc<Container>, owner: OwnerHash) -> bool {
        let is_it = container
            .key()
            .is_some_and(|key| OwnerHash::of(key) == owner);
        is_it && self.own.id_of(container) == Some(owner)
    }

    /// Returns the container of a thread, if it is in one and visible.
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

/// Returns whether a file was opened by the owner of a node.
fn is_owner(number: u64, file: &OpenFile) -> bool {
    match &file.shows {
        Shows::Container(container) => container
            .key()
            .is_some_and(|key| number::is_owner(number, key)),
        Shows::Host => false,
    }
}
