//! Containers' own directories: `c/ID/...`, and `self`, the link to the caller's.
//!
//! A path below the mount is the same node for every caller. So a file whose pages belong to one
//! container needs a path of that container: `ID` is a hash of the container, and the inodes below
//! it contain that hash and a hash of the path. Decoding an inode needs no table. No other
//! container gets the same ID while the kernel may cache it, because a `ContainerKey` is never
//! reused during one boot.
//!
//! Only the container itself and root on the host find the directory.

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

/// The decoded inode of a container's own node.
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

/// The nodes of each own directory, and the containers that have one.
#[derive(Debug)]
pub(crate) struct OwnDirs {
    // Indices in the fixed tree.
    nodes: HashMap<PathHash, usize>,
    owners: RcuMap<OwnerHash, Owner, 64>,
}

impl OwnDirs {
    /// Creates the directories with the files of the views in `has`.
    pub(crate) fn new(tree: &Tree, has: impl Fn(usize) -> bool) -> Self {
        let mut nodes = HashMap::new();
        insert(&mut nodes, tree, TOP, &has);
        Self {
            nodes,
            owners: RcuMap::default(),
        }
    }

    /// Decodes an inode. `None`: a node of another kind.
    pub(crate) fn node(&self, number: u64) -> Option<OwnNode> {
        if let Some((path, owner)) = number::split_own(number) {
            let node = *self.nodes.get(&path)?;
            return Some(OwnNode::Of(owner, node));
        }
        [(LINK, OwnNode::Link), (ALL, OwnNode::All)]
            .into_iter()
            .find_map(|(name, node)| (number == number::of(name)).then_some(node))
    }

    /// Returns the inode of a fixed-tree node for a container. `None`: it has no own copy.
    pub(crate) fn number(&self, tree: &Tree, node: usize, owner: OwnerHash) -> Option<u64> {
        let hash = PathHash::of(tree.path(node));
        (self.nodes.get(&hash) == Some(&node)).then(|| number::own(hash, owner))
    }

    /// Returns the ID of a container and records it. `None`: it has none, or another live container
    /// has the same.
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

    /// Returns the live container with an ID, if it was recorded.
    pub(crate) fn owner(&self, owner: OwnerHash) -> Option<Arc<Container>> {
        self.owners.get(&owner)?.container.upgrade()
    }

    /// Returns the IDs of all recorded live containers, in order.
    pub(crate) fn ids(&self) -> Vec<OwnerHash> {
        let owners = self.owners.entries().into_iter();
        let living = owners.filter(|(_, known)| known.container.strong_count() > 0);
        let mut ids: Vec<OwnerHash> = living.map(|(owner, _)| owner).collect();
        ids.sort_unstable();
        ids
    }
}

/// Inserts a node if any file is at or below it; returns whether there is one.
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
