//! The hierarchies that the host has mounted.
//!
//! Read once at start from the mounts that vistafs itself sees. Of several mounts of a hierarchy,
//! the one that shows its root is used (mountinfo's root field is `/`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use vistafs_host::{Dir, HostError};
use vistafs_text::mountinfo::{self, Mount};

use crate::handle::open_number;

/// Version of the interface of one hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// cgroups(7), "Cgroups version 1"
    V1,
    /// The unified hierarchy.
    V2,
}

/// One mounted cgroup tree.
#[derive(Debug)]
pub struct Hierarchy {
    version: Version,
    name: String,
    controllers: Vec<String>,
    root: Arc<Dir>,
    root_inode: u64,
    // A readable descriptor of the root: `open_by_handle_at` wants one that is not O_PATH.
    mount: std::os::fd::OwnedFd,
    options: Vec<String>,
}

impl Hierarchy {
    /// v1 or v2.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// `memory`, `cpu,cpuacct`, `name=systemd`; `unified` for v2.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the v1 hierarchy of a controller.
    #[must_use]
    pub fn has_controller(&self, controller: &str) -> bool {
        self.controllers.iter().any(|known| known == controller)
    }

    /// Root directory in the host's mount.
    #[must_use]
    pub fn root(&self) -> &Arc<Dir> {
        &self.root
    }

    /// Inode number of its root directory.
    #[must_use]
    pub fn root_inode(&self) -> u64 {
        self.root_inode
    }

    pub(crate) fn mount(&self) -> &std::os::fd::OwnedFd {
        &self.mount
    }

    /// Opens the directory with this inode number, anywhere in the hierarchy.
    ///
    /// # Errors
    /// ESTALE when it does not exist (any more); ENOTDIR for a file.
    pub fn directory(&self, number: u64) -> Result<Dir, Errno> {
        let fd = open_number(&self.mount, number)?;
        Ok(Dir::from_fd(fd, self.root.path().to_owned()))
    }

    /// The `fsconfig` options that mount the same hierarchy again.
    pub(crate) fn options(&self) -> &[String] {
        &self.options
    }

    fn open(mount: &Mount<'_>, below: &Path) -> Result<Self, HostError> {
        let version = if mount.fs_type == b"cgroup2" {
            Version::V2
        } else {
            Version::V1
        };
        let mount_point = Path::new(OsStr::from_bytes(&mount.mount_point));
        let path: PathBuf = below.join(mount_point.strip_prefix("/").unwrap_or(mount_point));
        let root = Dir::open(&path)?;
        let errno = |e| HostError::from_errno(e, &path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = rustix::fs::openat(&root, ".", flags, Mode::empty()).map_err(errno)?;
        let root_inode = rustix::fs::fstat(&root).map_err(errno)?.st_ino;
        let (name, controllers, options) = match version {
            Version::V2 => {
                let flags = known(mount.super_options, |option| V2_FLAGS.contains(&option));
                ("unified".to_owned(), Vec::new(), flags)
            }
            Version::V1 => {
                let options = v1_options(mount.super_options);
                let is_flag = |o: &String| FLAGS.contains(&o.as_bytes());
                let controllers: Vec<String> =
                    options.iter().filter(|o| !is_flag(o)).cloned().collect();
                (controllers.join(","), controllers, options)
            }
        };
        Ok(Self {
            version,
            name,
            controllers,
            root: Arc::new(root),
            root_inode,
            mount: readable,
            options,
        })
    }
}

/// The controllers of v1 (cgroups(7)). A name that is missing here is not recognised as a
/// controller.
const CONTROLLERS: [&[u8]; 14] = [
    b"cpu",
    b"cpuacct",
    b"cpuset",
    b"memory",
    b"devices",
    b"freezer",
    b"net_cls",
    b"blkio",
    b"perf_event",
    b"net_prio",
    b"hugetlb",
    b"pids",
    b"rdma",
    b"misc",
];

/// Flags of a v1 hierarchy, which every further mount of it must repeat.
const FLAGS: [&[u8]; 4] = [b"noprefix", b"xattr", b"cpuset_v2_mode", b"favordynmods"];

/// Returns the superblock options of a v1 mount that identify the hierarchy and mount it again. The
/// others concern only the mount (`rw`), belong to the host (`release_agent=`), or to a security
/// module (`seclabel`).
#[must_use]
pub fn v1_options(super_options: &[u8]) -> Vec<String> {
    let names = |option: &[u8]| {
        option.starts_with(b"name=") || CONTROLLERS.contains(&option) || FLAGS.contains(&option)
    };
    known(super_options, names)
}

/// Flags of the v2 hierarchy. They apply to the whole machine: a mount in the initial cgroup
/// namespace that did not repeat them would clear them.
const V2_FLAGS: [&[u8]; 6] = [
    b"nsdelegate",
    b"favordynmods",
    b"memory_localevents",
    b"memory_recursiveprot",
    b"memory_hugetlb_accounting",
    b"pids_localevents",
];

fn known(super_options: &[u8], is_known: impl Fn(&[u8]) -> bool) -> Vec<String> {
    let options = super_options
        .split(|&b| b == b',')
        .filter(|option| is_known(option));
    options
        .map(|option| String::from_utf8_lossy(option).into_owned())
        .collect()
}

/// All hierarchies of the host.
#[derive(Debug)]
pub struct Hierarchies {
    all: Vec<Arc<Hierarchy>>,
}

impl Hierarchies {
    /// Finds them in a mountinfo text; mount points are opened below `below` (`/`, or the root of a
    /// captured host).
    ///
    /// # Errors
    /// When the text is malformed or a mount point cannot be opened.
    pub fn discover(text: &[u8], below: &Path) -> Result<Self, HostError> {
        let mut all: Vec<Arc<Hierarchy>> = Vec::new();
        for mount in mountinfo::mounts(text) {
            let mount =
                mount.map_err(|e| HostError::malformed(&below.join("proc/self/mountinfo"), e))?;
            if !matches!(mount.fs_type, b"cgroup" | b"cgroup2") || &*mount.root != b"/" {
                continue;
            }
            let hierarchy = match Hierarchy::open(&mount, below) {
                Ok(hierarchy) => hierarchy,
                // Another file system is mounted over it: another mount of the hierarchy may
                // follow.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            if all.iter().all(|known| known.name != hierarchy.name) {
                all.push(Arc::new(hierarchy));
            }
        }
        Ok(Self { all })
    }

    /// Every hierarchy, v1 in mount order.
    #[must_use]
    pub fn all(&self) -> &[Arc<Hierarchy>] {
        &self.all
    }

    /// Index of the hierarchy that has a controller: the v1 one, else the v2 one, else none.
    ///
    /// Whether v2 has it *enabled* for a cgroup shows in the cgroup's files, not here. Files that
    /// only v2 has, such as `pressure`, are found too: no v1 hierarchy has a controller of that
    /// name.
    #[must_use]
    pub fn index_of(&self, controller: &str) -> Option<usize> {
        let v1 = |h: &Arc<Hierarchy>| h.has_controller(controller);
        let v2 = |h: &Arc<Hierarchy>| h.version == Version::V2;
        self.all
            .iter()
            .position(v1)
            .or_else(|| self.all.iter().position(v2))
    }

    /// Version that serves a controller here; `None` if the controller is not mounted.
    #[must_use]
    pub fn version_of(&self, controller: &str) -> Option<Version> {
        self.index_of(controller)
            .map(|index| self.all[index].version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(mounts: &[(&str, &str, &str)]) -> (tempfile::TempDir, Hierarchies) {
        let tmp = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for (i, (point, fs, options)) in mounts.iter().enumerate() {
            std::fs::create_dir_all(tmp.path().join(&point[1..])).unwrap();
            text += &format!("{} 1 0:{i} / {point} rw - {fs} {fs} {options}\n", i + 20);
        }
        let all = Hierarchies::discover(text.as_bytes(), tmp.path()).unwrap();
        (tmp, all)
    }

    #[test]
    fn each_controller_has_its_own_version_on_a_hybrid_host() {
        let (_tmp, all) = captured(&[
            ("/c/unified", "cgroup2", "rw,nsdelegate"),
            ("/c/systemd", "cgroup", "rw,xattr,name=systemd"),
            ("/c/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
            ("/c/memory", "cgroup", "rw,memory"),
            ("/d/memory", "cgroup", "rw,memory"),
        ]);
        assert_eq!(all.all().len(), 4);
        assert_eq!(all.version_of("memory"), Some(Version::V1));
        assert_eq!(all.version_of("cpuacct"), Some(Version::V1));
        assert_eq!(all.version_of("hugetlb"), Some(Version::V2));
        let names: Vec<_> = all.all().iter().map(|h| h.name()).collect();
        assert_eq!(names, ["unified", "name=systemd", "cpu,cpuacct", "memory"]);
        assert_eq!(all.all()[1].options(), ["xattr", "name=systemd"]);
    }

    #[test]
    fn only_what_names_a_hierarchy_is_kept() {
        for (all, kept) in [
            ("rw,memory", "memory"),
            ("rw,seclabel,cpu,cpuacct", "cpu,cpuacct"),
            (
                "rw,xattr,release_agent=/lib/agent,name=systemd",
                "xattr,name=systemd",
            ),
            ("ro,cpuset,clone_children,context=a:b", "cpuset"),
        ] {
            assert_eq!(v1_options(all.as_bytes()).join(","), kept);
        }
    }

    #[test]
    fn a_host_without_cgroups_has_none() {
        let (_tmp, all) = captured(&[("/tmp", "tmpfs", "rw")]);
        assert!(all.all().is_empty());
        assert_eq!(all.version_of("memory"), None);
    }
}
