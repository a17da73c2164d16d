//! One kernel file that stays open and is read with `pread`.
//!
//! Opening costs as much as reading, so a file that is read again and again is opened once.
//! A file that is not there now may come later (a controller that is enabled), and one that is
//! open may go (a controller disabled, a cgroup removed: ENODEV), so both are tried afresh.
//!
//! A text must be of one making. From an offset of 0 the kernel makes it anew, and from another one goes on
//! where the last read of the descriptor has ended; if another reader has been there meanwhile it makes
//! the text anew and skips as many bytes, however long it is by now. So a text that comes in one piece
//! is read by one call, and the descriptor of one that does not has one reader at a time.

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use crate::{Dir, HostError, descriptors};

/// How the kernel hands a text out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In one piece (`single_open`, most cgroup files): one read that is short has all of it.
    Whole,
    /// Record by record (`/proc/cpuinfo`, `cgroup.procs`): only an empty read is the end.
    Records,
}

/// What a first read is given room for: most cgroup texts, and `/proc/meminfo`, fit.
const FIRST_ROOM: usize = 4096;

/// A text larger than this is no kernel text that we know; it would only eat memory.
const LARGEST: usize = 64 << 20;

/// The descriptor of a file, once it was opened.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    // Write-locked only to put a descriptor in or take one out; read-locked while one is read that
    // many may read at once. Nobody waits for it: who comes at the wrong time opens the file for himself.
    open: RwLock<Option<OwnedFd>>,
}

/// How a kernel file is read, and what the longest of its texts so far has needed, bytes.
#[derive(Debug)]
pub(crate) struct Habit {
    shape: Shape,
    room: AtomicUsize,
}

impl Habit {
    pub(crate) const fn new(shape: Shape) -> Self {
        Self {
            shape,
            room: AtomicUsize::new(FIRST_ROOM),
        }
    }
}

/// A kernel file kept open, by itself.
#[derive(Debug)]
pub struct KeptFile {
    dir: Arc<Dir>,
    name: Cow<'static, str>,
    habit: Habit,
    slot: Slot,
}

impl KeptFile {
    /// Names a file below `dir`; nothing is opened yet.
    #[must_use]
    pub fn new(dir: Arc<Dir>, name: impl Into<Cow<'static, str>>, shape: Shape) -> Self {
        Self {
            dir,
            name: name.into(),
            habit: Habit::new(shape),
            slot: Slot::default(),
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> Kept<'_> {
        Kept::new((&self.dir, &self.name), &self.habit, &self.slot)
    }
}

/// A kernel file that is kept open by somebody.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    dir: &'a Dir,
    name: &'a str,
    habit: &'a Habit,
    slot: &'a Slot,
}

impl<'a> Kept<'a> {
    pub(crate) fn new((dir, name): (&'a Dir, &'a str), habit: &'a Habit, slot: &'a Slot) -> Self {
        Self {
            dir,
            name,
            habit,
            slot,
        }
    }

    /// What messages call it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    /// Replaces `text` by the file's present content. `false`: the file is not there.
    ///
    /// # Errors
    /// `Denied` or `Io`; never `NotFound`.
    pub fn read(&self, text: &mut Vec<u8>) -> Result<bool, HostError> {
        match self.read_kept(text) {
            Some(Ok(())) => return Ok(true),
            // Dead descriptor: the file may have come back under the same name.
            Some(Err(Errno::NODEV | Errno::NOENT)) => self.put(None),
            Some(Err(errno)) => return Err(HostError::from_errno(errno, &self.path())),
            None => {}
        }
        let outcome = self
            .dir
            .open_file(Path::new(self.name))
            .and_then(|fd| self.read_from(&fd, text).map(|()| fd));
        match outcome {
            Ok(fd) => {
                // A tenant with many cgroups must not take the last ones.
                if !descriptors::are_used_up(&fd) {
                    self.put(Some(fd));
                }
                Ok(true)
            }
            Err(Errno::NOENT | Errno::NODEV) => {
                text.clear();
                Ok(false)
            }
            Err(errno) => Err(HostError::from_errno(errno, &self.path())),
        }
    }

    /// Reads from the descriptor that is kept; `None`: there is none, or another reader has it.
    fn read_kept(&self, text: &mut Vec<u8>) -> Option<Result<(), Errno>> {
        match self.habit.shape {
            Shape::Whole => {
                let open = self.slot.open.try_read()?;
                open.as_ref().map(|fd| self.read_from(fd, text))
            }
            Shape::Records => {
                // Who comes meanwhile opens one of his own.
                let fd = self.slot.open.try_write()?.take()?;
                let read = self.read_from(&fd, text);
                if read.is_ok() {
                    self.put(Some(fd));
                }
                Some(read)
            }
        }
    }

    /// Unless it is in use, and then the next one who reads it does.
    fn put(&self, fd: Option<OwnedFd>) {
        let slot = self.slot.open.try_write();
        let before = slot.and_then(|mut slot| std::mem::replace(&mut *slot, fd));
        // Not closed under the lock.
        drop(before);
    }

    /// As [`read`](Self::read), where the absence of the file is an error.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Io`.
    pub fn read_required(&self, text: &mut Vec<u8>) -> Result<(), HostError> {
        if self.read(text)? {
            Ok(())
        } else {
            Err(HostError::NotFound { path: self.path() })
        }
    }

    /// Reads and parses; `None`: the file is not there.
    ///
    /// # Errors
    /// As [`read`](Self::read), and `Malformed`.
    pub fn parse<T>(
        &self,
        text: &mut Vec<u8>,
        parser: impl FnOnce(&[u8]) -> Result<T, vistafs_text::ParseError>,
    ) -> Result<Option<T>, HostError> {
        if !self.read(text)? {
            return Ok(None);
        }
        parser(text)
            .map(Some)
            .map_err(|source| HostError::malformed(&self.path(), source))
    }

    /// As [`parse`](Self::parse), where the absence of the file is an error.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Io`, `Malformed`.
    pub fn parse_required<T>(
        &self,
        text: &mut Vec<u8>,
        parser: impl FnOnce(&[u8]) -> Result<T, vistafs_text::ParseError>,
    ) -> Result<T, HostError> {
        self.parse(text, parser)?
            .ok_or_else(|| HostError::NotFound { path: self.path() })
    }

    fn read_from(&self, fd: &OwnedFd, text: &mut Vec<u8>) -> Result<(), Errno> {
        text.clear();
        match self.habit.shape {
            Shape::Whole => self.read_piece(fd, text),
            Shape::Records => read_whole(fd, text),
        }
    }

    /// Reads a text that comes in one piece. What had no room is read again, not the rest of it.
    fn read_piece(&self, fd: &OwnedFd, text: &mut Vec<u8>) -> Result<(), Errno> {
        text.reserve(self.habit.room.load(Ordering::Relaxed));
        loop {
            let room = text.capacity();
            match rustix::io::pread(fd, spare_capacity(text), 0) {
                Ok(got) if got < room => return Ok(()),
                Ok(_) if room > LARGEST => return Err(Errno::FBIG),
                Ok(_) => {
                    text.clear();
                    text.reserve(2 * room);
                    self.habit
                        .room
                        .fetch_max(text.capacity(), Ordering::Relaxed);
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// Appends a file's content from its beginning, whatever its shape. Nobody else may be reading from the
/// descriptor.
///
/// # Errors
/// EFBIG for one that does not end; the kernel's.
pub fn read_whole(fd: &OwnedFd, text: &mut Vec<u8>) -> Result<(), Errno> {
    let start = text.len();
    text.reserve(FIRST_ROOM);
    loop {
        let room = text.capacity() - text.len();
        let offset = (text.len() - start) as u64;
        let got = match rustix::io::pread(fd, spare_capacity(text), offset) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if got == 0 {
            return Ok(());
        }
        if text.len() - start > LARGEST {
            return Err(Errno::FBIG);
        }
        if got == room {
            text.reserve(text.capacity());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(dir: &Path, name: &'static str, shape: Shape) -> KeptFile {
        KeptFile::new(Arc::new(Dir::open(dir).unwrap()), name, shape)
    }

    #[test]
    fn a_file_that_comes_later_is_seen() {
        let tmp = tempfile::tempdir().unwrap();
        let file = kept(tmp.path(), "memory.max", Shape::Whole);
        let mut text = b"stale".to_vec();
        assert!(!file.file().read(&mut text).unwrap());
        assert!(text.is_empty());
        assert!(
            file.file()
                .read_required(&mut text)
                .unwrap_err()
                .is_not_found()
        );
        std::fs::write(tmp.path().join("memory.max"), "max\n").unwrap();
        assert!(file.file().read(&mut text).unwrap());
        assert_eq!(text, b"max\n");
    }

    #[test]
    fn every_size_around_the_room_is_read_whole() {
        let tmp = tempfile::tempdir().unwrap();
        for shape in [Shape::Whole, Shape::Records] {
            for size in [0, 1, 4095, 4096, 4097, 8192, 100_000] {
                let content: Vec<u8> = (0..size).map(|i| b"abcdefgh"[i % 8]).collect();
                std::fs::write(tmp.path().join("f"), &content).unwrap();
                let mut text = Vec::new();
                kept(tmp.path(), "f", shape).file().read(&mut text).unwrap();
                assert!(text == content, "{shape:?} {size}");
            }
        }
    }

    #[test]
    fn the_kernel_s_own_record_files_are_read_whole() {
        let mut text = Vec::new();
        kept(Path::new("/proc"), "cpuinfo", Shape::Records)
            .file()
            .read(&mut text)
            .unwrap();
        let names = |text: &[u8]| vistafs_text::cpuinfo::cpus(text);
        assert_eq!(
            names(&text),
            names(&std::fs::read("/proc/cpuinfo").unwrap())
        );
        assert!(!names(&text).is_empty());
    }

    /// A text that changes its length under many readers is never put together of two.
    #[test]
    fn readers_at_once_get_one_making_each() {
        let thread = rustix::thread::gettid().as_raw_nonzero();
        let directory = format!("/proc/self/task/{thread}");
        // The kernel may show a name that is half written: of these it is one of their kind.
        let names = ["a", "aaaaaaaaaaaaaaa"];
        let is_one = |text: &[u8]| {
            let name = text.strip_suffix(b"\n");
            name.is_some_and(|name| name.iter().all(|byte| *byte == b'a'))
        };
        for shape in [Shape::Whole, Shape::Records] {
            let file = kept(Path::new(&directory), "comm", shape);
            std::fs::write(format!("{directory}/comm"), names[0]).unwrap();
            std::thread::scope(|scope| {
                let readers: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let mut text = Vec::new();
                            (0..20_000).find_map(|_| {
                                file.file().read(&mut text).unwrap();
                                (!is_one(&text))
                                    .then(|| String::from_utf8_lossy(&text).into_owned())
                            })
                        })
                    })
                    .collect();
                for name in names.iter().cycle() {
                    std::fs::write(format!("{directory}/comm"), name).unwrap();
                    if readers.iter().all(|reader| reader.is_finished()) {
                        break;
                    }
                }
                for reader in readers {
                    assert_eq!(reader.join().unwrap(), None, "{shape:?}");
                }
            });
        }
    }
}
