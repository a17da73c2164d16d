//! Page-cached nodes: a container's own files, whose contents the kernel may keep for a while (the TTL).
//!
//! The kernel serves reads from the pages of a node until its attributes expire. Then it asks for them
//! (GETATTR), drops the pages if size or time of change are others, and reads once. So a text of one
//! moment, a *snapshot*, is taken when a reader asks for attributes, and given out when the page is
//! read.
//!
//! # What keeps texts whole
//! Readers look at the size and at the page one after the other, and another reader's GETATTR may
//! come in between. So the size hardly ever changes (see [`frame`]): a text is followed by spaces in
//! its last line where it is shorter than the size that was told. And no text is longer than a page:
//! the kernel drops and fills pages one by one. Nodes with longer texts are served as all others.
//!
//! # Synchronization
//! The tables are looked into without a lock. A node's snapshot is locked while its
//! view renders, so nobody but that container's readers of that file waits for it: whoever just looks
//! goes by what was told last.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use vistafs_container::Container;
use vistafs_handover::ContainerKey;
use vistafs_tables::RcuMap;

use crate::number;

/// A text that is kept in the page cache is no longer. No kernel has smaller pages.
pub(crate) const PAGE: usize = 4096;

/// How much later than attributes a page may be read: its reader may not be run at once.
const LATE: Duration = Duration::from_secs(1);
/// Spaces that a text whose numbers grow has at least, when its length is told.
const SPARE: usize = 8;
/// Lengths of such texts are multiples of it.
const STEP: usize = 16;
/// A text so much shorter than what was told has another length from then on: more than its numbers
/// has changed.
const TOO_MUCH: usize = 64;

/// How long the kernel may keep what it was told of a page-cached node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// When the text was made.
    pub modified: SystemTime,
    /// How much longer it is fresh.
    pub left: Duration,
}

/// What the kernel is told of a text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    // `None`: nothing was taken yet.
    taken: Option<(Instant, SystemTime)>,
    pub(crate) length: usize,
    is_outdated: bool,
}

impl Told {
    /// How much longer the kernel may keep it, if it is not too old already.
    pub(crate) fn freshness(&self, ttl: Duration) -> Option<Duration> {
        let (taken, _) = self.taken.filter(|_| !self.is_outdated)?;
        // The rest is for the kernel's clock, whose ticks are up to 10 ms, and for the way there.
        let left = (ttl - ttl / 4).checked_sub(taken.elapsed())?;
        (!left.is_zero()).then_some(left)
    }

    /// Whether it may be shown still, or the kernel may take it for fresh: it counts from when it was told,
    /// which is a little later.
    pub(crate) fn is_within(&self, ttl: Duration) -> bool {
        let taken = self.taken.filter(|_| !self.is_outdated);
        taken.is_some_and(|(taken, _)| taken.elapsed() < ttl)
    }

    /// The same length, but not to be kept: what is in the page cache is dropped.
    pub(crate) fn over(self) -> Self {
        let now = SystemTime::now();
        Self {
            taken: self.taken.map(|(taken, _)| (taken, now)),
            is_outdated: true,
            ..self
        }
    }

    /// When it was taken, if it was.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.taken.map(|(_, modified)| modified)
    }
}

/// A text as it was at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) told: Told,
    // Until it is given out, if that is once.
    text: Option<Vec<u8>>,
}

impl Snapshot {
    /// Takes the place of the one before.
    pub(crate) fn renew(&mut self, mut text: Vec<u8>, is_steady: bool) {
        let length = frame(text.len(), self.told.length, is_steady);
        fill(&mut text, length);
        self.told = Told {
            taken: Some((Instant::now(), SystemTime::now())),
            length,
            is_outdated: false,
        };
        self.text = Some(text);
    }

    /// Takes the text out; one of more than a page stays, as it is read in pieces.
    pub(crate) fn take(&mut self, ttl: Duration) -> Option<Vec<u8>> {
        let (taken, _) = self.told.taken?;
        if self.told.length > PAGE {
            return self.text.clone();
        }
        self.text.take().filter(|_| taken.elapsed() < ttl + LATE)
    }
}

/// The length of a text of `length` bytes as the kernel is told it, which has been told `before`.
///
/// One that grows in small steps has spaces to grow into, so that all that a reader between two
/// lengths can see is more or fewer of them.
fn frame(length: usize, before: usize, is_steady: bool) -> usize {
    let framed = if is_steady || length == 0 {
        length
    } else {
        length.saturating_add(SPARE).next_multiple_of(STEP)
    };
    let still_fits = (framed..=framed.saturating_add(TOO_MUCH)).contains(&before);
    if still_fits { before } else { framed }
}

/// The length of a text that was not made yet, where the host's has `length` bytes (0: it has none): no less
/// than it is likely to be. The kernel may hear it of one reader while it asks for another, which then goes by
/// it: empty lines at the end are better than no end.
pub(crate) fn first_length(length: usize, is_steady: bool) -> usize {
    match length {
        0 => PAGE,
        _ => frame(length, 0, is_steady),
    }
}

/// Makes a text as long as was told, by spaces before its last newline. `false`: it is longer.
pub(crate) fn fill(text: &mut Vec<u8>, length: usize) -> bool {
    if text.len() < length {
        let newline = text.pop_if(|last| *last == b'\n').is_some();
        text.resize(length - usize::from(newline), b' ');
        text.extend(newline.then_some(b'\n'));
    }
    text.len() == length
}

/// A node, as long as the kernel remembers it.
#[derive(Debug)]
pub(crate) struct CachedNode {
    key: ContainerKey,
    owner: Mutex<Weak<Container>>,
    /// Held while the view renders, by the owner's readers alone.
    pub(crate) snapshot: Mutex<Snapshot>,
    // Of the snapshot, for those who just look.
    told: Mutex<Told>,
}

impl CachedNode {
    /// What the kernel was told last; never waits for a view.
    pub(crate) fn told(&self) -> Told {
        *self.told.lock()
    }

    /// Tells of a new snapshot.
    pub(crate) fn tell(&self, snapshot: &Snapshot) {
        *self.told.lock() = snapshot.told;
    }

    fn outdate(&self) {
        let mut snapshot = self.snapshot.lock();
        snapshot.text = None;
        snapshot.told.is_outdated = true;
        self.tell(&snapshot);
    }

    /// Notes its owner; whether that is in other cgroups than before, or was found out anew.
    fn is_found_anew(&self, container: &Arc<Container>) -> bool {
        let mut owner = self.owner.lock();
        let is_same = std::ptr::eq(owner.as_ptr(), Arc::as_ptr(container));
        if !is_same {
            *owner = Arc::downgrade(container);
        }
        !is_same
    }

    /// Whose it is, unless that has ended.
    pub(crate) fn owner(&self) -> Option<Arc<Container>> {
        self.owner.lock().upgrade()
    }
}

/// The page-cached nodes.
#[derive(Debug)]
pub(crate) struct PageCached {
    // Nanoseconds; 0: no more of them.
    ttl: AtomicU64,
    views: HashSet<usize>,
    nodes: RcuMap<u64, Arc<CachedNode>, 256>,
}

impl PageCached {
    /// For some views, by index.
    pub(crate) fn new(views: HashSet<usize>) -> Self {
        Self {
            ttl: AtomicU64::new(0),
            views,
            nodes: RcuMap::default(),
        }
    }

    /// How long contents are fresh.
    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_nanos(self.ttl.load(Ordering::Relaxed))
    }

    /// With zero the page cache is given nothing new; the nodes that it has something of are then asked for
    /// at each read.
    pub(crate) fn set_ttl(&self, ttl: Duration) {
        let ns = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
        self.ttl.store(ns, Ordering::Relaxed);
    }

    /// Whether anything is cached.
    pub(crate) fn is_on(&self) -> bool {
        self.ttl.load(Ordering::Relaxed) > 0
    }

    /// Whether the files of a view may be cached, if any are.
    pub(crate) fn has(&self, view: usize) -> bool {
        self.views.contains(&view)
    }

    /// The node of a number, if it is known here.
    pub(crate) fn known(&self, number: u64) -> Option<Arc<CachedNode>> {
        self.nodes.get(&number)
    }

    /// The node of a number for a container. `None`: it is another container's.
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

    /// The kernel has forgotten a node, or some of what it was told of it.
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
        let hour = Duration::from_secs(3600);
        let mut snapshot = Snapshot::default();
        assert_eq!(
            (snapshot.told.freshness(hour), snapshot.take(hour)),
            (None, None)
        );
        snapshot.renew(b"text\n".to_vec(), true);
        let fresh = snapshot.told.freshness(hour).unwrap();
        assert!(fresh <= hour - hour / 4 && fresh > hour / 2);
        assert_eq!(snapshot.told.freshness(Duration::ZERO), None);
        assert_eq!(snapshot.take(hour), Some(b"text\n".to_vec()));
        assert_eq!(snapshot.take(hour), None);
        snapshot.renew(vec![b'x'; PAGE + 1], true);
        assert!(snapshot.take(hour).is_some() && snapshot.take(hour).is_some());
    }

    proptest! {
        /// What a reader sees of one text under the length of the next is whole but for spaces.
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
                // The old text at the new length, and the new text from the old length on.
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
