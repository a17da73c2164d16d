//! Counts the open files of one tenant and the bytes that they cache.
//!
//! A tenant that reads one byte from each of 100,000 descriptors would make the daemon cache as
//! many snapshots. Above the tenant's budget, the oldest cached bytes are evicted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::budgets;

/// A holder of cached bytes that can be produced again or done without.
pub trait Holds: Send + Sync {
    /// Drops the bytes with their [`Charge`]. `false`: they are in use.
    fn let_go(&self) -> bool;
}

/// Sums over all tenants.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    bytes: AtomicUsize,
    files: AtomicUsize,
}

impl Totals {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Open files and cached bytes of one tenant.
#[derive(Default)]
pub struct Held {
    all: Arc<Totals>,
    bytes: AtomicUsize,
    files: AtomicUsize,
    // Oldest first; some may be evicted or closed already.
    holders: Mutex<VecDeque<Weak<dyn Holds>>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

/// A number of bytes that are counted until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Charge {
    held: Arc<Held>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.held.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.held.all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// An open file that is counted until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct OpenCount(Arc<Held>);

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.files.fetch_sub(1, Ordering::Relaxed);
        self.0.all.files.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Held {
    pub(crate) fn new(all: &Arc<Totals>) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::clone(all),
            ..Self::default()
        })
    }

    /// Counts one more open file. `None`: the tenant has reached its limit.
    #[must_use]
    pub fn open(self: &Arc<Self>) -> Option<OpenCount> {
        let all = self.all.files.fetch_add(1, Ordering::Relaxed);
        let most = if all >= budgets::OPEN_FILES_OF_ALL {
            budgets::OPEN_FILES_ALWAYS
        } else {
            budgets::OPEN_FILES
        };
        let own = self.files.fetch_add(1, Ordering::Relaxed);
        let count = OpenCount(Arc::clone(self));
        (own < most).then_some(count)
    }

    /// Counts bytes that a holder is about to cache, and evicts the oldest holders if the budget is
    /// exceeded. `None`: the holder must not cache them.
    #[must_use]
    pub fn hold(self: &Arc<Self>, bytes: usize, holder: Weak<dyn Holds>) -> Option<Charge> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let all = self.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        let charge = Charge {
            held: Arc::clone(self),
            bytes,
        };
        let most = if all >= budgets::HELD_BYTES_OF_ALL {
            budgets::HELD_BYTES_ALWAYS
        } else {
            budgets::HELD_BYTES
        };
        if bytes > most {
            return None;
        }
        let mut left = self.holders.lock().len();
        while left > 0 && self.bytes() > most {
            left -= 1;
            // The lock is released: dropping the holder may call back into this type.
            let Some(oldest) = self.holders.lock().pop_front() else {
                break;
            };
            if oldest.upgrade().is_some_and(|oldest| !oldest.let_go()) {
                self.holders.lock().push_back(oldest);
            }
        }
        if self.bytes() > most {
            return None;
        }
        let mut holders = self.holders.lock();
        if holders.len() >= 64 && holders.len() == holders.capacity() {
            // Entries of closed files would fill the queue otherwise.
            holders.retain(|holder| holder.strong_count() > 0);
        }
        holders.push_back(holder);
        Some(charge)
    }

    /// Returns the number of cached bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of open files.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Text(Mutex<Option<Charge>>);

    impl Holds for Text {
        fn let_go(&self) -> bool {
            match self.0.try_lock() {
                Some(mut charge) => {
                    charge.take();
                    true
                }
                None => false,
            }
        }
    }

    fn hold(held: &Arc<Held>, bytes: usize) -> Arc<Text> {
        let text = Arc::new(Text::default());
        let weak = Arc::downgrade(&text);
        *text.0.lock() = held.hold(bytes, weak);
        text
    }

    fn holds(text: &Text) -> bool {
        text.0.lock().is_some()
    }

    #[test]
    fn the_oldest_is_let_go_unless_it_is_in_use() {
        let all = Arc::default();
        let (held, other) = (Held::new(&all), Held::new(&all));
        let quarter = budgets::HELD_BYTES / 4;
        let of_other = hold(&other, quarter);
        let texts: Vec<_> = (0..4).map(|_| hold(&held, quarter)).collect();
        assert!(texts.iter().all(|text| holds(text)));
        let in_use = texts[0].0.lock();
        let next = hold(&held, quarter);
        assert!(in_use.is_some());
        drop(in_use);
        assert!(holds(&next) && holds(&texts[0]) && !holds(&texts[1]) && holds(&of_other));
        assert!(!holds(&hold(&held, budgets::HELD_BYTES + 1)));
        drop((texts, next, of_other));
        assert_eq!((held.bytes(), all.bytes.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn what_is_closed_keeps_no_room() {
        let held = Held::new(&Arc::default());
        (0..10_000).for_each(|_| drop(hold(&held, 1)));
        assert_eq!(held.bytes(), 0);
        assert!(held.holders.lock().capacity() < 1000);
    }

    #[test]
    fn a_tenant_has_no_more_files_than_it_may() {
        let all = Arc::default();
        let (held, other) = (Held::new(&all), Held::new(&all));
        let files: Vec<_> = (0..=budgets::OPEN_FILES)
            .map_while(|_| held.open())
            .collect();
        assert_eq!(
            (files.len(), held.files()),
            (budgets::OPEN_FILES, budgets::OPEN_FILES)
        );
        assert!(other.open().is_some());
        drop(files);
        assert!(held.open().is_some());
        assert_eq!(all.files.load(Ordering::Relaxed), 0);
    }
}
