//! The mounts of a namespace: candidates for mounts of vistafs, and which mounts are visible.
//!
//! Pure parsing of mountinfo, whose contents a container controls.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use vistafs_text::ParseError;
use vistafs_text::mountinfo::{self, Mount};

use crate::binding::MountName;

/// The options of vistafs's mounts, as the kernel shows them.
const OURS: [&[u8]; 4] = [
    b"user_id=0",
    b"group_id=0",
    b"default_permissions",
    b"allow_other",
];

/// The kernel's suffix of a path whose name was removed. No path contains two slashes in a row.
const DELETED: &[u8] = b"//deleted";

/// All mounts of a namespace.
#[derive(Debug)]
pub(crate) struct Table<'t> {
    by_id: HashMap<u32, Mount<'t>>,
    // In the order of the text.
    ids: Vec<u32>,
    // Mounts that are covered completely.
    covered: HashSet<u32>,
}

impl<'t> Table<'t> {
    pub(crate) fn parse(text: &'t [u8]) -> Result<Self, ParseError> {
        let mut by_id = HashMap::new();
        let mut ids = Vec::new();
        for mount in mountinfo::mounts(text) {
            let mount = mount?;
            ids.push(mount.id);
            by_id.insert(mount.id, mount);
        }
        let is_over_all_of = |mount: &&Mount<'_>| {
            let below = by_id.get(&mount.parent);
            below
                .is_some_and(|below| below.id != mount.id && below.mount_point == mount.mount_point)
        };
        let covered = by_id
            .values()
            .filter(is_over_all_of)
            .map(|mount| mount.parent)
            .collect();
        Ok(Self {
            by_id,
            ids,
            covered,
        })
    }

    /// Returns the mount with an ID.
    pub(crate) fn get(&self, id: u64) -> Option<&Mount<'t>> {
        self.by_id.get(&u32::try_from(id).ok()?)
    }

    /// Returns the visible mounts that look like mounts of vistafs.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &Mount<'t>> {
        self.ids
            .iter()
            .filter(|id| !self.covered.contains(id))
            .filter_map(|id| self.by_id.get(id))
            .filter(|mount| looks_like_ours(mount))
    }
}

/// Returns whether a mount has the name and the options of vistafs.
///
/// Every user that may mount can imitate them; the kernel knows which user mounted it
/// (`connections.rs`). lxcfs itself does not mount with `default_permissions`.
#[must_use]
pub fn looks_like_ours(mount: &Mount<'_>) -> bool {
    MountName::of(mount).is_some()
        && mount.device.major == 0
        && OURS.iter().all(|option| mount.has_option(option))
}

/// Returns whether it is a mount of the page-cache tree.
pub(crate) fn is_page_cache(mount: &Mount<'_>) -> bool {
    MountName::of(mount) == Some(MountName::PAGE_CACHE)
}

/// Returns the path of the mounted file below the mount of vistafs; empty for the whole mount.
pub(crate) fn path_below<'m>(mount: &'m Mount<'_>) -> &'m Path {
    let root = &*mount.root;
    let root = root.strip_suffix(DELETED).unwrap_or(root);
    Path::new(OsStr::from_bytes(root.strip_prefix(b"/").unwrap_or(root)))
}

/// Returns the path of the shared file for a container's own one: `proc/stat` for `c/ID/proc/stat`.
pub(crate) fn shared_path(below: &Path) -> Option<&Path> {
    let mut names = below.strip_prefix("c").ok()?.components();
    names.next()?;
    let shared = names.as_path();
    (!shared.as_os_str().is_empty()).then_some(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "rw,user_id=0,group_id=0,default_permissions,allow_other";

    fn line(id: u32, parent: u32, root: &str, at: &str) -> String {
        format!("{id} {parent} 0:50 {root} {at} ro,nosuid - fuse.vistafs vistafs {OPTIONS}\n")
    }

    #[test]
    fn what_is_on_top_counts() {
        let text = "1 1 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:3 / /proc rw - proc proc rw\n".to_owned()
            + &line(3, 2, "/proc/meminfo", "/proc/meminfo")
            + &line(4, 3, "/proc/meminfo", "/proc/meminfo")
            + &line(5, 2, "/proc/stat", "/proc/stat")
            + &line(6, 2, "/sys/devices/system/cpu", "/sys/devices/system/cpu")
            // A file in a directory does not cover the directory.
            + &line(7, 6, "/proc/stat", "/sys/devices/system/cpu/online");
        let table = Table::parse(text.as_bytes()).unwrap();
        let ids: Vec<_> = table.candidates().map(|mount| mount.id).collect();
        assert_eq!(ids, [4, 5, 6, 7]);
        assert_eq!(table.get(2).unwrap().fs_type, b"proc");
        assert!(table.get(9).is_none() && table.get(u64::MAX).is_none());
    }

    #[test]
    fn look_alikes_are_told_apart_where_they_can_be() {
        for other in [
            "3 2 0:50 / /m rw - fuse.lxcfs lxcfs rw,user_id=0,group_id=0,allow_other",
            "3 2 0:50 / /m rw - fuse.lxcfs vistafs OPTIONS",
            "3 2 0:50 / /m rw - fuse.vistafs lxcfs OPTIONS",
            "3 2 0:50 / /m rw - fuse.vistafs other OPTIONS",
            "3 2 0:50 / /m rw - fuse.vistafs vistafs-hotter OPTIONS",
            "3 2 8:50 / /m rw - fuse.vistafs vistafs OPTIONS",
            "3 2 0:50 / /m rw - fuse.vistafs vistafs rw,user_id=1000,group_id=0,default_permissions,allow_other",
            "3 2 0:50 / /m rw - fuse.vistafs vistafs rw,user_id=0,group_id=0,default_permissions",
        ] {
            let text = other.replace("OPTIONS", OPTIONS);
            let table = Table::parse(text.as_bytes()).unwrap();
            assert_eq!(table.candidates().count(), 0, "{other}");
        }
    }

    #[test]
    fn paths_below_the_mount() {
        let below = |root: &str| {
            let text = line(3, 2, root, "/x");
            let table = Table::parse(text.as_bytes()).unwrap();
            path_below(table.get(3).unwrap()).to_owned()
        };
        assert_eq!(below("/proc/meminfo"), Path::new("proc/meminfo"));
        assert_eq!(below("/cgroup/a\\040b//deleted"), Path::new("cgroup/a b"));
        assert_eq!(below("/"), Path::new(""));
        let shared = |path| shared_path(Path::new(path)).and_then(Path::to_str);
        assert_eq!(shared("c/0123456789/proc/stat"), Some("proc/stat"));
        for other in ["", "c", "c/0123456789", "proc/stat", "at/c/x/proc/stat"] {
            assert_eq!(shared(other), None, "{other}");
        }
    }

    #[test]
    fn a_broken_table_is_an_error() {
        assert!(Table::parse(b"1 2 nonsense\n").is_err());
        assert_eq!(Table::parse(b"").unwrap().candidates().count(), 0);
        // A mount over itself.
        let text = line(3, 3, "/", "/");
        assert_eq!(
            Table::parse(text.as_bytes()).unwrap().candidates().count(),
            1
        );
    }
}
