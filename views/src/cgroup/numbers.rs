//! Node numbers, derived from data that the kernel keeps, so that the next worker finds the same
//! nodes.
//!
//! ```text
//! bit 51..55  which hierarchy, from 1 on; 0 is the top
//!     35..50  which file in the directory, from 1 on; 0 is the directory itself
//!     31..34  low bits of the generation of the directory's number
//!      0..30  the directory's number within a generation
//! ```
//! A directory's number is its kernfs id (`struct kernfs_node`): 31 bits that no two nodes of one
//! hierarchy have at a time, and above them a generation that goes up when those have been used once.
//! Only its low bits fit in; the generation is recovered by trying the generations that
//! were seen.
//!
//! Files have the kernel's names, some dozens in a directory. Their numbers are hashes; if two
//! names collide, the later one gets the next number.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use parking_lot::RwLock;
use siphasher::sip::SipHasher13;
use vistafs_cgroup::{Hierarchies, Hierarchy};
use vistafs_host::{Dir, FileKind};
use vistafs_view::{Errno, NodeId};

const GENERATION_AT: u32 = 31;
const FILE_AT: u32 = 35;
const HIERARCHY_AT: u32 = 51;
const NUMBER: u64 = (1 << GENERATION_AT) - 1;
const GENERATIONS: u64 = 1 << (FILE_AT - GENERATION_AT);
const FILES: u64 = 1 << (HIERARCHY_AT - FILE_AT);
const TAGS: u64 = 1 << (NodeId::BITS - HIERARCHY_AT);

/// The node of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The directory of all hierarchies.
    Top,
    /// Something in a hierarchy.
    In {
        /// Index of the hierarchy.
        hierarchy: usize,
        /// The directory's number and the low bits of its generation.
        directory: u64,
        /// Number of the file in it; 0: the directory.
        file: u16,
    },
}

/// State for decoding numbers; a new worker rebuilds it.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    // One for each hierarchy, by its index.
    tags: OnceLock<Vec<u64>>,
    files: RwLock<HashMap<(usize, u16), OsString>>,
    // Newest last, by index of the hierarchy.
    generations: RwLock<HashMap<usize, Vec<u64>>>,
}

impl Numbers {
    /// The number of a directory; `inode` is its inode number.
    pub(super) fn of_directory(
        &self,
        hierarchies: &Hierarchies,
        hierarchy: usize,
        inode: u64,
    ) -> NodeId {
        self.number(hierarchies, hierarchy, inode, 0)
    }

    /// The number of a file in a directory.
    pub(super) fn of_file(
        &self,
        hierarchies: &Hierarchies,
        hierarchy: usize,
        inode: u64,
        name: &OsStr,
    ) -> NodeId {
        let file = self.file(hierarchy, name);
        self.number(hierarchies, hierarchy, inode, file)
    }

    /// Decodes a number; `None`: it was never assigned.
    pub(super) fn place(&self, hierarchies: &Hierarchies, node: NodeId) -> Option<Place> {
        if node == NodeId::TOP {
            return Some(Place::Top);
        }
        let tag = node.get() >> HIERARCHY_AT;
        let hierarchy = self.tags(hierarchies).iter().position(|t| *t == tag)?;
        Some(Place::In {
            hierarchy,
            directory: node.get() & ((1 << FILE_AT) - 1),
            file: u16::try_from((node.get() >> FILE_AT) & (FILES - 1)).ok()?,
        })
    }

    /// Opens the directory of a [`Place`].
    pub(super) fn open(
        &self,
        index: usize,
        hierarchy: &Hierarchy,
        directory: u64,
    ) -> Result<Dir, Errno> {
        let (number, low) = (directory & NUMBER, directory >> GENERATION_AT);
        let seen = self.generations.read().get(&index).cloned();
        // A new worker has seen few generations.
        let likely = (0..4).map(|n| low + n * GENERATIONS);
        let fits = |generation: &u64| generation % GENERATIONS == low;
        let seen = seen.unwrap_or_default().into_iter().rev().filter(fits);
        for generation in seen.chain(likely) {
            match hierarchy.directory(generation << 32 | number) {
                Err(Errno::STALE) => {}
                answer => return answer,
            }
        }
        Err(Errno::STALE)
    }

    /// The name of a file of a directory.
    pub(super) fn name(&self, hierarchy: usize, directory: &Dir, file: u16) -> Option<OsString> {
        let known = || self.files.read().get(&(hierarchy, file)).cloned();
        if let Some(name) = known() {
            return Some(name);
        }
        for entry in directory.entries(Path::new(".")).ok()? {
            if entry.kind == FileKind::File {
                self.file(hierarchy, &entry.name);
            }
        }
        known()
    }

    fn number(&self, hierarchies: &Hierarchies, hierarchy: usize, inode: u64, file: u16) -> NodeId {
        let generation = inode >> 32;
        let is_newest = |seen: &HashMap<usize, Vec<u64>>| {
            seen.get(&hierarchy).and_then(|all| all.last()) == Some(&generation)
        };
        if !is_newest(&self.generations.read()) {
            let mut generations = self.generations.write();
            let seen = generations.entry(hierarchy).or_default();
            seen.retain(|known| *known != generation);
            seen.push(generation);
        }
        let tag = self.tags(hierarchies).get(hierarchy).copied().unwrap_or(0);
        NodeId::from_hash(
            tag << HIERARCHY_AT
                | u64::from(file) << FILE_AT
                | (generation % GENERATIONS) << GENERATION_AT
                | inode & NUMBER,
        )
    }

    fn file(&self, hierarchy: usize, name: &OsStr) -> u16 {
        let first = u16::try_from(hash(name.as_bytes()) % FILES)
            .unwrap_or(0)
            .max(1);
        {
            let files = self.files.read();
            if files
                .get(&(hierarchy, first))
                .is_some_and(|known| known == name)
            {
                return first;
            }
        }
        let mut files = self.files.write();
        let mut number = first;
        while files
            .get(&(hierarchy, number))
            .is_some_and(|known| known != name)
        {
            number = number.wrapping_add(1).max(1);
        }
        files.insert((hierarchy, number), name.to_owned());
        number
    }

    /// All different, and each a function of the hierarchy's name unless two hashes collide.
    fn tags(&self, hierarchies: &Hierarchies) -> &[u64] {
        self.tags.get_or_init(|| {
            let mut order: Vec<(usize, &str)> = hierarchies
                .all()
                .iter()
                .map(|hierarchy| hierarchy.name())
                .enumerate()
                .collect();
            order.sort_by_key(|(_, name)| *name);
            let mut tags = vec![0; order.len()];
            for (index, name) in order {
                let mut tag = hash(name.as_bytes()) % (TAGS - 1) + 1;
                for _ in 0..TAGS {
                    if !tags.contains(&tag) {
                        tags[index] = tag;
                        break;
                    }
                    tag = tag % (TAGS - 1) + 1;
                }
            }
            tags
        })
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchies(names: &[&str]) -> (tempfile::TempDir, Hierarchies) {
        let tmp = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for (i, name) in names.iter().enumerate() {
            std::fs::create_dir_all(tmp.path().join("c").join(name)).unwrap();
            text += &format!(
                "{} 1 0:{i} / /c/{name} rw - cgroup cgroup rw,{name}\n",
                i + 20
            );
        }
        let all = Hierarchies::discover(text.as_bytes(), tmp.path()).unwrap();
        (tmp, all)
    }

    const ALL: [&str; 14] = [
        "blkio",
        "cpu,cpuacct",
        "cpuset",
        "devices",
        "freezer",
        "hugetlb",
        "memory",
        "misc",
        "net_cls,net_prio",
        "perf_event",
        "pids",
        "rdma",
        "name=systemd",
        "name=elogind",
    ];

    #[test]
    fn numbers_stand_for_what_they_were_made_of() {
        let (_tmp, all) = hierarchies(&ALL);
        let numbers = Numbers::default();
        for index in 0..all.all().len() {
            for inode in [1, 77, NUMBER, 5 << 32 | 9, 300 << 32 | 9] {
                let directory = inode & NUMBER | ((inode >> 32) % GENERATIONS) << GENERATION_AT;
                let node = numbers.of_directory(&all, index, inode);
                let place = |file| {
                    Some(Place::In {
                        hierarchy: index,
                        directory,
                        file,
                    })
                };
                assert_eq!(numbers.place(&all, node), place(0));
                let node = numbers.of_file(&all, index, inode, OsStr::new("tasks"));
                let file = numbers.file(index, OsStr::new("tasks"));
                assert!(file > 0);
                assert_eq!(numbers.place(&all, node), place(file));
            }
        }
        assert_eq!(numbers.place(&all, NodeId::TOP), Some(Place::Top));
        assert_eq!(numbers.place(&all, NodeId::new(1).unwrap()), None);
    }

    /// Another worker, and one that has mounted its hierarchies in another order.
    #[test]
    fn another_worker_gives_the_same_numbers() {
        let (_tmp, all) = hierarchies(&ALL);
        let mut reversed = ALL;
        reversed.reverse();
        let (_tmp, other) = hierarchies(&reversed);
        for (index, name) in ALL.iter().enumerate() {
            let its = other.all().iter().position(|h| h.name() == *name).unwrap();
            let name = OsStr::new("cgroup.procs");
            let number = Numbers::default().of_file(&all, index, 1234, name);
            assert_eq!(Numbers::default().of_file(&other, its, 1234, name), number);
        }
    }

    /// A change here breaks the handover from an older worker.
    #[test]
    fn numbers_are_for_ever() {
        let (_tmp, all) = hierarchies(&["memory"]);
        let number = Numbers::default().of_file(&all, 0, 1234, OsStr::new("tasks"));
        assert_eq!(number.get(), 16_313_591_460_267_218);
    }

    #[test]
    fn names_that_meet_are_told_apart() {
        let numbers = Numbers::default();
        let first = numbers.file(0, OsStr::new("a"));
        numbers.files.write().insert((0, first), "b".into());
        assert_eq!(numbers.file(0, OsStr::new("a")), first + 1);
        assert_eq!(numbers.file(0, OsStr::new("b")), {
            let b = u16::try_from(hash(b"b") % FILES).unwrap();
            b.max(1)
        });
    }

    #[test]
    fn files_of_a_directory_are_found_again_by_a_new_worker() {
        let tmp = tempfile::tempdir().unwrap();
        for name in ["tasks", "cgroup.procs"] {
            std::fs::write(tmp.path().join(name), "").unwrap();
        }
        let dir = Dir::open(tmp.path()).unwrap();
        let file = Numbers::default().file(0, OsStr::new("tasks"));
        let fresh = Numbers::default();
        assert_eq!(fresh.name(0, &dir, file).unwrap(), "tasks");
        assert_eq!(fresh.name(0, &dir, file.wrapping_add(1).max(1)), None);
    }
}
