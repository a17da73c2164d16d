//! From the number of a node to its path on the host.
//!
//! A number is a hash of the path, so every process gives a node the same. A path that was looked up or
//! listed is remembered, which is bounded by what the host has; a number that an earlier process gave
//! out is found by walking the host's directory once.

use std::collections::HashMap;
use std::hash::Hasher;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use siphasher::sip::SipHasher13;
use vistafs_host::{FileKind, Host};
use vistafs_tables::RcuMap;
use vistafs_view::NodeId;

use super::{below, joined};

/// More entries than 1000 CPUs have; the limit of a walk.
const MOST_ENTRIES: usize = 1 << 20;

/// A number without a path is not searched for repeatedly.
const BETWEEN_VAIN_WALKS: Duration = Duration::from_secs(1);
/// Maximum number of such numbers. Only CPUs that vanish within one second exceed it.
const MOST_VAIN: usize = 1024;

#[derive(Debug)]
pub(super) struct KnownPaths {
    top: &'static str,
    number: fn(&str) -> NodeId,
    /// A file that a directory below the top may have for containers although the host has none
    /// there.
    made_up: Option<&'static str>,
    known: RcuMap<NodeId, Arc<str>, 256>,
    // Time of each failed search. Never held over a walk.
    in_vain: Mutex<HashMap<NodeId, Instant>>,
}

impl KnownPaths {
    pub(super) fn new(top: &'static str, made_up: Option<&'static str>) -> Self {
        Self {
            made_up,
            ..Self::numbered(top, number)
        }
    }

    fn numbered(top: &'static str, number: fn(&str) -> NodeId) -> Self {
        Self {
            top,
            number,
            made_up: None,
            known: RcuMap::default(),
            in_vain: Mutex::default(),
        }
    }

    /// The number of a path on the host. `None`: another path has the same number, as for one pair
    /// in 2^56; the first one seen is shown.
    pub(super) fn id(&self, path: &str) -> Option<NodeId> {
        if path.is_empty() {
            return Some(NodeId::TOP);
        }
        let id = (self.number)(path);
        let first = self.known.get_or_insert_with(id, || path.into());
        self.same(&first, path).then_some(id)
    }

    /// The path of a number; the host may have removed it.
    pub(super) fn get(&self, host: &Host, id: NodeId) -> Option<Arc<str>> {
        if id == NodeId::TOP {
            return Some("".into());
        }
        let known = self.known.get(&id);
        known.or_else(|| self.walk(host, id))
    }

    fn same(&self, known: &str, path: &str) -> bool {
        if known != path {
            log::warn!(
                "{}: {path} is not shown, as it has the node number of {known} (please report it)",
                self.top
            );
        }
        known == path
    }

    fn walk(&self, host: &Host, id: NodeId) -> Option<Arc<str>> {
        let lately = |at: Instant| at.elapsed() < BETWEEN_VAIN_WALKS;
        if self.in_vain.lock().get(&id).copied().is_some_and(lately) {
            return None;
        }
        let mut directories = vec![String::new()];
        let mut left = MOST_ENTRIES;
        while let Some(parent) = directories.pop() {
            if let Some(name) = self.made_up.filter(|_| !parent.is_empty()) {
                let path = joined(&parent, name);
                if (self.number)(&path) == id {
                    self.id(&path)?;
                    return Some(path.into());
                }
            }
            let directory: PathBuf = below(self.top, &parent);
            // A directory removed meanwhile is empty.
            for entry in host.root().entries(&directory).unwrap_or_default() {
                let Some(name) = entry.name.to_str() else {
                    continue;
                };
                let path = joined(&parent, name);
                if (self.number)(&path) == id {
                    self.id(&path)?;
                    return Some(path.into());
                }
                left = left.saturating_sub(1);
                if entry.kind == FileKind::Directory && left > 0 {
                    directories.push(path);
                }
            }
        }
        let mut in_vain = self.in_vain.lock();
        if in_vain.len() >= MOST_VAIN {
            in_vain.retain(|_, at| lately(*at));
        }
        // Beyond the maximum, a number is searched for each time: one search must not block others.
        if in_vain.len() < MOST_VAIN {
            in_vain.insert(id, Instant::now());
        }
        None
    }
}

/// The same in every process and every release.
fn number(path: &str) -> NodeId {
    let mut hasher = SipHasher13::new();
    hasher.write(path.as_bytes());
    NodeId::from_hash(hasher.finish())
}

#[cfg(test)]
mod tests {
    use vistafs_host::FixedFacts;

    use super::*;

    fn host(dir: &tempfile::TempDir) -> Host {
        for path in ["proc", "top/cpu0/topology", "top/cpu1"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        std::fs::write(dir.path().join("top/cpu0/topology/core_id"), "0\n").unwrap();
        let facts = FixedFacts {
            boottime: Duration::ZERO,
            clk_tck: 100,
            page_size: 4096,
        };
        Host::captured(dir.path(), facts).unwrap()
    }

    /// A change here breaks the handover from an older worker.
    #[test]
    fn numbers_are_for_ever() {
        assert_eq!(number("cpu0/topology").get(), 31_081_335_457_782_294);
    }

    #[test]
    fn what_another_process_has_numbered_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let host = host(&dir);
        let paths = KnownPaths::new("top", None);
        for path in ["cpu1", "cpu0/topology/core_id"] {
            assert_eq!(&*paths.get(&host, number(path)).unwrap(), path);
        }
        assert_eq!(&*paths.get(&host, NodeId::TOP).unwrap(), "");
        assert_eq!(paths.known.len(), 2, "no more than was asked for");
    }

    #[test]
    fn a_file_that_the_host_does_not_have_is_found_in_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let host = host(&dir);
        let paths = KnownPaths::new("top", Some("online"));
        assert_eq!(
            &*paths.get(&host, number("cpu1/online")).unwrap(),
            "cpu1/online"
        );
        assert_eq!(paths.get(&host, number("online")), None);
    }

    #[test]
    fn what_is_nowhere_is_not_sought_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let host = host(&dir);
        let paths = KnownPaths::new("top", None);
        assert_eq!(paths.get(&host, number("cpu2")), None);
        std::fs::create_dir(dir.path().join("top/cpu2")).unwrap();
        assert_eq!(paths.get(&host, number("cpu2")), None);
        // This applies to this number only.
        assert_eq!(&*paths.get(&host, number("cpu1")).unwrap(), "cpu1");
        paths.in_vain.lock().clear();
        assert_eq!(&*paths.get(&host, number("cpu2")).unwrap(), "cpu2");
    }

    #[test]
    fn numbers_that_are_nowhere_have_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let host = host(&dir);
        let paths = KnownPaths::new("top", None);
        for cpu in 10..20 + MOST_VAIN {
            assert_eq!(paths.get(&host, number(&format!("cpu{cpu}"))), None);
        }
        assert_eq!(paths.in_vain.lock().len(), MOST_VAIN);
    }

    #[test]
    fn of_two_paths_with_one_number_the_first_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let host = host(&dir);
        let paths = KnownPaths::numbered("top", |_| NodeId::from_hash(7));
        let id = paths.id("cpu0").unwrap();
        assert_eq!(paths.id("cpu0"), Some(id));
        assert_eq!(paths.id("cpu1"), None);
        assert_eq!(&*paths.get(&host, id).unwrap(), "cpu0");
    }
}
