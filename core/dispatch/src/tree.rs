//! The fixed tree below the mount: the directories and files of the registered views.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::number;

/// What a node is.
#[derive(Debug)]
pub(crate) enum Node {
    /// Names and node indices, sorted by name.
    Directory(BTreeMap<&'static str, usize>),
    /// Index of the view among the serving ones.
    File(usize),
}

/// The tree; never changes.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<(String, Node)>,
    by_number: HashMap<u64, usize>,
}

/// Index of the root.
pub(crate) const TOP: usize = 0;

impl Tree {
    /// A tree of the files at `paths`, which the registry has checked.
    pub(crate) fn new(paths: impl IntoIterator<Item = &'static str>) -> Self {
        let mut tree = Self {
            nodes: vec![(String::new(), Node::Directory(BTreeMap::new()))],
            by_number: HashMap::new(),
        };
        for (view, path) in paths.into_iter().enumerate() {
            tree.insert(path, view);
        }
        let number = |(index, (path, _)): (usize, &(String, Node))| (number::of(path, None), index);
        tree.by_number = tree.nodes.iter().enumerate().map(number).collect();
        tree
    }

    fn insert(&mut self, path: &'static str, view: usize) {
        let mut here = TOP;
        let mut end = 0;
        for component in path.split('/') {
            end += component.len();
            let so_far = &path[..end];
            end += 1;
            let next = self.nodes.len();
            let Node::Directory(children) = &mut self.nodes[here].1 else {
                return;
            };
            here = *children.entry(component).or_insert(next);
            if here == next {
                let node = if so_far == path {
                    Node::File(view)
                } else {
                    Node::Directory(BTreeMap::new())
                };
                self.nodes.push((so_far.to_owned(), node));
            }
        }
    }

    /// The node of a number.
    pub(crate) fn by_number(&self, number: u64) -> Option<usize> {
        self.by_number.get(&number).copied()
    }

    /// The node at an index.
    pub(crate) fn node(&self, index: usize) -> &Node {
        &self.nodes[index].1
    }

    /// Its path below the mount.
    pub(crate) fn path(&self, index: usize) -> &str {
        &self.nodes[index].0
    }

    /// A child of a directory.
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
        let tree = Tree::new(["proc/meminfo", "proc/stat", "sys/devices/system/cpu/online"]);
        let find = |path: &str| tree.by_number(number::of(path, None));
        assert_eq!(find(""), Some(TOP));
        for path in ["proc", "sys/devices", "sys/devices/system/cpu"] {
            let index = find(path).unwrap();
            assert!(matches!(tree.node(index), Node::Directory(_)), "{path}");
            assert_eq!(tree.path(index), path);
        }
        let stat = tree
            .child(find("proc").unwrap(), OsStr::new("stat"))
            .unwrap();
        assert!(matches!(tree.node(stat), Node::File(1)));
        assert_eq!(tree.child(stat, OsStr::new("x")), None);
        assert_eq!(tree.child(TOP, OsStr::from_bytes(b"\xff")), None);
        assert_eq!(find("proc/cpuinfo"), None);
    }
}
