//! A kernel file whose descriptor is cached and read with `pread`.
//!
//! Opening costs as much as reading, so a frequently read file is opened once. A missing file may
//! appear later (a controller is enabled), and an open file may vanish (a controller is disabled, a
//! cgroup removed: ENODEV), so both are retried.
//!
//! Contents must come from one snapshot. The kernel generates them at offset 0, and at another
//! offset continues where the last read of the descriptor ended; if another reader intervened, it
//! generates them again and skips as many bytes, whatever their new length. So contents of one
//! piece are read by one call, and a descriptor with several pieces has one reader at a time.

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use crate::{Dir, HostError, descriptors};

/// How the kernel returns the contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In one piece (`single_open`, most cgroup files): a short read has returned everything.
    Whole,
    /// Record by record (`/proc/cpuinfo`, `cgroup.procs`): only an empty read is the end.
    Records,
}

/// Initial buffer size: most cgroup files and `/proc/meminfo` fit.
const FIRST_ROOM: usize = 4096;

/// No known kernel file is larger; a larger one would only exhaust memory.
const LARGEST: usize = 64 << 20;

/// The descriptor of a file, once opened.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    // Write-locked only to store or take a descriptor; read-locked while reading a descriptor that
    // allows several readers. A caller that finds it locked opens the file itself.
    open: RwLock<Option<OwnedFd>>,
}

/// How a kernel file is read, and the size in bytes of its longest contents so far.
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

/// A single kernel file with a cached descriptor.
#[derive(Debug)]
pub struct KeptFile {
    dir: Arc<Dir>,
    name: Cow<'static, str>,
    habit: Habit,
    slot: Slot,
}

impl KeptFile {
    /// Names a file below `dir` without opening it.
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

/// A kernel file whose descriptor is cached in a `Slot`.
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

    /// Path used in messages.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    /// Replaces `text` with the file's present contents. `false`: the file does not exist.
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
                // A tenant with many cgroups must not exhaust the descriptors.
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

    /// Reads from the cached descriptor; `None`: none is cached, or another reader uses it.
    fn read_kept(&self, text: &mut Vec<u8>) -> Option<Result<(), Errno>> {
        match self.habit.shape {
            Shape::Whole => {
                let open = self.slot.open.try_read()?;
                open.as_ref().map(|fd| self.read_from(fd, text))
            }
            Shape::Records => {
                // A concurrent reader opens its own descriptor.
                let fd = self.slot.open.try_write()?.take()?;
                let read = self.read_from(&fd, text);
                if read.is_ok() {
                    self.put(Some(fd));
                }
                Some(read)
            }
        }
    }

    /// If the lock is held, skips it; the next reader stores its descriptor.
    fn put(&self, fd: Option<OwnedFd>) {
        let slot = self.slot.open.try_write();
        let before = slot.and_then(|mut slot| std::mem::replace(&mut *slot, fd));
        // Closed outside the lock.
        drop(before);
    }

    /// As [`read`](Self::read), but a missing file is an error.
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

    /// Reads and parses; `None`: the file does not exist.
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

    /// As [`parse`](Self::parse), but a missing file is an error.
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

    /// Reads contents of one piece. A text that did not fit is read again from the start.
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

/// Appends a file's contents from the beginning, whatever its shape. No other reader may use the
/// descriptor.
///
/// # Errors
/// EFBIG for endless contents; the kernel's errors.
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

    /// Concurrent readers of a file that changes its length never get parts of two snapshots.
    #[test]
    fn readers_at_once_get_one_making_each() {
        let thread = rustix::thread::gettid().as_raw_nonzero();
        let directory = format!("/proc/self/task/{thread}");
        // The kernel may show a half-written name: it has the letters of one of the two names.
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
