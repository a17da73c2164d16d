//! A memory file whose contents survive SIGKILL at any instruction.
//!
//! One write(2) is not atomic: the kernel copies page by page and stops at a SIGKILL in between, so
//! a killed writer leaves the first pages new and the rest old. So the file has two slots. A write
//! goes to the slot without the newest text, and a reader uses the newest slot with a valid
//! checksum: a torn write loses only itself.

use std::hash::Hasher;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use siphasher::sip::SipHasher13;

/// Distance between the slots in bytes. The file is sparse: a short text takes a page in each slot.
const SLOT: usize = 1 << 20;
const MAGIC: u64 = u64::from_le_bytes(*b"vistafs2");
/// Magic, sequence number, length, checksum.
const HEADER: usize = 4 * 8;

/// The longest text that fits, in bytes.
pub const LONGEST_TEXT: usize = SLOT - HEADER;

/// A memory file that holds the last complete text.
#[derive(Debug)]
pub struct SlotFile {
    file: OwnedFd,
    /// Sequence number of the newest valid slot; its parity selects the slot. 0: neither is valid.
    sequence: u64,
}

/// Error of writing or reading a text.
#[derive(Debug, thiserror::Error)]
pub enum SlotFileError {
    /// The text is longer than a slot.
    #[error("a text of {length} bytes is longer than a slot: {LONGEST_TEXT} bytes (shorten it)")]
    TooLong {
        /// Of the text, in bytes.
        length: usize,
    },
    /// The kernel refused it.
    #[error("cannot {what} the memory file: {errno} (free memory, or raise the unit's MemoryMax=)")]
    Kernel {
        /// The failed operation.
        what: &'static str,
        /// The kernel's error.
        errno: Errno,
    },
    /// Neither slot holds a text.
    #[error(
        "neither slot of the memory file holds a whole text: it is not a file of vistafs, or both \
         were overwritten (unmount and mount again; then vistafs repair)"
    )]
    Invalid,
}

fn kernel(what: &'static str) -> impl FnOnce(Errno) -> SlotFileError {
    move |errno| SlotFileError::Kernel { what, errno }
}

impl SlotFile {
    /// Creates an empty file; the name is shown in /proc/PID/fd.
    ///
    /// # Errors
    /// `Kernel`.
    pub fn create(name: &str) -> Result<Self, SlotFileError> {
        let file = memfd_create(name, MemfdFlags::CLOEXEC).map_err(kernel("create"))?;
        Ok(Self { file, sequence: 0 })
    }

    /// Opens a file that another process wrote, and returns its last complete text.
    ///
    /// # Errors
    /// `Kernel`, `Invalid`.
    pub fn open(file: OwnedFd) -> Result<(Self, Vec<u8>), SlotFileError> {
        let [first, second] = [0, 1].map(|slot| read_slot(&file, slot));
        let slots = first?.into_iter().chain(second?);
        match slots.max_by_key(|(sequence, _)| *sequence) {
            Some((sequence, text)) => Ok((Self { file, sequence }, text)),
            // Versions without slots wrote plain text to the position of the first slot.
            None => match read_at(&file, 0, SLOT)? {
                text if text.starts_with(b"{") => Ok((Self { file, sequence: 0 }, text)),
                _ => Err(SlotFileError::Invalid),
            },
        }
    }

    /// Writes a text. If the process is killed meanwhile, this text or the previous one remains.
    ///
    /// # Errors
    /// `TooLong`, `Kernel`; the previous text then remains.
    pub fn write(&mut self, text: &[u8]) -> Result<(), SlotFileError> {
        if text.len() > LONGEST_TEXT {
            return Err(SlotFileError::TooLong { length: text.len() });
        }
        let sequence = self.sequence.saturating_add(1);
        let header = [MAGIC, sequence, text.len() as u64, checksum(sequence, text)];
        let mut bytes = header.map(u64::to_le_bytes).concat();
        bytes.extend_from_slice(text);
        let mut done = 0;
        while done < bytes.len() {
            let at = offset(sequence) + done as u64;
            match rustix::io::pwrite(&self.file, &bytes[done..], at) {
                Ok(0) => return Err(kernel("write")(Errno::NOSPC)),
                Ok(written) => done += written,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(kernel("write")(errno)),
            }
        }
        // Only now: after a failure the next write must not overwrite the other, valid slot.
        self.sequence = sequence;
        Ok(())
    }
}

impl AsFd for SlotFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn offset(sequence: u64) -> u64 {
    sequence % 2 * SLOT as u64
}

fn checksum(sequence: u64, text: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write_u64(sequence.to_le());
    hasher.write_u64((text.len() as u64).to_le());
    hasher.write(text);
    hasher.finish()
}

/// Sequence number and text of a slot, if it is complete.
fn read_slot(file: &OwnedFd, slot: u64) -> Result<Option<(u64, Vec<u8>)>, SlotFileError> {
    let bytes = read_at(file, offset(slot), HEADER)?;
    let (words, _) = bytes.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let &[MAGIC, sequence, length, sum] = &words[..] else {
        return Ok(None);
    };
    let Some(length) = usize::try_from(length).ok().filter(|n| *n <= LONGEST_TEXT) else {
        return Ok(None);
    };
    let text = read_at(file, offset(slot) + HEADER as u64, length)?;
    let is_whole = sequence % 2 == slot
        && sequence > 0
        && text.len() == length
        && checksum(sequence, &text) == sum;
    Ok(is_whole.then_some((sequence, text)))
}

/// Up to that many bytes; fewer at the end of the file.
fn read_at(file: &OwnedFd, at: u64, length: usize) -> Result<Vec<u8>, SlotFileError> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        match rustix::io::pread(file, &mut bytes[done..], at + done as u64) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(kernel("read")(errno)),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopened(file: &SlotFile) -> Result<(SlotFile, Vec<u8>), SlotFileError> {
        SlotFile::open(file.as_fd().try_clone_to_owned().unwrap())
    }

    #[test]
    fn the_last_text_is_read() {
        let mut file = SlotFile::create("test").unwrap();
        assert!(matches!(reopened(&file), Err(SlotFileError::Invalid)));
        for length in [100, 0, 5000, 3, LONGEST_TEXT, 1] {
            let text = vec![b'x'; length];
            file.write(&text).unwrap();
            let (again, read) = reopened(&file).unwrap();
            assert_eq!(read, text);
            // The next writer uses the other slot.
            file = again;
        }
        let too_long = vec![b'x'; LONGEST_TEXT + 1];
        let refused = file.write(&too_long);
        assert!(matches!(refused, Err(SlotFileError::TooLong { .. })));
        assert_eq!(reopened(&file).unwrap().1, b"x");
    }

    #[test]
    fn a_torn_slot_falls_back_to_the_text_before() {
        for torn_at in [0, 8, 16, 24, HEADER, HEADER + 4999] {
            let mut file = SlotFile::create("test").unwrap();
            file.write(b"one").unwrap();
            file.write(&[b'y'; 5000]).unwrap();
            let tear = |sequence, at: usize| {
                let at = offset(sequence) + at as u64;
                rustix::io::pwrite(&file, b"?", at).unwrap();
            };
            tear(2, torn_at);
            let (mut again, text) = reopened(&file).unwrap();
            assert_eq!(text, b"one", "{torn_at}");
            again.write(b"three").unwrap();
            assert_eq!(reopened(&again).unwrap().1, b"three");
            tear(2, 0);
            tear(1, HEADER);
            let error = reopened(&again).unwrap_err();
            assert!(matches!(error, SlotFileError::Invalid), "{error}");
        }
    }

    #[test]
    fn a_text_before_slots_is_read_until_the_next_is_written() {
        let mut old = SlotFile::create("test").unwrap();
        rustix::io::pwrite(&old, b"{\"a\":1}\0rest", 0).unwrap();
        let (mut file, text) = reopened(&old).unwrap();
        assert_eq!(text, b"{\"a\":1}\0rest");
        for text in [&b"{}"[..], b"{ }"] {
            file.write(text).unwrap();
            let (again, read) = reopened(&file).unwrap();
            assert_eq!(read, text);
            old = again;
        }
        assert_eq!(old.sequence, 2);
    }
}
