//! Event counters of `memory.stat`, by their /proc/vmstat names.

use smallvec::SmallVec;
use vistafs_text::{ParseError, flat_keyed};

/// Counters of a cgroup and its descendants.
#[derive(Debug)]
pub struct MemoryCounters<'t> {
    // Sorted by name; the capacity holds all counters of today's kernels without an allocation.
    sorted: SmallVec<[(&'t [u8], u64); 64]>,
    oom_kills: u64,
}

impl<'t> MemoryCounters<'t> {
    /// Parses the counters of a `memory.stat` whose key `name` maps to a name.
    pub(crate) fn parse(
        text: &'t [u8],
        oom_kills: u64,
        name: impl Fn(&'t [u8]) -> Option<&'t [u8]>,
    ) -> Result<Self, ParseError> {
        let mut sorted = SmallVec::new();
        for entry in flat_keyed::entries(text) {
            let (key, value) = entry?;
            if let Some(name) = name(key) {
                sorted.push((name, value));
            }
        }
        sorted.sort_unstable();
        Ok(Self { sorted, oom_kills })
    }

    /// A counter by its /proc/vmstat name; `None`: the kernel does not count it for cgroups.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<u64> {
        if name == b"oom_kill" {
            return Some(self.oom_kills);
        }
        let at = self.sorted.binary_search_by_key(&name, |(name, _)| name);
        at.ok().and_then(|at| self.sorted.get(at)).map(|(_, n)| *n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_mapped_name() {
        let name = |key: &'static [u8]| key.strip_prefix(b"total_");
        let text = b"total_pgfault 5\npgfault 4\ntotal_b 2\ntotal_a 1\n";
        let counters = MemoryCounters::parse(text, 7, name).unwrap();
        for (name, value) in [
            ("a", Some(1)),
            ("b", Some(2)),
            ("pgfault", Some(5)),
            ("c", None),
        ] {
            assert_eq!(counters.get(name.as_bytes()), value, "{name}");
        }
        assert_eq!(counters.get(b"oom_kill"), Some(7));
        assert!(MemoryCounters::parse(b"total_a x\n", 0, name).is_err());
    }
}
