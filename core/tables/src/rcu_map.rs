//! A map that is read far more often than it is changed: read, copy, update.
//!
//! A look-up takes no lock: it reads the current table. A writer copies the affected part, changes
//! the copy and replaces the part; only writers block each other. Parts are sorted, exactly sized,
//! and not allocated while empty. A map with many entries needs many parts, so that a copy stays
//! small.

use std::borrow::Borrow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

/// Number of stale entries tolerated before a map is swept.
const FEW: usize = 16;

/// In the order of their keys.
type Entries<K, V> = Vec<(K, V)>;
/// `None`: the part is empty.
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
    /// Returns the value of a key.
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

    /// Returns the value of a key, inserting `value()` if the key is missing. `value` must not use
    /// the map.
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

    /// Sets the value of a key if `may` accepts the current one; returns whether it did. `may` must
    /// not use the map.
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

    /// Removes a key and returns its value.
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

    /// Removes the entries that `keeps` rejects. `keeps` must not use the map.
    pub fn retain(&self, mut keeps: impl FnMut(&K, &V) -> bool) {
        for part in &self.parts {
            self.exchange(part, |entries| {
                let kept: Vec<_> = entries.iter().filter(|(k, v)| keeps(k, v)).collect();
                let is_changed = kept.len() < entries.len();
                (is_changed.then(|| kept.into_iter().cloned().collect()), ())
            });
        }
    }

    /// As [`retain`](Self::retain), if the map has doubled since the last sweep. To be called before
    /// each insertion where no event reports that an entry is stale.
    pub fn sweep(&self, keeps: impl FnMut(&K, &V) -> bool) {
        if self.len() >= 2 * self.swept.load(Ordering::Relaxed).max(FEW) {
            self.retain(keeps);
            self.swept.store(self.len(), Ordering::Relaxed);
        }
    }

    /// Reallocates each part: a part that was allocated among memory freed since pins a whole page.
    pub fn make_anew(&self) {
        let make_anew = |part| self.exchange(part, |entries| (Some(entries.to_vec()), ()));
        // All copies are kept until the last one is made, so that none reuses the memory of
        // another.
        let _before: Vec<_> = self.parts.iter().map(make_anew).collect();
    }

    /// Returns all entries; concurrent changes may be included or not.
    #[must_use]
    pub fn entries(&self) -> Vec<(K, V)> {
        let parts = self.parts.iter().map(ArcSwapOption::load);
        parts
            .flat_map(|part| part.as_deref().cloned().unwrap_or_default())
            .collect()
    }

    /// Whether any entry fulfils `is_it`.
    pub fn any(&self, mut is_it: impl FnMut(&K, &V) -> bool) -> bool {
        let mut parts = self.parts.iter().map(ArcSwapOption::load);
        parts.any(|part| {
            part.as_deref()
                .is_some_and(|entries| entries.iter().any(|(k, v)| is_it(k, v)))
        })
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        let parts = self.parts.iter().map(ArcSwapOption::load);
        parts.map(|part| part.as_deref().map_or(0, Vec::len)).sum()
    }

    /// Whether the map is empty.
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

    /// Calls `change` with the entries and the position of the key; replaces the entries with its
    /// result, if any.
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

    /// Replaces a part's entries with the result of `change`, if any. Returns the old entries:
    /// dropping their values may take time and use the map.
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

/// Copies the entries with `range` replaced by `other`.
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
