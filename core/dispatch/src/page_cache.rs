//! Page-cached nodes: files of one container whose contents the kernel may cache for a TTL.
//!
//! The kernel serves reads from the pages of a node until its attributes expire. Then it sends
//! GETATTR, drops the pages if the size or the modification time changed, and sends one READ. So a
//! *snapshot* is rendered at GETATTR and returned at READ.
//!
//! # Consistency
//! A reader gets the size and the page in two steps, and another reader's GETATTR may come in
//! between. So the size rarely changes (see [`frame`]): contents that are shorter than the reported
//! size are padded with spaces in the last line. They never exceed a page, because the kernel drops
//! and fills pages one by one. Nodes with longer contents are served like all others.
//!
//! # Synchronization
//! Table look-ups take no lock. A node's snapshot is locked while its view renders, so only the
//! container's own readers of that file wait for it. GETATTR without a reader uses the last
//! reported values.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use vistafs_container::Container;
use vistafs_handover::ContainerKey;
use vistafs_tables::RcuMap;

use crate::number;

/// Maximum length of page-cached contents. No kernel has smaller pages.
pub(crate) const PAGE: usize = 4096;

/// How long after GETATTR a page may be read: the reader may be scheduled late.
const LATE: Duration = Duration::from_secs(1);
/// Minimum padding, in spaces, of contents whose numbers grow.
const SPARE: usize = 8;
/// Reported lengths of such contents are multiples of it.
const STEP: usize = 16;
/// Contents that are shorter than the reported length by more than this get a new length: more than
/// their numbers has changed.
const TOO_MUCH: usize = 64;

/// How long the kernel may cache the contents of a page-cached node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// When the contents were rendered.
    pub modified: SystemTime,
    /// The rest of the TTL.
    pub left: Duration,
}

/// The attributes that the kernel has of a snapshot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    // `None`: no snapshot was taken yet.
    taken: Option<(Instant, SystemTime)>,
    pub(crate) length: usize,
    is_outdated: bool,
}

impl Told {
    /// Returns how long the kernel may cache it, unless it is too old.
    pub(crate) fn freshness(&self, ttl: Duration, now: Instant) -> Option<Duration> {
        let (taken, _) = self.taken.filter(|_| !self.is_outdated)?;
        // A quarter is reserved for the kernel's clock (ticks of up to 10 ms) and the reply.
        let left = (ttl - ttl / 4).checked_sub(now.saturating_duration_since(taken))?;
        (!left.is_zero()).then_some(left)
    }

    /// Returns whether it may still be served, or the kernel may consider it fresh: the kernel's
    /// TTL starts at the reply, slightly later.
    pub(crate) fn is_within(&self, ttl: Duration, now: Instant) -> bool {
        let taken = self.taken.filter(|_| !self.is_outdated);
        taken.is_some_and(|(taken, _)| now.saturating_duration_since(taken) < ttl)
    }

    /// Returns the same length marked as outdated: the kernel drops the cached pages.
    pub(crate) fn over(self) -> Self {
        let now = SystemTime::now();
        Self {
            taken: self.taken.map(|(taken, _)| (taken, now)),
            is_outdated: true,
            ..self
        }
    }

    /// Returns when it was taken, if it was.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.taken.map(|(_, modified)| modified)
    }
}

/// Contents rendered at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) told: Told,
    // `None` once it was returned, if it is returned only once.
    text: Option<Vec<u8>>,
}

impl Snapshot {
    /// Replaces the snapshot.
    pub(crate) fn renew(&mut self, mut text: Vec<u8>, is_steady: bool, now: Instant) {
        let length = frame(text.len(), self.told.length, is_steady);
        fill(&mut text, length);
        self.told = Told {
            taken: Some((now, SystemTime::now())),
            length,
            is_outdated: false,
        };
        self.text = Some(text);
    }

    /// Takes the contents; more than a page stays, as it is read in pieces.
    pub(crate) fn take(&mut self, ttl: Duration, now: Instant) -> Option<Vec<u8>> {
        let (taken, _) = self.told.taken?;
        if self.told.length > PAGE {
            return self.text.clone();
        }
        let age = now.saturating_duration_since(taken);
        self.text.take().filter(|_| age < ttl + LATE)
    }
}

/// Returns the length to report for contents of `length` bytes if `before` was reported last.
///
/// Growing contents are padded with spaces, so a reader between two lengths only sees more or fewer
/// spaces.
fn frame(length: usize, before: usize, is_steady: bool) -> usize {
    let framed = if is_steady || length == 0 {
        length
    } else {
        length.saturating_add(SPARE).next_multiple_of(STEP)
    };
    let still_fits = (framed..=framed.saturating_add(TOO_MUCH)).contains(&before);
    if still_fits { before } else { framed }
}

/// Returns the length to report before the first rendering, at least the likely one. `length`:
/// bytes of the host's file (0: none). The kernel may use it for another reader: empty lines at the
/// end are better than missing data.
pub(crate) fn first_length(length: usize, is_steady: bool) -> usize {
    match length {
        0 => PAGE,
        _ => frame(length, 0, is_steady),
    }
}

/// Pads contents to `length` with spaces before the last newline. `false`: they are longer.
pub(crate) fn fill(text: &mut Vec<u8>, length: usize) -> bool {
    if text.len() < length {
        let newline = text.pop_if(|last| *last == b'\n').is_some();
        text.resize(length - usize::from(newline), b' ');
        text.extend(newline.then_some(b'\n'));
    }
    text.len() == length
}

/// A node that the kernel has in its cache.
#[derive(Debug)]
pub(crate) struct CachedNode {
    key: ContainerKey,
    owner: Mutex<Weak<Container>>,
    /// Held while the view renders, by the owner's readers only.
    pub(crate) snapshot: Mutex<Snapshot>,
    // Of the snapshot, for GETATTR without a reader.
    told: Mutex<Told>,
}

impl CachedNode {
    /// Returns the last reported attributes; never waits for a view.
    pub(crate) fn told(&self) -> Told {
        *self.told.lock()
    }

    /// Publishes the attributes of a new snapshot.
    pub(crate) fn tell(&self, snapshot: &Snapshot) {
        *self.told.lock() = snapshot.told;
    }

    fn outdate(&self) {
        let mut snapshot = self.snapshot.lock();
        snapshot.text = None;
        snapshot.told.is_outdated = true;
        self.tell(&snapshot);
    }

    /// Records the owner; returns whether it is a new object, moved or resolved again.
    fn is_found_anew(&self, container: &Arc<Container>) -> bool {
        let mut owner = self.owner.lock();
        let is_same = std::ptr::eq(owner.as_ptr(), Arc::as_ptr(container));
        if !is_same {
            *owner = Arc::downgrade(container);
        }
        !is_same
    }

    /// Returns the owner, unless it has ended.
    pub(crate) fn owner(&self) -> Option<Arc<Container>> {
        self.owner.lock().upgrade()
    }
}

/// A table of the page-cached nodes.
#[derive(Debug)]
pub(crate) struct PageCached {
    // Nanoseconds; 0: disabled.
    ttl: AtomicU64,
    views: HashSet<usize>,
    nodes: RcuMap<u64, Arc<CachedNode>, 256>,
}

impl PageCached {
    /// Creates a table for some views, by index.
    pub(crate) fn new(views: HashSet<usize>) -> Self {
        Self {
            ttl: AtomicU64::new(0),
            views,
            nodes: RcuMap::default(),
        }
    }

    /// Returns the TTL.
    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_nanos(self.ttl.load(Ordering::Relaxed))
    }

    /// Sets the TTL. Zero stops caching; nodes that are in the kernel's cache are then requested at
    /// each read.
    pub(crate) fn set_ttl(&self, ttl: Duration) {
        let ns = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
        self.ttl.store(ns, Ordering::Relaxed);
    }

    /// Returns whether page caching is enabled.
    pub(crate) fn is_on(&self) -> bool {
        self.ttl.load(Ordering::Relaxed) > 0
    }

    /// Returns whether the files of a view may be page-cached.
    pub(crate) fn has(&self, view: usize) -> bool {
        self.views.contains(&view)
    }

    /// Returns the node of an inode, if it is cached here.
    pub(crate) fn known(&self, number: u64) -> Option<Arc<CachedNode>> {
        self.nodes.get(&number)
    }

    /// Returns a container's node of an inode. `None`: it belongs to another container.
    pub(crate) fn of_owner(
        &self,
        number: u64,
        container: &Arc<Container>,
    ) -> Option<Arc<CachedNode>> {
        let key = container
            .key()
            .filter(|key| number::is_owner(number, *key))?;
        let node = self.known(number).unwrap_or_else(|| {
            self.nodes
                .sweep(|_, node| node.owner.lock().strong_count() > 0);
            self.nodes.get_or_insert_with(number, || {
                Arc::new(CachedNode {
                    key,
                    owner: Mutex::new(Arc::downgrade(container)),
                    snapshot: Mutex::default(),
                    told: Mutex::default(),
                })
            })
        });
        if node.key != key {
            return None;
        }
        if node.is_found_anew(container) {
            node.outdate();
        }
        Some(node)
    }

    /// Removes a node after FORGET, or after its attributes were invalidated.
    pub(crate) fn forget(&self, number: u64) {
        self.nodes.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spaces_go_before_the_last_newline() {
        let filled = |text: &str, length| {
            let mut text = text.as_bytes().to_vec();
            fill(&mut text, length).then(|| String::from_utf8(text).unwrap())
        };
        assert_eq!(filled("a 1\n", 4).as_deref(), Some("a 1\n"));
        assert_eq!(filled("a 1\n", 7).as_deref(), Some("a 1   \n"));
        assert_eq!(filled("a", 3).as_deref(), Some("a  "));
        assert_eq!(filled("a 1\n", 3), None);
    }

    #[test]
    fn the_first_length_is_no_less_than_that_of_the_host_s_text() {
        assert_eq!(first_length(0, false), PAGE);
        assert_eq!(first_length(1500, true), 1500);
        for length in [1, 30, 1500] {
            assert_eq!(first_length(length, false), frame(length, 0, false));
            assert!(first_length(length, false) >= length + SPARE);
        }
    }

    #[test]
    fn a_snapshot_is_given_out_once() {
        let (hour, now) = (Duration::from_secs(3600), Instant::now());
        let mut snapshot = Snapshot::default();
        assert_eq!(
            (snapshot.told.freshness(hour, now), snapshot.take(hour, now)),
            (None, None)
        );
        snapshot.renew(b"text\n".to_vec(), true, now);
        assert_eq!(snapshot.take(hour, now), Some(b"text\n".to_vec()));
        assert_eq!(snapshot.take(hour, now), None);
        snapshot.renew(vec![b'x'; PAGE + 1], true, now);
        assert!(snapshot.take(hour, now).is_some() && snapshot.take(hour, now).is_some());
    }

    #[test]
    fn a_snapshot_expires() {
        let (hour, taken) = (Duration::from_secs(3600), Instant::now());
        let mut snapshot = Snapshot::default();
        snapshot.renew(b"text\n".to_vec(), true, taken);
        let told = snapshot.told;
        // A quarter of the TTL is reserved for the kernel.
        assert_eq!(told.freshness(hour, taken), Some(hour - hour / 4));
        assert_eq!(told.freshness(hour, taken + hour / 2), Some(hour / 4));
        assert_eq!(told.freshness(hour, taken + hour - hour / 4), None);
        assert_eq!(told.freshness(Duration::ZERO, taken), None);
        assert!(told.is_within(hour, taken + hour - hour / 8));
        assert!(!told.is_within(hour, taken + hour));
        assert!(!told.over().is_within(hour, taken));
        // The kernel may read the page late.
        let late = taken + hour + LATE;
        assert!(
            snapshot
                .take(hour, late - Duration::from_nanos(1))
                .is_some()
        );
        snapshot.renew(b"text\n".to_vec(), true, taken);
        assert_eq!(snapshot.take(hour, late), None);
    }

    proptest! {
        /// Checks that the old contents at the new length are complete except for spaces.
        #[test]
        fn numbers_that_grow_or_shrink_cut_nothing(
            lengths in prop::collection::vec(1_usize..4000, 1..50),
            steps in prop::collection::vec(-8_isize..=8, 1..50),
        ) {
            let mut length = lengths[0];
            let mut told = frame(length, 0, false);
            for step in steps {
                let before = (length, told);
                length = length.saturating_add_signed(step).max(1);
                told = frame(length, told, false);
                prop_assert!(told >= length);
                // The old contents at the new length, and the new contents from the old length on.
                prop_assert!(told >= before.0);
                prop_assert!(before.1 >= length || told == before.1);
            }
            prop_assert!(frame(length, told + TOO_MUCH + STEP, false) <= length + SPARE + STEP);
        }

        #[test]
        fn a_steady_text_has_its_own_length(length in 0_usize..9000) {
            prop_assert_eq!(frame(length, 0, true), length);
            prop_assert_eq!(frame(length, length + 1, true), length + 1);
            prop_assert_eq!(frame(length + 1, length, true), length + 1);
        }
    }
}
