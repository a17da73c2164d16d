//! Inode numbers: hashes of (view path, container), never counters of one process.
//!
//! A worker that takes over assigns the same number to the same node, so the kernel's cached inodes
//! stay valid. SipHash-1-3 with fixed keys is the same function in every release.
//!
//! ```text
//! 0 | 63 bits of a hash of (path, container, node)    the fixed tree; anything of a named container
//! 1 | 7 bits: which tree view | 56 bits: NodeId       below a tree view
//! 1 | 1111111 | 16 bits: hash of a path | 40 bits: hash of a container      a container's own node
//! ```
//! The number of a node of a tree view therefore contains its identity. The number of a container's
//! own node (below `c/ID`) identifies the file or directory, and whether a given container owns it.

use std::ffi::OsStr;
use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use siphasher::sip::SipHasher13;
use vistafs_handover::ContainerKey;
use vistafs_view::NodeId;

/// The inode of the root of a FUSE mount.
pub(crate) const ROOT: u64 = 1;

const IN_TREE: u64 = 1 << 63;

/// Returns the inode of `path` below the mount.
pub(crate) fn of(path: &str) -> u64 {
    if path.is_empty() {
        return ROOT;
    }
    hash(path, None, NodeId::TOP)
}

/// Returns the inode of `node` in the view at `path`, for a named container.
pub(crate) fn at(path: &str, container: &Path, node: NodeId) -> u64 {
    hash(path, Some(container), node)
}

/// Returns the inode of a node of the tree view with this tag.
pub(crate) fn within(tag: u8, node: NodeId) -> u64 {
    IN_TREE | u64::from(tag & TAGS) << NodeId::BITS | node.get()
}

/// Splits an inode into the tag of its tree view and the node in it.
pub(crate) fn split(number: u64) -> Option<(u8, NodeId)> {
    if number & IN_TREE == 0 {
        return None;
    }
    let tag = u8::try_from((number >> NodeId::BITS) & u64::from(TAGS)).ok()?;
    if tag == OWN {
        return None;
    }
    let node = NodeId::new(number & ((1 << NodeId::BITS) - 1))?;
    Some((tag, node))
}

/// Returns the inode of a container's own node for a file or directory.
pub(crate) fn own(path: PathHash, owner: OwnerHash) -> u64 {
    IN_TREE | u64::from(OWN) << NodeId::BITS | u64::from(path.0) << OWNER_BITS | owner.0
}

/// Splits the inode of a container's own node. `None`: it is another kind of node.
pub(crate) fn split_own(number: u64) -> Option<(PathHash, OwnerHash)> {
    if number >> NodeId::BITS != IN_TREE >> NodeId::BITS | u64::from(OWN) {
        return None;
    }
    let path = (number >> OWNER_BITS) & u64::from(u16::MAX);
    let path = u16::try_from(path).ok().map(PathHash)?;
    Some((path, OwnerHash(number & OWNER)))
}

/// Returns whether an inode is one of the container's own nodes.
pub(crate) fn is_owner(number: u64, container: ContainerKey) -> bool {
    split_own(number).is_some_and(|(_, owner)| owner == OwnerHash::of(container))
}

/// Hash of the path of a file or directory, in the inode of a container's own node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PathHash(u16);

impl PathHash {
    /// Hashes a path of the fixed tree.
    pub(crate) fn of(path: &str) -> Self {
        let [low, high, ..] = hash(path, None, NodeId::TOP).to_le_bytes();
        Self(u16::from_le_bytes([low, high]))
    }
}

/// Hash of a container, in the inodes of its own nodes and the name of its own directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OwnerHash(u64);

impl OwnerHash {
    /// Hashes a container's key.
    pub(crate) fn of(container: ContainerKey) -> Self {
        Self(container.words()[0] & OWNER)
    }

    /// Formats it as a name: ten hexadecimal digits.
    pub(crate) fn name(self) -> String {
        format!("{:010x}", self.0)
    }

    /// Parses such a name; rejects all other spellings.
    pub(crate) fn parse(name: &OsStr) -> Option<Self> {
        let number = u64::from_str_radix(name.to_str()?, 16).ok()?;
        let parsed = Self(number & OWNER);
        (*name == *parsed.name()).then_some(parsed)
    }
}

const TAGS: u8 = 0x7f;
/// Reserved: not the tag of a tree view.
const OWN: u8 = 0x7f;
const OWNER_BITS: u32 = 40;
const OWNER: u64 = (1 << OWNER_BITS) - 1;

/// Assigns distinct tags to the paths of tree views. A tag depends only on its path, except for a
/// collision.
pub(crate) fn tags<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut tags: Vec<u8> = Vec::new();
    for path in paths {
        let mut tag = hash(path, None, NodeId::TOP).to_le_bytes()[0] & TAGS;
        while tag == OWN || tags.contains(&tag) && tags.len() < usize::from(TAGS) {
            tag = (tag + 1) & TAGS;
        }
        tags.push(tag);
    }
    tags
}

fn hash(path: &str, container: Option<&Path>, node: NodeId) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(path.as_bytes());
    // Paths of views and cgroups contain no NUL.
    hasher.write(&[0]);
    if let Some(container) = container {
        hasher.write(&[1]);
        hasher.write(container.as_os_str().as_bytes());
    }
    if node != NodeId::TOP {
        hasher.write(&[0]);
        hasher.write(&node.get().to_le_bytes());
    }
    // 0 means "no node", 1 the root.
    (hasher.finish() & !IN_TREE).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change here breaks the hand-over from an older worker.
    #[test]
    fn numbers_are_for_ever() {
        let node = NodeId::new(7).unwrap();
        assert_eq!(of(""), 1);
        assert_eq!(of("proc/meminfo"), 2_509_726_886_885_025_025);
        assert_eq!(
            at("proc/meminfo", Path::new("/a"), NodeId::TOP),
            1_432_770_294_759_396_931
        );
        assert_eq!(at("sys", Path::new("/a"), node), 44_677_515_758_068_471);
        assert_eq!(tags(["sys/devices/system/cpu", "cgroup"]), [36, 31]);
        assert_eq!(within(5, node), 0x8500_0000_0000_0007);
        assert_eq!(
            own(
                PathHash::of("proc/stat"),
                OwnerHash::of(ContainerKey::new(b"x"))
            ),
            18_390_583_361_312_202_613
        );
    }

    #[test]
    fn a_number_in_a_tree_tells_which() {
        let node = NodeId::from_hash(u64::MAX);
        assert_eq!(split(within(126, node)), Some((126, node)));
        assert_eq!(split_own(within(126, node)), None);
        assert_eq!(split(of("proc/meminfo")), None);
        assert_eq!(split(at("proc", Path::new("/a"), node)), None);
    }

    #[test]
    fn an_own_number_tells_path_and_owner() {
        let (path, key) = (PathHash::of("proc/stat"), ContainerKey::new(b"x"));
        let number = own(path, OwnerHash::of(key));
        assert_eq!(split_own(number), Some((path, OwnerHash::of(key))));
        assert!(is_owner(number, key));
        assert!(!is_owner(number, ContainerKey::new(b"y")));
        assert!(!is_owner(number ^ 1, key));
        assert_eq!(split(number), None);
        for other in [ROOT, of("proc/stat"), within(5, NodeId::from_hash(7))] {
            assert_eq!(split_own(other), None);
            assert!(!is_owner(other, key));
        }
    }

    #[test]
    fn an_owner_s_name_is_its_number() {
        let key = ContainerKey::new(b"x");
        let owner = OwnerHash::of(key);
        assert_eq!(owner.name(), "212f391f75");
        assert_eq!(OwnerHash::parse(OsStr::new(&owner.name())), Some(owner));
        for other in [
            "",
            "self",
            "1",
            "212F391F75",
            "+212f391f7",
            "1212f391f75",
            "212f391f75 ",
        ] {
            assert_eq!(OwnerHash::parse(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn tags_differ() {
        let paths: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let mut tags = tags(paths.iter().map(String::as_str));
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 100);
    }
}
