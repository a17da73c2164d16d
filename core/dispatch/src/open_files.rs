//! Open handles: which view of which container, and the text that is being read.
//!
//! A handle number carries a mark of this process, so that a worker that takes over never takes a
//! handle of the one before for its own; it serves such a handle by what is kept of it
//! (`kept_text.rs`), or by rendering afresh. The mark is the worker's generation where there is memory
//! that outlives it, else a random number.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use rustix::io::Errno;
use vistafs_container::Container;
use vistafs_handover::Shown;
use vistafs_view::{Access, NodeId, NodeKind};

use crate::channel::OpenChannel;
use crate::kept_text::KeptText;

/// Whose numbers an open file shows; fixed at open.
#[derive(Debug, Clone)]
pub(crate) enum Shows {
    /// The host's file, byte for byte.
    Host,
    /// A container's.
    Container(Arc<Container>),
}

/// The text of an open file.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// What the last rendering gave. A reply is sent from it after the lock has been given back.
    bytes: Option<Arc<Vec<u8>>>,
    /// Whether there was one.
    pub(crate) rendered: bool,
    /// Where it ended, if it was read to its end. The bytes are then given back: a tenant may keep
    /// thousands of descriptors that it has read.
    pub(crate) ended_at: Option<u64>,
    /// A part of it was read, and the rest was lost with an earlier process.
    pub(crate) lost: bool,
    /// What is kept for the next process.
    pub(crate) kept: Option<KeptText>,
}

impl Text {
    /// What the last rendering gave.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The same, to be read while others go on.
    pub(crate) fn share(&self) -> Option<Arc<Vec<u8>>> {
        self.bytes.clone()
    }

    /// The next rendering.
    pub(crate) fn set(&mut self, bytes: Arc<Vec<u8>>) {
        self.bytes = Some(bytes);
    }

    /// Takes what the last rendering gave.
    pub(crate) fn take(&mut self) -> Option<Arc<Vec<u8>>> {
        self.bytes.take()
    }

    /// As an earlier process has left it.
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

/// What stands behind an open file for those who write to it or poll it.
#[derive(Debug, Clone, Default)]
pub(crate) enum Behind {
    /// The view has not been asked.
    #[default]
    Unknown,
    /// The view has not been asked, and is to make it as it was in an earlier process.
    Lasting(Box<[u8]>),
    /// Nothing: not writable, always ready.
    Nothing,
    /// This.
    Channel(Arc<OpenChannel>),
    /// The view's answer to each write and poll.
    Refused(Errno),
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// Index of the view among the serving ones.
    pub(crate) view: usize,
    /// The node within it, if it is a tree.
    pub(crate) within: NodeId,
    /// Whose numbers.
    pub(crate) shows: Shows,
    /// What it was opened for.
    pub(crate) access: Access,
    /// Held while a view renders, not while it is replied: the reader may have its answer, and ask
    /// again by way of another thread, before the one that has answered goes on.
    pub(crate) text: Mutex<Text>,
    /// What stands behind it; asked for under the lock.
    pub(crate) behind: Mutex<Behind>,
}

impl OpenFile {
    /// A file of `view` that nobody has read yet.
    pub(crate) fn new(view: usize, within: NodeId, shows: Shows, access: Access) -> Self {
        Self {
            view,
            within,
            shows,
            access,
            text: Mutex::default(),
            behind: Mutex::default(),
        }
    }
}

/// A directory listing: name, node number, kind.
pub(crate) type Listing = Vec<(std::ffi::OsString, u64, NodeKind)>;

const SHARDS: usize = 16;
const KEPT_BUFFERS: usize = 64;
const KEPT_SIZE: usize = 64 << 10;

/// The tables of open files and directories.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    files: [RwLock<HashMap<u64, Arc<OpenFile>>>; SHARDS],
    listings: RwLock<HashMap<u64, Arc<Listing>>>,
    // Each with its counter, so that sharing one takes no memory.
    buffers: Mutex<Vec<Arc<Vec<u8>>>>,
    mark: u64,
    next: AtomicU64,
}

impl OpenFiles {
    pub(crate) fn new(mark: Option<u64>) -> Self {
        // The standard library's source of randomness without a dependency.
        let random = || RandomState::new().hash_one(std::process::id()) << 40;
        let mark = mark.unwrap_or_else(random);
        Self {
            files: Default::default(),
            listings: RwLock::default(),
            buffers: Mutex::default(),
            mark,
            next: AtomicU64::new(1),
        }
    }

    /// Opens a file; its handle.
    pub(crate) fn open(&self, file: OpenFile) -> u64 {
        let handle = self.fresh();
        self.adopt(handle, file);
        handle
    }

    /// Opens a file under a handle that another worker gave out.
    pub(crate) fn adopt(&self, handle: u64, file: OpenFile) -> Arc<OpenFile> {
        let mut shard = self.shard(handle).write();
        Arc::clone(shard.entry(handle).or_insert_with(|| Arc::new(file)))
    }

    /// The file of a handle.
    pub(crate) fn get(&self, handle: u64) -> Option<Arc<OpenFile>> {
        self.shard(handle).read().get(&handle).cloned()
    }

    /// Closes a file. What stood behind it is open until the one that is returned is dropped.
    pub(crate) fn close(&self, handle: u64) -> Option<OpenFile> {
        let closed = self.shard(handle).write().remove(&handle)?;
        // Who has answered its last read may still hold it, and is not to take the buffer along.
        if let Some(mut text) = closed.text.try_lock() {
            self.give_back_shared(text.take());
        }
        Arc::into_inner(closed)
    }

    /// Keeps a buffer for another file.
    pub(crate) fn give_back(&self, bytes: Vec<u8>) {
        self.give_back_shared(Some(Arc::new(bytes)));
    }

    /// The same for one that others may still be reading: the last of them gives it back.
    pub(crate) fn give_back_shared(&self, bytes: Option<Arc<Vec<u8>>>) {
        let Some(mut shared) = bytes else {
            return;
        };
        if Arc::get_mut(&mut shared).is_none() {
            // Of two that come at the same instant neither is alone, but one of them is the last.
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
            let mut buffers = self.buffers.lock();
            if buffers.len() < KEPT_BUFFERS {
                buffers.push(shared);
            }
        }
    }

    /// A buffer to render into: an earlier one, unless it is still being read, else one that was
    /// given back.
    pub(crate) fn empty(&self, earlier: Option<Arc<Vec<u8>>>) -> Arc<Vec<u8>> {
        if let Some(mut earlier) = earlier
            && let Some(bytes) = Arc::get_mut(&mut earlier)
        {
            bytes.clear();
            return earlier;
        }
        self.buffers.lock().pop().unwrap_or_default()
    }

    /// A buffer that was given back, or a new one.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        let given_back = self.buffers.lock().pop();
        given_back.and_then(Arc::into_inner).unwrap_or_default()
    }

    /// Opens a directory with what it lists; its handle.
    pub(crate) fn open_listing(&self, listing: Listing) -> u64 {
        let handle = self.fresh();
        self.listings.write().insert(handle, Arc::new(listing));
        handle
    }

    /// The listing of a handle.
    pub(crate) fn listing(&self, handle: u64) -> Option<Arc<Listing>> {
        self.listings.read().get(&handle).cloned()
    }

    /// Closes a directory.
    pub(crate) fn close_listing(&self, handle: u64) {
        self.listings.write().remove(&handle);
    }

    /// How many files are open.
    pub(crate) fn len(&self) -> usize {
        self.files.iter().map(|shard| shard.read().len()).sum()
    }

    fn fresh(&self) -> u64 {
        let low = self.next.fetch_add(1, Ordering::Relaxed) & ((1 << 40) - 1);
        self.mark | low
    }

    fn shard(&self, handle: u64) -> &RwLock<HashMap<u64, Arc<OpenFile>>> {
        &self.files[usize::try_from(handle % SHARDS as u64).unwrap_or(0)]
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

    /// Two numbers that tell it from all others and from a new one: where it is, and its room.
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
        // Who reads alone has his own again.
        assert_eq!(told(&files.empty(Some(again))), before);
    }

    #[test]
    fn a_file_that_is_closed_before_its_last_reader_goes_on_leaves_its_buffer() {
        let files = OpenFiles::new(Some(0));
        let handle = files.open(OpenFile::new(0, NodeId::TOP, Shows::Host, READ));
        let file = files.get(handle).unwrap();
        let text = filled(&files);
        let before = told(&text);
        file.text.lock().set(text);
        let read = file.text.lock().share();
        assert!(files.close(handle).is_none());
        files.give_back_shared(read);
        assert_eq!(told(&files.empty(None)), before);
        drop(file);
    }
}
