//! What pinned nodes are answered: a container's own files, to be kept in the page cache.
//!
//! Who *opens* decides, as everywhere: pages are for descriptors that a process of the owner has
//! opened. Anybody else who reaches a pinned node, by a bind mount or /proc/PID/root, opens it as if
//! it were not pinned, and sees its own numbers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use vistafs_container::{Caller, Container};
use vistafs_view::{Asker, NodeKind, Provider, ViewError};

use super::{Attributes, Dispatcher};
use crate::errno::DispatchError;
use crate::number;
use crate::open_files::{OpenFile, Shows};
use crate::pinned::{Freshness, PAGE, PinnedNode, Snapshot, fill};

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

    /// The attributes of the caller's own node of a view. `None`: it has none.
    pub(super) fn own_node(&self, view: usize, asker: Asker) -> Option<Attributes> {
        let Ok(Caller::Inside(container)) = self.containers.caller(asker.tid) else {
            return None;
        };
        let number = self
            .pinned
            .number((view, self.views[view].path), &container)?;
        let node = self.pinned.of_owner(number, &container)?;
        let mut snapshot = node.snapshot.lock();
        if snapshot.length > PAGE {
            return None;
        }
        let fresh = self.fresh(&mut snapshot, view, &container).ok()?;
        (snapshot.length <= PAGE).then(|| self.pinned_attributes(number, view, &snapshot, fresh))
    }

    /// The attributes of a pinned node, whoever asks. `None`: it is not pinned.
    pub(super) fn attributes_of_pinned(&self, number: u64, asker: Asker) -> Option<Attributes> {
        let view = self.pinned.view(number)?;
        let owned = self.owned(number, None, asker);
        let Some((node, container)) = owned else {
            return Some(self.pinned_attributes(number, view, &Snapshot::default(), None));
        };
        let mut snapshot = node.snapshot.lock();
        // What cannot be rendered has attributes still; its readers will be told why.
        let fresh = self.fresh(&mut snapshot, view, &container).unwrap_or(None);
        Some(self.pinned_attributes(number, view, &snapshot, fresh))
    }

    fn pinned_attributes(
        &self,
        number: u64,
        view: usize,
        snapshot: &Snapshot,
        fresh: Option<Freshness>,
    ) -> Attributes {
        let served = &self.views[view];
        let length = snapshot.length as u64;
        Attributes {
            number,
            kind: NodeKind::File,
            mode: served.mode,
            uid: 0,
            gid: 0,
            size: if snapshot.is_known() {
                length
            } else {
                served.size
            },
            changeable: false,
            pinned: Some(fresh.unwrap_or(Freshness {
                modified: SystemTime::now(),
                left: Duration::ZERO,
            })),
        }
    }

    /// Sees to it that a snapshot is fresh; how long it will be. `None`: it has to be asked for always.
    fn fresh(
        &self,
        snapshot: &mut Snapshot,
        view: usize,
        container: &Arc<Container>,
    ) -> Result<Option<Freshness>, DispatchError> {
        let window = self.pinned.window();
        if let Some(fresh) = snapshot.freshness(window) {
            return Ok(Some(fresh));
        }
        let text = self.text_of(view, container)?;
        snapshot.renew(text, self.views[view].is_steady);
        Ok(snapshot.freshness(window))
    }

    /// What an opened file does with the page cache.
    pub(super) fn page_cache(&self, number: u64, file: &OpenFile) -> PageCache {
        let Shows::Container(container) = &file.shows else {
            return PageCache::Bypassed;
        };
        if file.access.write || !self.pinned.is_on() || self.pinned.view(number).is_none() {
            return PageCache::Bypassed;
        }
        let Some(node) = self.pinned.of_owner(number, container) else {
            return PageCache::Bypassed;
        };
        let mut snapshot = node.snapshot.lock();
        if !snapshot.is_known() && self.fresh(&mut snapshot, file.view, container).is_err() {
            return PageCache::Bypassed;
        }
        if snapshot.length > PAGE {
            PageCache::Bypassed
        } else if snapshot.freshness(self.pinned.window()).is_some() {
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
        let mut snapshot = node.snapshot.lock();
        let was_known = snapshot.is_known();
        if !was_known {
            self.fresh(&mut snapshot, view, &container)?;
        }
        let mut text = match snapshot.take(self.pinned.window()) {
            Some(text) => text,
            // It was given out before, and the kernel has dropped the page.
            None => {
                let mut text = self.text_of(view, &container)?;
                if !fill(&mut text, snapshot.length) {
                    return Err(DispatchError::TextLost);
                }
                text
            }
        };
        // Who finds the page under a longer length, which is told at this moment, sees empty lines.
        // Without it the kernel takes the end of what it gets for the end of the file.
        if was_known && text.len() <= PAGE {
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
            _ => match self.containers.caller(asker.tid) {
                Ok(Caller::Inside(container)) => container,
                _ => return None,
            },
        };
        Some((self.pinned.of_owner(number, &container)?, container))
    }

    fn text_of(&self, view: usize, container: &Arc<Container>) -> Result<Vec<u8>, DispatchError> {
        let mut text = self.open_files.buffer();
        let rendered = match &self.views[view].provider {
            Provider::File(view) => self.rendered(&**view, container, &mut text),
            _ => Err(ViewError::Answer(vistafs_view::Errno::NODEV)),
        };
        rendered
            .map_err(|error| self.failed(view, &Shows::Container(Arc::clone(container)), error))?;
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
