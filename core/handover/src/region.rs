//! The shared memory as atomic words. All unsafe code of this crate is here.
//!
//! Every process with the memory may be writing it, and may be killed meanwhile. So no code gets a
//! plain reference to it: it is accessed as atomic 64-bit words. A killed process has done all its
//! stores up to some instruction and none after it, so ordered stores are seen in order.
#![allow(
    unsafe_code,
    reason = "shared memory has to be mapped, and seen as words that other processes change"
)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use crate::HandoverError;

/// Bytes in a word.
pub(crate) const WORD: usize = 8;

/// Shared memory of a fixed length.
#[derive(Debug)]
pub(crate) struct Region {
    descriptor: OwnedFd,
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and lasts until the drop. It is used
// as atomic words alone.
unsafe impl Send for Region {}
// SAFETY: as above; atomic words may be used by several threads.
unsafe impl Sync for Region {}

impl Region {
    /// Creates zeroed memory of a fixed length.
    pub(crate) fn create(words: usize) -> Result<Self, HandoverError> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let descriptor = rustix::fs::memfd_create("vistafs-handover", flags)
            .map_err(HandoverError::kernel("make"))?;
        rustix::fs::ftruncate(&descriptor, bytes(words)).map_err(HandoverError::kernel("size"))?;
        rustix::fs::fcntl_add_seals(&descriptor, needed_seals() | SealFlags::SEAL)
            .map_err(HandoverError::kernel("seal"))?;
        Self::map(descriptor, words)
    }

    /// Maps the memory of a descriptor; at least `least` words.
    pub(crate) fn adopt(descriptor: OwnedFd, least: usize) -> Result<Self, HandoverError> {
        let seals = rustix::fs::fcntl_get_seals(&descriptor)
            .map_err(|_| HandoverError::Foreign("it has no seals"))?;
        // A length that could still change would make a later access a SIGBUS.
        if !seals.contains(needed_seals()) {
            return Err(HandoverError::Foreign("its length is not sealed"));
        }
        if seals.contains(SealFlags::WRITE) {
            return Err(HandoverError::Foreign("it is sealed against writing"));
        }
        let stat = rustix::fs::fstat(&descriptor).map_err(HandoverError::kernel("look at"))?;
        let length = usize::try_from(stat.st_size).unwrap_or(0);
        let words = length / WORD;
        if words < least {
            return Err(HandoverError::Foreign("it is too short"));
        }
        Self::map(descriptor, words)
    }

    fn map(descriptor: OwnedFd, words: usize) -> Result<Self, HandoverError> {
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                words * WORD,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &descriptor,
                0,
            )
        }
        .map_err(HandoverError::kernel("map"))?;
        let start = NonNull::new(start.cast())
            .ok_or(HandoverError::Foreign("it is mapped at address 0"))?;
        Ok(Self {
            descriptor,
            start,
            words,
        })
    }

    /// Number of words.
    pub(crate) fn len(&self) -> usize {
        self.words
    }

    /// Zeroes some of the words and returns their memory to the kernel. `false`: the kernel cannot
    /// do it.
    pub(crate) fn give_back(&self, first: usize, count: usize) -> bool {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.descriptor, flags, bytes(first), bytes(count)).is_ok()
    }

    fn all(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is `words` words long, aligned to a page, readable and writable, and
        // lasts as long as `self`. Its length is sealed, so no access is beyond the end of the file.
        // An AtomicU64 may have any value, and may be changed by others at any time.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }

    /// A range of words.
    ///
    /// # Panics
    /// If the range is beyond the end: callers use numbers of the layout, which adoption has
    /// checked.
    pub(crate) fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        &self.all()[first..first + count]
    }
}

impl AsFd for Region {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and no reference to it outlives `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.words * WORD) };
        debug_assert!(unmapped.is_ok());
    }
}

fn needed_seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW
}

fn bytes(words: usize) -> u64 {
    (words as u64).saturating_mul(WORD as u64)
}

/// Stores bytes into words and fills the last word with zeros.
///
/// Bytes beyond the end are dropped; callers check the length before.
pub(crate) fn store_bytes(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<WORD>();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (rest.is_empty(), words.get(whole.len())) {
        let mut last = [0; WORD];
        last[..rest.len()].copy_from_slice(rest);
        word.store(u64::from_le_bytes(last), Ordering::Relaxed);
    }
}

/// Appends the first `length` bytes of words.
pub(crate) fn load_bytes(words: &[AtomicU64], length: usize, out: &mut Vec<u8>) {
    let length = length.min(words.len() * WORD);
    let end = out.len() + length;
    out.reserve(length.next_multiple_of(WORD));
    for word in &words[..length.div_ceil(WORD)] {
        out.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    out.truncate(end);
}

/// A checksum that distinguishes incomplete records from complete ones; not a security measure.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (whole, rest) = bytes.as_chunks::<WORD>();
    let sum = whole.iter().fold(bytes.len() as u64, |sum, bytes| {
        step(sum, u64::from_le_bytes(*bytes))
    });
    let mut last = [0; WORD];
    last[..rest.len()].copy_from_slice(rest);
    step(sum, u64::from_le_bytes(last)).max(1)
}

/// Two numbers in one word, the first in its upper half.
pub(crate) fn pair(upper: u32, lower: u32) -> u64 {
    u64::from(upper) << 32 | u64::from(lower)
}

/// The numbers of [`pair`].
pub(crate) fn unpair(word: u64) -> (u32, u32) {
    let half = |half: u64| u32::try_from(half & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (half(word >> 32), half(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let region = Region::create(8).unwrap();
        for length in 0..=64 {
            let bytes: Vec<u8> = (0..length).map(|n| n + 1).collect();
            store_bytes(region.words(0, 8), &bytes);
            let mut back = vec![7];
            load_bytes(region.words(0, 8), bytes.len(), &mut back);
            assert_eq!(back[1..], bytes);
        }
    }

    #[test]
    fn what_is_given_back_is_zeros() {
        let words = 4 * 4096;
        let region = Region::create(words).unwrap();
        for word in region.words(0, words) {
            word.store(7, Ordering::Relaxed);
        }
        assert!(region.give_back(100, 2000));
        let all = region.words(0, words).iter();
        let zeros = all.map(|word| word.load(Ordering::Relaxed) == 0);
        assert!(
            zeros
                .enumerate()
                .all(|(at, is_zero)| is_zero == (100..2100).contains(&at))
        );
    }

    #[test]
    fn a_length_is_kept_for_ever() {
        let region = Region::create(512).unwrap();
        for length in [0, 8192] {
            assert!(rustix::fs::ftruncate(region.as_fd(), length).is_err());
        }
        let other = Region::adopt(region.as_fd().try_clone_to_owned().unwrap(), 512).unwrap();
        region.words(3, 1)[0].store(5, Ordering::Relaxed);
        assert_eq!(other.words(3, 1)[0].load(Ordering::Relaxed), 5);
    }

    #[test]
    fn a_checksum_depends_on_every_byte() {
        let bytes: Vec<u8> = (0..45).collect();
        let sum = checksum(&bytes);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(checksum(&other), sum);
            assert_ne!(checksum(&bytes[..at]), sum);
        }
        assert_ne!(checksum(&[0]), checksum(&[0, 0]));
    }
}
