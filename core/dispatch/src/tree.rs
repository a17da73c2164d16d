//! The fixed tree below the mount: the registered views and their parent directories.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::number;

/// A directory or a view.
#[derive(Debug)]
pub(crate) enum Node {
    /// Names and node indices, sorted by name.
    Directory(BTreeMap<&'static str, usize>),
    /// Index of a view among the serving ones: a file, or the top of a tree view.
    View(usize),
}

/// The tree; never changes.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<(String, Node)>,
    by_number: HashMap<u64, usize>,
    // Of the nodes with a tree view.
    tags: Vec<(u8, usize)>,
}

/// Index of the root.
pub(crate) const TOP: usize = 0;

impl Tree {
    /// Creates a tree of the views at `paths`, which the registry has checked. `true`: a tree view.
    pub(crate) fn new(paths: impl IntoIterator<Item = (&'static str, bool)>) -> Self {
        let mut tree = Self {
            nodes: vec![(String::new(), Node::Directory(BTreeMap::new()))],
            by_number: HashMap::new(),
            tags: Vec::new(),
        };
        let mut tops = Vec::new();
        for (view, (path, is_tree)) in paths.into_iter().enumerate() {
            let node = tree.insert(path, view);
            tops.extend(is_tree.then_some(node));
        }
        let number = |(index, (path, _)): (usize, &(String, Node))| (number::of(path), index);
        tree.by_number = tree.nodes.iter().enumerate().map(number).collect();
        let tags = number::tags(tops.iter().map(|top| tree.path(*top)));
        tree.tags = tags.into_iter().zip(tops).collect();
        tree
    }

    /// Inserts a view; returns the index of its node.
    fn insert(&mut self, path: &'static str, view: usize) -> usize {
        let mut here = TOP;
        let mut end = 0;
        for component in path.split('/') {
            end += component.len();
            let so_far = &path[..end];
            end += 1;
            let next = self.nodes.len();
            let Node::Directory(children) = &mut self.nodes[here].1 else {
                return here;
            };
            here = *children.entry(component).or_insert(next);
            if here == next {
                let node = if so_far == path {
                    Node::View(view)
                } else {
                    Node::Directory(BTreeMap::new())
                };
                self.nodes.push((so_far.to_owned(), node));
            }
        }
        here
    }

    /// Returns the node of an inode.
    pub(crate) fn by_number(&self, number: u64) -> Option<usize> {
        self.by_number.get(&number).copied()
    }

    /// Returns the node of the tree view with this tag.
    pub(crate) fn by_tag(&self, tag: u8) -> Option<usize> {
        let found = self.tags.iter().find(|(known, _)| *known == tag);
        found.map(|(_, node)| *node)
    }

    /// Returns the tag of the tree view at an index.
    pub(crate) fn tag(&self, index: usize) -> u8 {
        let found = self.tags.iter().find(|(_, node)| *node == index);
        found.map_or(0, |(tag, _)| *tag)
    }

    /// Returns the node at an index.
    pub(crate) fn node(&self, index: usize) -> &Node {
        &self.nodes[index].1
    }

    /// Returns the path of a node below the mount.
    pub(crate) fn path(&self, index: usize) -> &str {
        &self.nodes[index].0
    }

    /// Returns a child of a directory.
    pub(crate) fn child(&self, index: usize, name: &OsStr) -> Option<usize> {
        let Node::Directory(children) = self.node(index) else {
            return None;
        };
        let name = std::str::from_utf8(name.as_bytes()).ok()?;
        children.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_once() {
        let files = ["proc/meminfo", "proc/stat", "sys/devices/system/cpu/online"];
        let tree = Tree::new(files.map(|path| (path, false)));
        let find = |path: &str| tree.by_number(number::of(path));
        assert_eq!(find(""), Some(TOP));
        for path in ["proc", "sys/devices", "sys/devices/system/cpu"] {
            let index = find(path).unwrap();
            assert!(matches!(tree.node(index), Node::Directory(_)), "{path}");
            assert_eq!(tree.path(index), path);
        }
        let stat = tree
            .child(find("proc").unwrap(), OsStr::new("stat"))
            .unwrap();
        assert!(matches!(tree.node(stat), Node::View(1)));
        assert_eq!(tree.child(stat, OsStr::new("x")), None);
        assert_eq!(tree.child(TOP, OsStr::from_bytes(b"\xff")), None);
        assert_eq!(find("proc/cpuinfo"), None);
    }

    #[test]
    fn tree_views_have_tags() {
        let tree = Tree::new([("proc/stat", false), ("cgroup", true), ("sys/x", true)]);
        for path in ["cgroup", "sys/x"] {
            let node = tree.by_number(number::of(path)).unwrap();
            assert_eq!(tree.by_tag(tree.tag(node)), Some(node));
        }
        assert_eq!(tree.tags.len(), 2);
    }
}
