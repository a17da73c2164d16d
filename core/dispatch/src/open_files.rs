//! Open handles: view, container and the contents that are being read.
//!
//! A handle contains a mark of this process, so that a successor never mistakes a handle of its
//! predecessor for its own. It serves such a handle from its persisted state (`kept_text.rs`), or
//! by rendering again. The mark is the worker's generation if it has shared memory, else a random
//! number.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::io::Errno;
use vistafs_container::{Charge, Container, Held, Holds, OpenCount, Settle};
use vistafs_handover::Shown;
use vistafs_tables::{RcuMap, Slots, Spares};
use vistafs_view::{Access, NodeId, NodeKind};

use crate::channel::OpenChannel;
use crate::kept_text::KeptText;

/// The container that an open file shows; fixed at open.
#[derive(Debug, Clone)]
pub(crate) enum Shows {
    /// The host's file, byte for byte.
    Host,
    /// A container's.
    Container(Arc<Container>),
}

/// The contents of an open file.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// The result of the last rendering. A reply is sent from it after the lock is released.
    bytes: Option<Arc<Vec<u8>>>,
    /// Whether there was one.
    pub(crate) rendered: bool,
    /// Its end, if it was read to the end. The bytes are then freed: a tenant may keep thousands of
    /// descriptors open after reading them.
    pub(crate) ended_at: Option<u64>,
    /// A part was read, and the rest was lost with an earlier process.
    pub(crate) lost: bool,
    /// The state for a successor process.
    pub(crate) kept: Option<KeptText>,
    /// Of the bytes, if they are held beyond a reply.
    charge: Option<Charge>,
}

impl Text {
    /// Returns the result of the last rendering.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Returns a reference that can be read without the lock.
    pub(crate) fn share(&self) -> Option<Arc<Vec<u8>>> {
        self.bytes.clone()
    }

    /// Stores a new rendering.
    pub(crate) fn set(&mut self, bytes: Arc<Vec<u8>>) {
        self.bytes = Some(bytes);
    }

    /// Takes the last rendering.
    pub(crate) fn take(&mut self) -> Option<Arc<Vec<u8>>> {
        self.charge = None;
        self.bytes.take()
    }

    /// Returns whether unread bytes are held that are not charged.
    fn is_uncounted(&self) -> bool {
        self.bytes.is_some() && self.charge.is_none()
    }

    /// Restores the state that an earlier process left.
    pub(crate) fn go_on_from(&mut self, shown: Shown) {
        match shown {
            Shown::Whole { length, .. } => self.ended_at = Some(length),
            Shown::Part(text) => {
                self.bytes = Some(Arc::new(text));
                self.rendered = true;
            }
            Shown::Lost => self.lost = true,
        }
    }
}

/// The channel of an open file for writes and polls.
#[derive(Debug, Clone, Default)]
pub(crate) enum Behind {
    /// The view has not been called.
    #[default]
    Unknown,
    /// The view has not been called, and must restore this state of an earlier process.
    Lasting(Box<[u8]>),
    /// None: not writable, always ready.
    Nothing,
    /// An open channel.
    Channel(Arc<OpenChannel>),
    /// The error of each write and poll.
    Refused(Errno),
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// Index of the view among the serving ones.
    pub(crate) view: usize,
    /// The node within the view, if it is a tree.
    pub(crate) within: NodeId,
    /// The container.
    pub(crate) shows: Shows,
    /// The access mode of open(2).
    pub(crate) access: Access,
    /// Held while a view renders, but not during the reply: the reader may get it and issue the
    /// next read on another thread before the replying thread continues.
    pub(crate) text: Mutex<Text>,
    /// The channel, opened under the lock.
    pub(crate) behind: Mutex<Behind>,
    /// Counts the file against its tenant's limit.
    pub(crate) count: Option<OpenCount>,
}

impl Holds for OpenFile {
    /// A reader in the middle of the contents then gets an error, and must start again.
    fn let_go(&self) -> bool {
        let Some(mut text) = self.text.try_lock() else {
            return false;
        };
        if text.take().is_some() && text.rendered {
            text.lost = true;
            text.rendered = false;
        }
        true
    }
}

impl OpenFile {
    /// Creates a file of `view` that was not read yet.
    pub(crate) fn new(view: usize, within: NodeId, shows: Shows, access: Access) -> Self {
        Self {
            view,
            within,
            shows,
            access,
            text: Mutex::default(),
            behind: Mutex::default(),
            count: None,
        }
    }

    /// Charges contents that are held between two reads.
    pub(crate) fn count_text(self: &Arc<Self>, held: &Arc<Held>) {
        let bytes = {
            let text = self.text.lock();
            if !text.is_uncounted() {
                return;
            }
            text.bytes().len()
        };
        let weak: Weak<Self> = Arc::downgrade(self);
        // The lock is released: other holders are evicted.
        match held.hold(bytes, weak) {
            Some(charge) => self.text.lock().charge = Some(charge),
            None => drop(self.let_go()),
        }
    }

    /// Returns whether the channel state is known. Never waits for an open in progress.
    pub(crate) fn has_channel_known(&self) -> bool {
        let behind = self.behind.try_lock();
        behind.is_some_and(|behind| !matches!(*behind, Behind::Unknown | Behind::Lasting(_)))
    }

    /// Returns a placeholder for the next file.
    fn vacant() -> Self {
        let nothing = Access {
            read: false,
            write: false,
        };
        Self::new(0, NodeId::TOP, Shows::Host, nothing)
    }
}

/// A directory listing: name, inode, kind.
pub(crate) type Listing = Vec<(std::ffi::OsString, u64, NodeKind)>;

/// An open directory. An evicted listing is created again.
#[derive(Debug, Default)]
pub(crate) struct OpenDirectory {
    listing: Mutex<Option<(Arc<Listing>, Charge)>>,
    _count: Option<OpenCount>,
}

impl Holds for OpenDirectory {
    fn let_go(&self) -> bool {
        self.listing.try_lock().is_some_and(|mut held| {
            held.take();
            true
        })
    }
}

const KEPT_BUFFERS: usize = 64;
const KEPT_SIZE: usize = 64 << 10;
/// Distance between the first handles of two workers, 65,536 by the golden ratio: the shared state
/// distinguishes handles by their lowest 16 bits.
const BETWEEN_WORKERS: u64 = 40_503;

/// The tables of open files and directories.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    mark: u64,
    files: Slots<OpenFile>,
    // Of other workers, by handle.
    adopted: RcuMap<u64, Arc<OpenFile>, 256>,
    directories: Slots<OpenDirectory>,
    spares: Arc<SpareMemory>,
}

/// Buffers and entries of closed files, for reuse.
#[derive(Debug)]
pub(crate) struct SpareMemory {
    // `Arc`s, so that sharing one does not allocate.
    buffers: Spares<Arc<Vec<u8>>>,
    closed: Spares<Arc<OpenFile>>,
}

impl Settle for SpareMemory {
    fn settle(&self) {
        self.buffers.clear();
        self.closed.clear();
    }
}

impl OpenFiles {
    pub(crate) fn new(mark: Option<u64>) -> Self {
        let bits = Slots::<OpenFile>::BITS;
        // The standard library's source of randomness without a dependency.
        let random = || RandomState::new().hash_one(std::process::id()) << bits;
        let mark = mark.unwrap_or_else(random);
        let worker = mark >> bits;
        let first = u32::try_from(worker.wrapping_mul(BETWEEN_WORKERS) % (1 << 16)).unwrap_or(0);
        Self {
            mark,
            files: Slots::new(first),
            adopted: RcuMap::default(),
            directories: Slots::new(first),
            spares: Arc::new(SpareMemory {
                buffers: Spares::new(KEPT_BUFFERS),
                closed: Spares::new(KEPT_BUFFERS),
            }),
        }
    }

    /// Returns the memory that can be freed while the mount is idle.
    pub(crate) fn spares(&self) -> Arc<SpareMemory> {
        Arc::clone(&self.spares)
    }

    /// Opens a file; returns its handle. `None`: the table is full.
    pub(crate) fn open(&self, file: OpenFile) -> Option<u64> {
        let mut shared = self
            .spares
            .closed
            .take()
            .unwrap_or_else(|| Arc::new(OpenFile::vacant()));
        match Arc::get_mut(&mut shared) {
            Some(place) => *place = file,
            None => shared = Arc::new(file),
        }
        Some(self.mark | self.files.open(shared)?)
    }

    /// Opens a file under a handle of another worker.
    pub(crate) fn adopt(&self, handle: u64, file: OpenFile) -> Arc<OpenFile> {
        self.adopted.get_or_insert_with(handle, || Arc::new(file))
    }

    /// Returns the file of a handle.
    pub(crate) fn get(&self, handle: u64) -> Option<Arc<OpenFile>> {
        let own = self.own(handle).and_then(|number| self.files.get(number));
        own.or_else(|| self.adopted.get(&handle))
    }

    /// Returns whether a handle belongs to this process, not to an earlier worker.
    pub(crate) fn is_own(&self, handle: u64) -> bool {
        self.own(handle).is_some()
    }

    /// Closes a file. Its channel stays open until the returned file is dropped.
    pub(crate) fn close(&self, handle: u64) -> Option<OpenFile> {
        let own = self.own(handle).and_then(|number| self.files.close(number));
        let mut closed = own.or_else(|| self.adopted.remove(&handle))?;
        // The thread of its last reply may still hold the file, and must not keep the buffer.
        if let Some(mut text) = closed.text.try_lock() {
            self.give_back_shared(text.take());
        }
        let Some(place) = Arc::get_mut(&mut closed) else {
            // Of two concurrent threads neither holds the only reference, but one is the last.
            return Arc::into_inner(closed);
        };
        let file = std::mem::replace(place, OpenFile::vacant());
        self.spares.closed.give(closed);
        Some(file)
    }

    /// Keeps a buffer for another file.
    pub(crate) fn give_back(&self, bytes: Vec<u8>) {
        self.give_back_shared(Some(Arc::new(bytes)));
    }

    /// Like [`give_back`](Self::give_back), for a shared buffer: the last holder returns it.
    pub(crate) fn give_back_shared(&self, bytes: Option<Arc<Vec<u8>>>) {
        let Some(mut shared) = bytes else {
            return;
        };
        if Arc::get_mut(&mut shared).is_none() {
            // Of two concurrent threads neither holds the only reference, but one is the last.
            let Some(bytes) = Arc::into_inner(shared) else {
                return;
            };
            shared = Arc::new(bytes);
        }
        let Some(bytes) = Arc::get_mut(&mut shared) else {
            return;
        };
        if bytes.capacity() > 0 && bytes.capacity() <= KEPT_SIZE {
            bytes.clear();
            self.spares.buffers.give(shared);
        }
    }

    /// Returns an empty buffer: the earlier one unless it is still being read, else a returned one.
    pub(crate) fn empty(&self, earlier: Option<Arc<Vec<u8>>>) -> Arc<Vec<u8>> {
        if let Some(mut earlier) = earlier
            && let Some(bytes) = Arc::get_mut(&mut earlier)
        {
            bytes.clear();
            return earlier;
        }
        self.spares.buffers.take().unwrap_or_default()
    }

    /// Returns a reused buffer or a new one.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        let given_back = self.spares.buffers.take();
        given_back.and_then(Arc::into_inner).unwrap_or_default()
    }

    /// Opens a directory with its listing; returns the handle. `None`: the limit is reached.
    pub(crate) fn open_listing(&self, listing: Listing, held: &Arc<Held>) -> Option<u64> {
        let room = |(name, ..): &(std::ffi::OsString, u64, NodeKind)| name.len() + 64;
        let bytes = listing.iter().map(room).sum();
        let directory = Arc::new(OpenDirectory {
            listing: Mutex::default(),
            _count: Some(held.open()?),
        });
        let weak: Weak<OpenDirectory> = Arc::downgrade(&directory);
        if let Some(charge) = held.hold(bytes, weak) {
            *directory.listing.lock() = Some((Arc::new(listing), charge));
        }
        Some(self.mark | self.directories.open(directory)?)
    }

    /// Returns the listing of a handle, unless it was evicted.
    pub(crate) fn listing(&self, handle: u64) -> Option<Arc<Listing>> {
        let directory = self.directories.get(self.own(handle)?)?;
        let held = directory.listing.lock();
        held.as_ref().map(|(listing, _)| Arc::clone(listing))
    }

    /// Closes a directory.
    pub(crate) fn close_listing(&self, handle: u64) {
        let number = self.own(handle);
        drop(number.and_then(|number| self.directories.close(number)));
    }

    /// Returns the number of open files.
    pub(crate) fn len(&self) -> usize {
        self.files.len() + self.adopted.len()
    }

    /// Returns the slot of a handle that this process assigned.
    fn own(&self, handle: u64) -> Option<u64> {
        let number = handle ^ self.mark;
        (number < 1 << Slots::<OpenFile>::BITS).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Access = Access {
        read: true,
        write: false,
    };

    fn filled(files: &OpenFiles) -> Arc<Vec<u8>> {
        let mut buffer = files.empty(None);
        Arc::get_mut(&mut buffer)
            .unwrap()
            .extend_from_slice(&[7; 4096]);
        buffer
    }

    /// Identifies a buffer by its address and capacity.
    fn told(buffer: &Arc<Vec<u8>>) -> (*const Vec<u8>, usize) {
        (Arc::as_ptr(buffer), buffer.capacity())
    }

    #[test]
    fn what_somebody_still_reads_comes_back_when_he_has_read() {
        let files = OpenFiles::new(Some(0));
        let text = filled(&files);
        let (read, before) = (Arc::clone(&text), told(&text));
        let other = files.empty(Some(text));
        assert_ne!(told(&other), before);
        files.give_back_shared(Some(read));
        let again = files.empty(None);
        assert_eq!((told(&again), again.len()), (before, 0));
        // A sole reader gets the same buffer again.
        assert_eq!(told(&files.empty(Some(again))), before);
    }

    #[test]
    fn a_closed_file_s_place_is_the_next_one_s() {
        let files = OpenFiles::new(Some(0));
        let open = || {
            files
                .open(OpenFile::new(0, NodeId::TOP, Shows::Host, READ))
                .unwrap()
        };
        let handles = [open(), open()];
        let places = handles.map(|handle| Arc::as_ptr(&files.get(handle).unwrap()));
        assert!(handles.iter().all(|handle| files.close(*handle).is_some()));
        assert!(handles.iter().all(|handle| files.get(*handle).is_none()));
        let again = [open(), open()];
        assert_eq!(
            again.map(|handle| Arc::as_ptr(&files.get(handle).unwrap())),
            places
        );
        assert!(again.iter().all(|handle| !handles.contains(handle)));
    }

    #[test]
    fn another_worker_s_handles_are_adopted() {
        let (before, files) = (OpenFiles::new(Some(3 << 40)), OpenFiles::new(Some(4 << 40)));
        let file = |view| OpenFile::new(view, NodeId::TOP, Shows::Host, READ);
        let handle = before.open(file(1)).unwrap();
        let own: Vec<u64> = (0..100).map(|_| files.open(file(2)).unwrap()).collect();
        assert!(files.get(handle).is_none() && !own.contains(&handle));
        files.adopt(handle, file(1));
        assert_eq!(files.adopt(handle, file(3)).view, 1, "the first one stays");
        assert_eq!((files.get(handle).unwrap().view, files.len()), (1, 101));
        assert_eq!(files.close(handle).unwrap().view, 1);
        assert!(files.close(handle).is_none() && files.get(handle).is_none());
        // Their slots in the shared state differ from those of the earlier worker.
        let place = |handle: &u64| handle % (1 << 16);
        assert!(own.iter().all(|own| place(own) != place(&handle)));
    }

    #[test]
    fn a_file_that_is_closed_before_its_last_reader_goes_on_leaves_its_buffer() {
        let files = OpenFiles::new(Some(0));
        let handle = files
            .open(OpenFile::new(0, NodeId::TOP, Shows::Host, READ))
            .unwrap();
        let file = files.get(handle).unwrap();
        let text = filled(&files);
        let before = told(&text);
        file.text.lock().set(text);
        let read = file.text.lock().share();
        assert!(files.close(handle).is_none());
        files.give_back_shared(read);
        let again = files.empty(None);
        assert_eq!(told(&again), before);
        files.give_back_shared(Some(again));
        files.spares().settle();
        assert_eq!(files.empty(None).capacity(), 0);
        drop(file);
    }
}
