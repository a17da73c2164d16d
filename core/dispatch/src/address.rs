//! `at/<cgroup path>/...`: the tree of a named container, the same for every caller.
//!
//! Only root on the host may look up and list it. If root bind-mounts one of its files elsewhere,
//! any caller can open that and sees the named container. If a cgroup has the same name as the
//! first component of a view's path (`proc`, `sys`), the name refers to the view.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use vistafs_container::Containers;
use vistafs_handover::Handover;
use vistafs_host::Dir;
use vistafs_view::NodeId;

use crate::metrics;
use crate::number;
use crate::place::Place;
use crate::tree::{TOP, Tree};

/// Maximum number of path levels below `at` in which cgroups are looked up.
const DEEPEST: usize = 128;

/// The directory of all named containers.
pub(crate) const NAME: &str = "at";

/// A table of named containers' nodes in the kernel's cache, shared with the successor process.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    // Maps an inode to the node and its number of look-ups by the kernel.
    known: Mutex<HashMap<u64, (Place, u64)>>,
    handover: Option<Arc<Handover>>,
}

impl Addresses {
    /// Creates a table that has the entries of earlier processes only.
    pub(crate) fn new(handover: Option<Arc<Handover>>) -> Self {
        Self {
            known: Mutex::default(),
            handover,
        }
    }

    /// Returns the node of an inode.
    pub(crate) fn get(&self, number: u64, tree: &Tree) -> Option<Place> {
        let mut known = self.known.lock();
        if let Some((address, _)) = known.get(&number) {
            return Some(address.clone());
        }
        let mut kept = Vec::new();
        let told = self.handover.as_ref()?.address(number, &mut kept)?;
        let address = parse(&kept, tree).filter(|address| address.number(tree) == number)?;
        known.insert(number, (address.clone(), told));
        Some(address)
    }

    /// Returns the node of an inode in the fixed tree.
    pub(crate) fn node(&self, number: u64, tree: &Tree) -> Option<usize> {
        if let Some((address, _)) = self.known.lock().get(&number) {
            return Some(address.node);
        }
        self.get(number, tree).map(|address| address.node)
    }

    /// Counts a look-up of `address`. `None`: another node has its inode.
    pub(crate) fn remember(&self, address: &Place, tree: &Tree) -> Option<u64> {
        let number = address.number(tree);
        if number == number::ROOT || tree.by_number(number).is_some() {
            return None;
        }
        // Loads the entry of an earlier process.
        self.get(number, tree);
        let mut known = self.known.lock();
        let entry = known.entry(number).or_insert_with(|| (address.clone(), 0));
        if entry.0 != *address {
            return None;
        }
        entry.1 += 1;
        if let Some(handover) = &self.handover
            && !handover.keep_address(number, &printed(address, tree), entry.1)
        {
            log::debug!("no room to keep an address: it is stale for the next process");
        }
        Some(number)
    }

    /// Subtracts the `count` of a FORGET.
    pub(crate) fn forget(&self, number: u64, count: u64, tree: &Tree) {
        if number::split(number).is_some() || tree.by_number(number).is_some() {
            return;
        }
        self.get(number, tree);
        let mut known = self.known.lock();
        if let Some((address, told)) = known.get_mut(&number) {
            *told = told.saturating_sub(count);
            let told = *told;
            if let Some(handover) = &self.handover {
                if told == 0 {
                    handover.drop_address(number);
                } else {
                    handover.keep_address(number, &printed(address, tree), told);
                }
            }
            if told == 0 {
                known.remove(&number);
            }
        }
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.known.lock().len()
    }
}

/// Encodes a node: its ID in the tree view, the path of the view or directory below the mount, NUL,
/// the path of the cgroup.
fn printed(address: &Place, tree: &Tree) -> Vec<u8> {
    let mut bytes = address.within.get().to_le_bytes().to_vec();
    bytes.extend_from_slice(tree.path(address.node).as_bytes());
    bytes.push(0);
    if let Some(cgroup) = &address.cgroup {
        bytes.extend_from_slice(cgroup.as_os_str().as_bytes());
    }
    bytes
}

/// Decodes a node; `None` if there is no such view.
fn parse(bytes: &[u8], tree: &Tree) -> Option<Place> {
    let (within, rest) = bytes.split_first_chunk()?;
    let mut rest = rest.splitn(2, |byte| *byte == 0);
    let (path, cgroup) = (rest.next()?, rest.next()?);
    let node = tree.by_number(number::of(std::str::from_utf8(path).ok()?))?;
    let cgroup = PathBuf::from(OsStr::from_bytes(cgroup));
    let within = NodeId::new(u64::from_le_bytes(*within))?;
    Some(Place::at(cgroup, node).sibling(within))
}

/// Returns `at` itself.
pub(crate) fn top() -> Place {
    Place::at(PathBuf::from("/"), TOP)
}

/// Returns a child of `node` in the fixed tree for a named cgroup; at the top also child cgroups.
pub(crate) fn child(
    containers: &Containers,
    tree: &Tree,
    cgroup: &Path,
    node: usize,
    name: &OsStr,
) -> Option<Place> {
    // `metrics` belongs to no container.
    let is_metrics = node == TOP && name == metrics::NAME;
    if let Some(child) = tree.child(node, name).filter(|_| !is_metrics) {
        return Some(Place::at(cgroup.to_owned(), child));
    }
    if node != TOP {
        return None;
    }
    let below = cgroup.join(name);
    if below.components().count() > DEEPEST {
        return None;
    }
    let exists = directories(containers, &below).next().is_some();
    exists.then(|| Place::at(below, TOP))
}

/// Returns the names of the child cgroups in any hierarchy.
pub(crate) fn child_cgroups(containers: &Containers, cgroup: &Path) -> BTreeSet<OsString> {
    directories(containers, cgroup)
        .flat_map(|dir| dir.subdirectories().unwrap_or_default())
        .collect()
}

/// Returns the cgroup's directory in each hierarchy that has it.
fn directories<'a>(containers: &'a Containers, cgroup: &'a Path) -> impl Iterator<Item = Dir> + 'a {
    let below = cgroup.strip_prefix("/").unwrap_or(cgroup);
    let below = if below.as_os_str().is_empty() {
        Path::new(".")
    } else {
        below
    };
    let hierarchies = containers.hierarchies().all().iter();
    hierarchies.filter_map(move |hierarchy| hierarchy.root().subdir(below).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_parsed() {
        let tree = Tree::new([("proc/stat", false), ("sys/devices/system/cpu", true)]);
        let index = |path: &str| tree.by_number(number::of(path)).unwrap();
        let within = NodeId::from_hash(77);
        let addresses = [
            top(),
            Place::at("/a b/\u{e9}".into(), index("proc/stat")),
            Place::at(PathBuf::from(OsStr::from_bytes(b"/\xff")), index("sys")),
            Place::at("/a".into(), index("sys/devices/system/cpu")).sibling(within),
        ];
        for address in addresses {
            let printed = printed(&address, &tree);
            assert_eq!(parse(&printed, &tree), Some(address));
            for length in 0..9 {
                assert_eq!(
                    parse(&printed[..length.min(printed.len() - 1)], &tree),
                    None
                );
            }
        }
        assert_eq!(parse(b"\0\0\0\0\0\0\0\0proc/gone\0/a", &tree), None);
        assert_eq!(
            parse(b"\xff\xff\xff\xff\xff\xff\xff\xffproc\0/a", &tree),
            None
        );
    }
}
