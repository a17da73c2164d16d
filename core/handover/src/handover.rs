//! The shared memory: created by the supervisor, adopted by one worker after another.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nix::unistd::SysconfVar;
use parking_lot::Mutex;

use crate::HandoverError;
use crate::asleep::Waking;
use crate::layout::{self, MAGIC, MAJOR, MAJOR_BEFORE, MINOR, RECORD_BYTES, head};
use crate::records::Records;
use crate::region::{Region, WORD, pair, unpair};

/// Memory that outlives the worker that uses it.
///
/// The supervisor creates it and passes its descriptor to each worker, which adopts it.
#[derive(Debug)]
pub struct Handover {
    pub(crate) region: Region,
    /// Capacity of a container's record, in bytes.
    pub(crate) record_bytes: usize,
    /// Location of the records of containers.
    pub(crate) records: Records,
    /// Offset of the table of written state; `None`: the memory's version has no such table.
    pub(crate) written: Option<usize>,
    /// Held, within this process, while room for a container or a text is claimed or released.
    pub(crate) claiming: Mutex<()>,
    generation: AtomicU32,
    pub(crate) waking: Waking,
}

impl Handover {
    /// Creates new memory.
    ///
    /// # Errors
    /// `Kernel`.
    pub fn create() -> Result<Arc<Self>, HandoverError> {
        // The largest records hold values per CPU, for every CPU that the machine can have.
        let cpus = nix::unistd::sysconf(SysconfVar::_NPROCESSORS_CONF);
        let cpus = cpus
            .ok()
            .flatten()
            .and_then(|cpus| usize::try_from(cpus).ok());
        let room = cpus.unwrap_or(1).saturating_mul(128);
        let (least, most) = RECORD_BYTES.into_inner();
        Self::with_records(least.saturating_add(room).min(most))
    }

    /// Creates memory with records of this capacity.
    pub(crate) fn with_records(bytes: usize) -> Result<Arc<Self>, HandoverError> {
        let region = Region::create(layout::end(bytes))?;
        let head = region.words(0, head::WORDS);
        head[head::RECORD_BYTES].store(bytes as u64, Ordering::Relaxed);
        head[head::VERSION].store(pair(MAJOR, MINOR), Ordering::Relaxed);
        head[head::MAGIC].store(MAGIC, Ordering::Release);
        Ok(Self::of(region, bytes, (MAJOR, MINOR)))
    }

    /// Adopts the memory of a descriptor, of this or another version of vistafs. Its contents are
    /// not trusted: implausible entries are skipped.
    ///
    /// # Errors
    /// `Foreign`, `Version`, `Kernel`.
    pub fn adopt(descriptor: OwnedFd) -> Result<Arc<Self>, HandoverError> {
        let region = Region::adopt(descriptor, head::WORDS)?;
        let head = region.words(0, head::WORDS);
        if head[head::MAGIC].load(Ordering::Acquire) != MAGIC {
            return Err(HandoverError::Foreign("it does not begin as such"));
        }
        let version = unpair(head[head::VERSION].load(Ordering::Relaxed));
        let (found, _) = version;
        if !(MAJOR_BEFORE..=MAJOR).contains(&found) {
            return Err(HandoverError::Version {
                found,
                known: MAJOR,
            });
        }
        let bytes = head[head::RECORD_BYTES].load(Ordering::Relaxed);
        let bytes = usize::try_from(bytes).unwrap_or(0);
        if !RECORD_BYTES.contains(&bytes) || bytes % WORD != 0 {
            return Err(HandoverError::Foreign(
                "its records have an impossible length",
            ));
        }
        let end = match version {
            (MAJOR_BEFORE, 0) => layout::before::end_of_first(bytes),
            (MAJOR_BEFORE, _) => layout::before::end(bytes),
            _ => layout::end(bytes),
        };
        if region.len() < end {
            return Err(HandoverError::Foreign("it is too short"));
        }
        Ok(Self::of(region, bytes, version))
    }

    fn of(region: Region, record_bytes: usize, version: (u32, u32)) -> Arc<Self> {
        let generation = region.words(0, head::WORDS)[head::GENERATION].load(Ordering::Relaxed);
        Arc::new(Self {
            region,
            record_bytes,
            records: match version {
                (MAJOR_BEFORE, _) => Records::Before,
                _ => Records::in_slots(record_bytes),
            },
            written: match version {
                (MAJOR_BEFORE, 0) => None,
                (MAJOR_BEFORE, _) => Some(layout::before::end_of_first(record_bytes)),
                _ => Some(layout::written::FIRST),
            },
            claiming: Mutex::new(()),
            generation: AtomicU32::new(unpair(generation).1),
            waking: Waking::default(),
        })
    }

    /// Marks this process as the serving one until the next call; returns its generation, from 1.
    pub fn begin_generation(&self) -> u32 {
        let counter: &AtomicU64 = &self.region.words(0, head::WORDS)[head::GENERATION];
        let generation = unpair(counter.fetch_add(1, Ordering::AcqRel))
            .1
            .wrapping_add(1);
        self.generation.store(generation, Ordering::Relaxed);
        generation
    }

    /// The generation of this process; of a supervisor, the last one when it adopted the memory.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }
}

impl AsFd for Handover {
    /// The descriptor for the next worker; close-on-exec by default.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.region.as_fd()
    }
}

#[cfg(test)]
mod tests;
