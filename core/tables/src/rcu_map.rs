//! A map that is read far more often than it is changed: read, copy, update.
//!
//! Who looks something up takes no lock: it reads the table of that moment. Who changes something copies
//! the part that it is in, changes the copy and puts it in its place; only those who change wait for each
//! other. Parts are sorted, of exactly the room that they need, and none at all while they are empty. A
//! map of many entries wants many parts, so that a copy stays small.

use std::borrow::Borrow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

/// So many may stay that nobody needs.
const FEW: usize = 16;

/// In the order of their keys.
type Entries<K, V> = Vec<(K, V)>;
/// `None`: it is empty.
type Part<K, V> = ArcSwapOption<Entries<K, V>>;

/// A map of `PARTS` parts.
#[derive(Debug)]
pub struct RcuMap<K, V, const PARTS: usize> {
    parts: [Part<K, V>; PARTS],
    // Held while a part is copied and exchanged.
    changing: Mutex<()>,
    swept: AtomicUsize,
}

impl<K, V, const PARTS: usize> Default for RcuMap<K, V, PARTS> {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| ArcSwapOption::empty()),
            changing: Mutex::default(),
            swept: AtomicUsize::new(0),
        }
    }
}

impl<K: Ord + Hash + Clone, V: Clone, const PARTS: usize> RcuMap<K, V, PARTS> {
    /// The value of a key.
    #[must_use]
    pub fn get<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let part = self.part(key).load();
        let entries = part.as_deref()?;
        let found = place(entries, key).ok()?;
        entries.get(found).map(|(_, value)| value.clone())
    }

    /// The value of a key; if it has none, this one from now on. `value` must not come back here.
    pub fn get_or_insert_with(&self, key: K, value: impl FnOnce() -> V) -> V {
        self.get(&key).unwrap_or_else(|| {
            self.change(&key, |entries, place| match place {
                Ok(found) => (None, entries[found].1.clone()),
                Err(free) => {
                    let value = value();
                    let entry = (key.clone(), value.clone());
                    (Some(with(entries, free..free, Some(entry))), value)
                }
            })
        })
    }

    /// Gives a key this value, if `may` says so of the one that it has; whether it did. `may` must not
    /// come back here.
    pub fn insert_if(&self, key: K, value: V, may: impl FnOnce(Option<&V>) -> bool) -> bool {
        self.change(&key, |entries, place| {
            let (range, known) = match place {
                Ok(found) => (found..found + 1, Some(&entries[found].1)),
                Err(free) => (free..free, None),
            };
            if !may(known) {
                return (None, false);
            }
            (Some(with(entries, range, Some((key.clone(), value)))), true)
        })
    }

    /// Takes a key out; the value that it had.
    pub fn remove<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.change(key, |entries, place| match place {
            Ok(found) => {
                let changed = with(entries, found..found + 1, None);
                (Some(changed), Some(entries[found].1.clone()))
            }
            Err(_) => (None, None),
        })
    }

    /// Takes out what does not fulfil this. `keeps` must not come back here.
    pub fn retain(&self, mut keeps: impl FnMut(&K, &V) -> bool) {
        for part in &self.parts {
            self.exchange(part, |entries| {
                let kept: Vec<_> = entries.iter().filter(|(k, v)| keeps(k, v)).collect();
                let is_changed = kept.len() < entries.len();
                (is_changed.then(|| kept.into_iter().cloned().collect()), ())
            });
        }
    }

    /// The same, if there are twice as many as were left the last time: to be called before each insertion
    /// where nobody tells what can go.
    pub fn sweep(&self, keeps: impl FnMut(&K, &V) -> bool) {
        if self.len() >= 2 * self.swept.load(Ordering::Relaxed).max(FEW) {
            self.retain(keeps);
            self.swept.store(self.len(), Ordering::Relaxed);
        }
    }

    /// Puts a copy in the place of each part, where the allocator finds room now: one that was made among
    /// much that is freed by now keeps a whole page of it.
    pub fn make_anew(&self) {
        let make_anew = |part| self.exchange(part, |entries| (Some(entries.to_vec()), ()));
        // All are there until the last is copied, so that none takes the room of another.
        let _before: Vec<_> = self.parts.iter().map(make_anew).collect();
    }

    /// All keys with their values; what changes meanwhile may be in it or not.
    #[must_use]
    pub fn entries(&self) -> Vec<(K, V)> {
        let parts = self.parts.iter().map(ArcSwapOption::load);
        parts
            .flat_map(|part| part.as_deref().cloned().unwrap_or_default())
            .collect()
    }

    /// Whether any of them fulfils this.
    pub fn any(&self, mut is_it: impl FnMut(&K, &V) -> bool) -> bool {
        let mut parts = self.parts.iter().map(ArcSwapOption::load);
        parts.any(|part| {
            part.as_deref()
                .is_some_and(|entries| entries.iter().any(|(k, v)| is_it(k, v)))
        })
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let parts = self.parts.iter().map(ArcSwapOption::load);
        parts.map(|part| part.as_deref().map_or(0, Vec::len)).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn part<Q: Hash + ?Sized>(&self, key: &Q) -> &Part<K, V> {
        if PARTS == 1 {
            return &self.parts[0];
        }
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        &self.parts[usize::try_from(hasher.finish() % PARTS as u64).unwrap_or(0)]
    }

    /// `change` is given the entries, and where the key is or would be; it gives those that take their
    /// place, if any do.
    fn change<Q: Ord + Hash + ?Sized, R>(
        &self,
        key: &Q,
        change: impl FnOnce(&[(K, V)], Result<usize, usize>) -> (Option<Entries<K, V>>, R),
    ) -> R
    where
        K: Borrow<Q>,
    {
        let (_before, told) = self.exchange(self.part(key), |entries| {
            change(entries, place(entries, key))
        });
        told
    }

    /// Puts what `change` makes of a part's entries, if anything, in their place. Those of before are given
    /// back: what is dropped with them may take its time, and come here again.
    fn exchange<R>(
        &self,
        part: &Part<K, V>,
        change: impl FnOnce(&[(K, V)]) -> (Option<Entries<K, V>>, R),
    ) -> (Option<Arc<Entries<K, V>>>, R) {
        let _changing = self.changing.lock();
        let before = part.load_full();
        let (changed, told) = change(before.as_deref().map_or(&[], Vec::as_slice));
        if let Some(changed) = changed {
            part.store((!changed.is_empty()).then(|| Arc::new(changed)));
        }
        (before, told)
    }
}

fn place<K: Borrow<Q>, V, Q: Ord + ?Sized>(entries: &[(K, V)], key: &Q) -> Result<usize, usize> {
    entries.binary_search_by(|(known, _)| known.borrow().cmp(key))
}

/// The entries with others in the place of some.
fn with<T: Clone>(entries: &[T], range: std::ops::Range<usize>, other: Option<T>) -> Vec<T> {
    let mut changed =
        Vec::with_capacity(entries.len() - range.len() + usize::from(other.is_some()));
    changed.extend_from_slice(&entries[..range.start]);
    changed.extend(other);
    changed.extend_from_slice(&entries[range.end..]);
    changed
}

#[cfg(test)]
mod tests;
