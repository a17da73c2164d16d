//! `at/<cgroup path>/...`: the tree of a named container, whoever reads.
//!
//! Only root on the host finds the way (look-up and listing are refused to others); a file that
//! root has bind-mounted somewhere can be opened there by anyone, and shows the named container.
//! Where a cgroup is called like the top of a view's path (`proc`, `sys`), the view is meant.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vistafs_container::Containers;
use vistafs_host::Dir;

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
    // When a number was last sought in vain.
    in_vain: Mutex<Option<Instant>>,
}

/// How long it is not sought again then.
const REST: Duration = Duration::from_secs(1);
/// Cgroups that are looked at.
const MOST_CGROUPS: usize = 100_000;

impl Addresses {
    /// The address of a node number.
    pub(crate) fn get(&self, number: u64) -> Option<Place> {
        let known = self.known.lock();
        known.get(&number).map(|(address, _)| address.clone())
    }

    /// The address of a number that another worker told the kernel of: the place that has it, for a
    /// cgroup that is there now. Not for what is within a tree view, whose numbers are its own; its
    /// nodes are found by looking up their names again.
    pub(crate) fn recover(
        &self,
        number: u64,
        containers: &Containers,
        tree: &Tree,
    ) -> Option<Place> {
        if self.in_vain.lock().is_some_and(|at| at.elapsed() < REST) {
            return None;
        }
        let known: BTreeSet<PathBuf> = {
            let known = self.known.lock();
            let cgroups = known.values().filter_map(|(place, _)| place.cgroup.clone());
            cgroups.collect()
        };
        // Who is asked for one file of a container is asked for others of it.
        let near = known
            .iter()
            .find_map(|cgroup| tree.place_at(cgroup, number));
        let found = near.or_else(|| seek(number, containers, tree));
        match &found {
            Some(place) => {
                let mut known = self.known.lock();
                known.entry(number).or_insert_with(|| (place.clone(), 1));
            }
            None => *self.in_vain.lock() = Some(Instant::now()),
        }
        found
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

fn seek(number: u64, containers: &Containers, tree: &Tree) -> Option<Place> {
    let mut cgroups = VecDeque::from([PathBuf::from("/")]);
    let mut left = MOST_CGROUPS;
    while let Some(cgroup) = cgroups.pop_front() {
        if let Some(place) = tree.place_at(&cgroup, number) {
            return Some(place);
        }
        left = left.checked_sub(1)?;
        let below = child_cgroups(containers, &cgroup);
        cgroups.extend(below.iter().map(|name| cgroup.join(name)));
    }
    None
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
    if let Some(child) = tree.child(node, name) {
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
