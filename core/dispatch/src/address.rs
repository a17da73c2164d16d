//! `at/<cgroup path>/...`: the tree of a named container, whoever reads.
//!
//! Only root on the host finds the way (look-up and listing are refused to others); a file that
//! root has bind-mounted somewhere can be opened there by anyone, and shows the named container.
//! Where a cgroup is called like the top of a view's path (`proc`, `sys`), the view is meant.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use vistafs_container::Containers;
use vistafs_host::Dir;

use crate::metrics;
use crate::number;
use crate::place::Place;
use crate::tree::{TOP, Tree};

/// The directory that holds all addresses.
pub(crate) const NAME: &str = "at";

/// The addresses that the kernel remembers.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    // Number to address and how often the kernel was told of it.
    known: Mutex<HashMap<u64, (Place, u64)>>,
}

impl Addresses {
    /// The address of a node number.
    pub(crate) fn get(&self, number: u64) -> Option<Place> {
        let known = self.known.lock();
        known.get(&number).map(|(address, _)| address.clone())
    }

    /// Notes that the kernel is told of `address`. `None`: another one has its number.
    pub(crate) fn remember(&self, address: &Place, tree: &Tree) -> Option<u64> {
        let number = address.number(tree);
        if number == number::ROOT || tree.by_number(number).is_some() {
            return None;
        }
        let mut known = self.known.lock();
        let entry = known.entry(number).or_insert_with(|| (address.clone(), 0));
        if entry.0 != *address {
            return None;
        }
        entry.1 += 1;
        Some(number)
    }

    /// Notes that the kernel has forgotten a node `count` times.
    pub(crate) fn forget(&self, number: u64, count: u64) {
        let mut known = self.known.lock();
        if let Some((_, told)) = known.get_mut(&number) {
            *told = told.saturating_sub(count);
            if *told == 0 {
                known.remove(&number);
            }
        }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.known.lock().len()
    }
}

/// `at` itself.
pub(crate) fn top() -> Place {
    Place::at(PathBuf::from("/"), TOP)
}

/// The child of the fixed tree's `node` for a named cgroup; at its top also the cgroups below it.
pub(crate) fn child(
    containers: &Containers,
    tree: &Tree,
    cgroup: &Path,
    node: usize,
    name: &OsStr,
) -> Option<Place> {
    // What is of no container has no address.
    let is_metrics = node == TOP && name == metrics::NAME;
    if let Some(child) = tree.child(node, name).filter(|_| !is_metrics) {
        return Some(Place::at(cgroup.to_owned(), child));
    }
    if node != TOP {
        return None;
    }
    let below = cgroup.join(name);
    let exists = directories(containers, &below).next().is_some();
    exists.then(|| Place::at(below, TOP))
}

/// The names of the cgroups below `cgroup`, in any hierarchy.
pub(crate) fn child_cgroups(containers: &Containers, cgroup: &Path) -> BTreeSet<OsString> {
    directories(containers, cgroup)
        .flat_map(|dir| dir.subdirectories().unwrap_or_default())
        .collect()
}

/// The cgroup's directory in each hierarchy that has it.
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
