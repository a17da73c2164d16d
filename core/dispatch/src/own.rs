//! Containers' own directories: `c/ID/...`, and `self`, the link to the caller's.
//!
//! A path below the mount is the same node for every caller. So a file whose pages belong to one container
//! has a path that belongs to it too: `ID` is a hash of the container, and the numbers of the nodes below it
//! are made of that hash and the path. No table is needed to understand a number, and no other container
//! gets the same ID while the kernel may remember it: what the hash is made of (`ContainerKey`) is never
//! given twice during one boot.
//!
//! The container itself and root on the host find the directory. Nobody else does.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use vistafs_container::Container;
use vistafs_handover::ContainerKey;
use vistafs_tables::RcuMap;

use crate::number::{self, OwnerHash, PathHash};
use crate::tree::{Node, TOP, Tree};

/// The link to the caller's own directory.
pub(crate) const LINK: &str = "self";
/// The directory of all own directories.
pub(crate) const ALL: &str = "c";

/// What the number of a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnNode {
    /// The link to the caller's own directory.
    Link,
    /// The directory of all own directories.
    All,
    /// A node of the fixed tree, for one container: a directory, or the file of a view.
    Of(OwnerHash, usize),
}

#[derive(Debug, Clone)]
struct Owner {
    key: ContainerKey,
    container: Weak<Container>,
}

/// What is in each own directory, and which containers have one.
#[derive(Debug)]
pub(crate) struct OwnDirs {
    // Indices in the fixed tree.
    nodes: HashMap<PathHash, usize>,
    owners: RcuMap<OwnerHash, Owner, 64>,
}

impl OwnDirs {
    /// With the files of some views, and the directories that lead to them.
    pub(crate) fn new(tree: &Tree, has: impl Fn(usize) -> bool) -> Self {
        let mut nodes = HashMap::new();
        insert(&mut nodes, tree, TOP, &has);
        Self {
            nodes,
            owners: RcuMap::default(),
        }
    }

    /// What a number stands for. `None`: a node of another kind.
    pub(crate) fn node(&self, number: u64) -> Option<OwnNode> {
        if let Some((path, owner)) = number::split_own(number) {
            let node = *self.nodes.get(&path)?;
            return Some(OwnNode::Of(owner, node));
        }
        [(LINK, OwnNode::Link), (ALL, OwnNode::All)]
            .into_iter()
            .find_map(|(name, node)| (number == number::of(name)).then_some(node))
    }

    /// The number of a node of the fixed tree for a container. `None`: it is not here.
    pub(crate) fn number(&self, tree: &Tree, node: usize, owner: OwnerHash) -> Option<u64> {
        let hash = PathHash::of(tree.path(node));
        (self.nodes.get(&hash) == Some(&node)).then(|| number::own(hash, owner))
    }

    /// The ID of a container, which is known by it from now on. `None`: it has none, or another container that
    /// is alive has the same.
    pub(crate) fn id_of(&self, container: &Arc<Container>) -> Option<OwnerHash> {
        let key = container.key()?;
        let owner = OwnerHash::of(key);
        if let Some(known) = self.owners.get(&owner)
            && known.key == key
            && std::ptr::eq(known.container.as_ptr(), Arc::as_ptr(container))
        {
            return Some(owner);
        }
        let lives = |known: &Owner| known.container.strong_count() > 0;
        self.owners.sweep(|_, known| lives(known));
        let container = Arc::downgrade(container);
        let is_it = self
            .owners
            .insert_if(owner, Owner { key, container }, |known| {
                known.is_none_or(|known| known.key == key || !lives(known))
            });
        is_it.then_some(owner)
    }

    /// The container of an ID, if it has asked and is alive.
    pub(crate) fn owner(&self, owner: OwnerHash) -> Option<Arc<Container>> {
        self.owners.get(&owner)?.container.upgrade()
    }

    /// The IDs of those that have asked and are alive, in order.
    pub(crate) fn ids(&self) -> Vec<OwnerHash> {
        let owners = self.owners.entries().into_iter();
        let living = owners.filter(|(_, known)| known.container.strong_count() > 0);
        let mut ids: Vec<OwnerHash> = living.map(|(owner, _)| owner).collect();
        ids.sort_unstable();
        ids
    }
}

/// Whether any file is at or below a node.
fn insert(
    nodes: &mut HashMap<PathHash, usize>,
    tree: &Tree,
    node: usize,
    has: &impl Fn(usize) -> bool,
) -> bool {
    let hash = PathHash::of(tree.path(node));
    if nodes.contains_key(&hash) {
        log::info!(
            "containers have no /{} of their own: its numbers would be those of another path (bind it from \
             the shared files)",
            tree.path(node)
        );
        return false;
    }
    let is_there = match tree.node(node) {
        Node::View(view) => has(*view),
        Node::Directory(children) => {
            let inserted = |child: &usize| insert(nodes, tree, *child, has);
            children
                .values()
                .map(inserted)
                .fold(false, |any, one| any | one)
        }
    };
    if is_there {
        nodes.insert(hash, node);
    }
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let paths = [
            ("proc/stat", false),
            ("proc/pressure/cpu", false),
            ("sys/devices", true),
            ("motd", false),
        ];
        Tree::new(paths)
    }

    #[test]
    fn only_ways_to_files_are_there() {
        let tree = tree();
        let own = OwnDirs::new(&tree, |view| [0, 3].contains(&view));
        let owner = OwnerHash::of(ContainerKey::new(b"x"));
        let is_there = |path: &str| {
            let node = tree.by_number(number::of(path)).unwrap();
            own.number(&tree, node, owner).is_some_and(|number| {
                assert_eq!(own.node(number), Some(OwnNode::Of(owner, node)), "{path}");
                true
            })
        };
        for path in ["", "proc", "proc/stat", "motd"] {
            assert!(is_there(path), "{path}");
        }
        for path in ["proc/pressure", "proc/pressure/cpu", "sys", "sys/devices"] {
            assert!(!is_there(path), "{path}");
        }
    }

    #[test]
    fn numbers_of_shared_nodes_are_no_container_s() {
        let own = OwnDirs::new(&tree(), |_| true);
        assert_eq!(own.node(number::of(LINK)), Some(OwnNode::Link));
        assert_eq!(own.node(number::of(ALL)), Some(OwnNode::All));
        for path in ["", "proc", "proc/stat", "metrics"] {
            assert_eq!(own.node(number::of(path)), None, "{path}");
        }
    }
}
