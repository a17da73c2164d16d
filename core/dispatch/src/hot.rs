//! The hot tree: for each container a directory of its own, with its pinned nodes and nothing else.
//!
//! Served on a mount of its own, where the kernel asks nobody whether a file may be opened. So a name
//! already says whose the text is; the directory of a container is found by that container and by
//! root on the host, and its numbers are made of the container, as those of pinned nodes are.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use vistafs_container::Container;
use vistafs_handover::ContainerKey;
use vistafs_tables::RcuMap;

use crate::number::{self, OwnerHash, ViewHash};
use crate::tree::{Node, TOP, Tree};

/// The link to the caller's own directory.
pub(crate) const OWN: &str = "self";

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HotNode {
    /// The root.
    Top,
    /// The link to the caller's own directory.
    Own,
    /// A node of the fixed tree, for a container: a directory, or the file of a view.
    Of(OwnerHash, usize),
}

#[derive(Debug, Clone)]
struct Owner {
    key: ContainerKey,
    container: Weak<Container>,
}

/// The tree, and whose the names are.
#[derive(Debug)]
pub(crate) struct Hot {
    // Indices in the fixed tree.
    nodes: HashMap<ViewHash, usize>,
    owners: RcuMap<OwnerHash, Owner, 64>,
}

impl Hot {
    /// With the files of those views that are pinned.
    pub(crate) fn new(tree: &Tree, is_pinned: impl Fn(usize) -> bool) -> Self {
        let mut nodes = HashMap::new();
        insert(&mut nodes, tree, TOP, &is_pinned);
        Self {
            nodes,
            owners: RcuMap::default(),
        }
    }

    /// What a number stands for. `None`: nothing here.
    pub(crate) fn node(&self, number: u64) -> Option<HotNode> {
        if number == number::ROOT {
            return Some(HotNode::Top);
        }
        if number == number::of(OWN) {
            return Some(HotNode::Own);
        }
        let node = *self.nodes.get(&number::pinned_view(number)?)?;
        Some(HotNode::Of(number::pinned_owner(number)?, node))
    }

    /// The number of a node of the fixed tree for a container. `None`: it is not here.
    pub(crate) fn number(&self, tree: &Tree, node: usize, owner: OwnerHash) -> Option<u64> {
        let hash = ViewHash::of(tree.path(node));
        (self.nodes.get(&hash) == Some(&node)).then(|| number::pinned_of(hash, owner))
    }

    /// The name of a container's own directory, from now on the one that is known of it. `None`: it
    /// has none, or another container that lives has the same.
    pub(crate) fn name_of(&self, container: &Arc<Container>) -> Option<OwnerHash> {
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

    /// The container of a name, if it has asked and lives.
    pub(crate) fn owner(&self, owner: OwnerHash) -> Option<Arc<Container>> {
        self.owners.get(&owner)?.container.upgrade()
    }

    /// The names of those that have asked and live, in order.
    pub(crate) fn names(&self) -> Vec<OwnerHash> {
        let owners = self.owners.entries().into_iter();
        let living = owners.filter(|(_, known)| known.container.strong_count() > 0);
        let mut names: Vec<OwnerHash> = living.map(|(owner, _)| owner).collect();
        names.sort_unstable();
        names
    }
}

/// Whether there is any pinned file at or below a node.
fn insert(
    nodes: &mut HashMap<ViewHash, usize>,
    tree: &Tree,
    node: usize,
    is_pinned: &impl Fn(usize) -> bool,
) -> bool {
    let hash = ViewHash::of(tree.path(node));
    if nodes.contains_key(&hash) {
        log::info!(
            "no {} in the hot tree: its numbers would be another's",
            tree.path(node)
        );
        return false;
    }
    let is_there = match tree.node(node) {
        Node::View(view) => is_pinned(*view),
        Node::Directory(children) => {
            let inserted = |child: &usize| insert(nodes, tree, *child, is_pinned);
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
    fn only_ways_to_pinned_files_are_there() {
        let tree = tree();
        let hot = Hot::new(&tree, |view| [0, 3].contains(&view));
        let owner = OwnerHash::of(ContainerKey::new(b"x"));
        let is_there = |path: &str| {
            let node = tree.by_number(number::of(path)).unwrap();
            hot.number(&tree, node, owner).is_some_and(|number| {
                assert_eq!(hot.node(number), Some(HotNode::Of(owner, node)), "{path}");
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
    fn numbers_of_the_common_tree_are_nothing_here() {
        let hot = Hot::new(&tree(), |_| true);
        assert_eq!(hot.node(number::ROOT), Some(HotNode::Top));
        assert_eq!(hot.node(number::of(OWN)), Some(HotNode::Own));
        for path in ["proc", "proc/stat", "metrics"] {
            assert_eq!(hot.node(number::of(path)), None, "{path}");
        }
    }
}
