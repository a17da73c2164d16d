//! Opens a mount point without accessing a container's file system.
//!
//! The kernel has all directories above a mount point in its cache while the mount exists. So each
//! step uses the cache only (RESOLVE_CACHED). Where the kernel must access the file system, as for each file of /proc,
//! it must be one that the kernel itself
//! implements. Symbolic links are not followed.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use vistafs_text::Device;
use vistafs_text::mountinfo::Mount;

use crate::table::Table;

/// File systems that the kernel itself implements, in memory or on a disk.
const OF_THE_KERNEL: [&[u8]; 17] = [
    b"btrfs",
    b"cgroup",
    b"cgroup2",
    b"devtmpfs",
    b"erofs",
    b"ext2",
    b"ext3",
    b"ext4",
    b"f2fs",
    b"proc",
    b"ramfs",
    b"rootfs",
    b"squashfs",
    b"sysfs",
    b"tmpfs",
    b"xfs",
    b"zfs",
];

/// Attempts: the cache may change at the moment of a look-up.
const TRIES: usize = 16;

/// The reason why a mount point cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// Another mount is there: the wanted one is covered, or was moved.
    #[error("not seen: something else is mounted there")]
    Hidden,
    /// The server of this file system may not answer.
    #[error("the way there leads through a {fs_type} file system, which may not answer")]
    ThroughOther {
        /// Its type in mountinfo.
        fs_type: String,
    },
    /// Moved meanwhile, or a symbolic link on the way.
    #[error("the way there: {0}")]
    Kernel(#[from] Errno),
}

/// The result of statx(2) without access to the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) mount: u64,
    pub(crate) device: Device,
    pub(crate) is_directory: bool,
    /// Whether it is the root of its mount.
    pub(crate) is_mount_root: bool,
}

/// Examines an open file.
pub(crate) fn look(file: impl AsFd) -> Result<Seen, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let wanted = StatxFlags::TYPE | StatxFlags::MNT_ID;
    let found = rustix::fs::statx(file, c"", flags, wanted)?;
    if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        // Before Linux 5.8.
        return Err(Errno::NOSYS);
    }
    let mode = rustix::fs::RawMode::from(found.stx_mode);
    Ok(Seen {
        mount: found.stx_mnt_id,
        device: Device {
            major: found.stx_dev_major,
            minor: found.stx_dev_minor,
        },
        is_directory: rustix::fs::FileType::from_raw_mode(mode).is_dir(),
        is_mount_root: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    })
}

/// Accesses a file system that root is known to have mounted.
pub(crate) fn does_not_answer(file: &OwnedFd) -> bool {
    matches!(rustix::fs::fstatfs(file), Err(Errno::NOTCONN))
}

/// Opens the root of a mount, starting at the root directory of its namespace.
pub(crate) fn open_mount(
    root: impl AsFd,
    table: &Table<'_>,
    mount: &Mount<'_>,
) -> Result<OwnedFd, Lost> {
    let found = open_place(root, table, &mount.mount_point)?;
    let seen = look(&found)?;
    if seen.mount == u64::from(mount.id) && seen.device == mount.device && seen.is_mount_root {
        Ok(found)
    } else {
        Err(Lost::Hidden)
    }
}

/// Opens the file that is visible at a mount point.
pub(crate) fn open_place(
    root: impl AsFd,
    table: &Table<'_>,
    mount_point: &[u8],
) -> Result<OwnedFd, Lost> {
    let names = mount_point.split(|byte| *byte == b'/');
    let mut at = rustix::io::fcntl_dupfd_cloexec(root, 0)?;
    for name in names.filter(|name| !name.is_empty()) {
        at = step(&at, name, table)?;
    }
    Ok(at)
}

fn step(from: &OwnedFd, name: &[u8], table: &Table<'_>) -> Result<OwnedFd, Lost> {
    for _ in 0..TRIES {
        match open(from, name, ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => {}
            done => return Ok(done?),
        }
    }
    let here = look(from)?;
    let fs_type = table
        .get(here.mount)
        .map_or(&b"?"[..], |mount| mount.fs_type);
    if !OF_THE_KERNEL.contains(&fs_type) {
        return Err(Lost::ThroughOther {
            fs_type: crate::protocol::shown(fs_type),
        });
    }
    Ok(open(from, name, ResolveFlags::empty())?)
}

fn open(from: &OwnedFd, name: &[u8], how: ResolveFlags) -> Result<OwnedFd, Errno> {
    // Without O_DIRECTORY, which would trigger automounts.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let never = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(from, name, flags, Mode::empty(), never | how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_not_followed() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", tmp.path().join("l")).unwrap();
        std::os::unix::fs::symlink("/", tmp.path().join("a/root")).unwrap();
        let root = rustix::fs::open(tmp.path(), OFlags::PATH, Mode::empty()).unwrap();
        let text = std::fs::read("/proc/self/mountinfo").unwrap();
        let table = Table::parse(&text).unwrap();
        assert!(
            look(open_place(&root, &table, b"/a").unwrap())
                .unwrap()
                .is_directory
        );
        assert!(
            look(open_place(&root, &table, b"/").unwrap())
                .unwrap()
                .is_directory
        );
        for leads_away in [&b"/l/x"[..], b"/a/root/etc", b"/..", b"/a/../..", b"/none"] {
            let found = open_place(&root, &table, leads_away);
            assert!(
                matches!(found, Err(Lost::Kernel(_))),
                "{}",
                leads_away.escape_ascii()
            );
        }
    }

    #[test]
    fn another_mount_is_not_the_one() {
        let text = std::fs::read("/proc/self/mountinfo").unwrap();
        let table = Table::parse(&text).unwrap();
        let root = rustix::fs::open("/", OFlags::PATH, Mode::empty()).unwrap();
        let proc = open_place(&root, &table, b"/proc/meminfo").unwrap();
        let proc = table.get(look(&proc).unwrap().mount).unwrap();
        // /proc, with its own mount ID and with another one.
        assert_eq!(&*proc.mount_point, b"/proc");
        assert!(open_mount(&root, &table, proc).is_ok());
        let other = Mount {
            id: proc.id + 100_000,
            ..proc.clone()
        };
        assert!(matches!(
            open_mount(&root, &table, &other),
            Err(Lost::Hidden)
        ));
    }
}
