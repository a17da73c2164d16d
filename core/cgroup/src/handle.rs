//! Directories of a hierarchy by kernel file handle: from a directory of a private mount to the
//! same directory in the host's mount, and from an inode number to its directory.
//!
//! A cgroup namespace shows its root as `/` and does not reveal which cgroup that is. But a mount
//! made inside the namespace has that cgroup as its root directory, and the kernel's file handle of
//! that directory opens the same directory in any other mount of the hierarchy, where its ancestors
//! can be walked. No path text is involved, so odd names and processes moved out of their
//! namespace's root cannot mislead. open_by_handle_at(2); needs CAP_DAC_READ_SEARCH.

#![allow(unsafe_code, reason = "no library that we use has file handles")]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use vistafs_host::last_errno;

/// kernfs handles are 8 bytes long; the kernel's limit is 128.
const ROOM: usize = 128;

/// `struct file_handle` with room for any handle.
#[repr(C)]
struct Handle {
    head: libc::file_handle,
    room: [u8; ROOM],
}

/// FILEID_KERNFS: the handle is the number of a kernfs node (`include/linux/exportfs.h`, since Linux
/// 5.5).
const OF_KERNFS: i32 = 0xfe;

/// Opens the directory with this inode number below the mount that `mount` is a readable descriptor
/// of.
///
/// # Errors
/// ESTALE when it does not exist; ENOTDIR for a file.
pub(crate) fn open_number(mount: impl AsFd, number: u64) -> Result<OwnedFd, Errno> {
    let mut handle = Handle {
        head: libc::file_handle {
            handle_bytes: 8,
            handle_type: OF_KERNFS,
            f_handle: [],
        },
        room: [0; ROOM],
    };
    handle.room[..8].copy_from_slice(&number.to_ne_bytes());
    open(mount, &mut handle)
}

/// Reopens the directory `same` below the mount that `mount` is a readable descriptor of.
pub(crate) fn reopen_in(mount: impl AsFd, same: impl AsFd) -> Result<OwnedFd, Errno> {
    let mut handle = Handle {
        head: libc::file_handle {
            handle_bytes: 128,
            handle_type: 0,
            f_handle: [],
        },
        room: [0; ROOM],
    };
    let mut mount_id = 0;
    let pointer: *mut Handle = &raw mut handle;
    // SAFETY: `pointer` points to a live file_handle followed by the 128 bytes that its
    // `handle_bytes` announces, the path is a constant C string, and `mount_id` outlives the call.
    let named = unsafe {
        libc::name_to_handle_at(
            same.as_fd().as_raw_fd(),
            c"".as_ptr(),
            pointer.cast(),
            &raw mut mount_id,
            libc::AT_EMPTY_PATH,
        )
    };
    if named != 0 {
        return Err(last_errno());
    }
    open(mount, &mut handle)
}

fn open(mount: impl AsFd, handle: &mut Handle) -> Result<OwnedFd, Errno> {
    let pointer: *mut Handle = handle;
    // SAFETY: `pointer` points to a live file_handle followed by the 128 bytes of which its
    // `handle_bytes` says how many count; the flags ask for no creation.
    let opened = unsafe {
        libc::open_by_handle_at(
            mount.as_fd().as_raw_fd(),
            pointer.cast(),
            libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC,
        )
    };
    if opened < 0 {
        return Err(last_errno());
    }
    // SAFETY: the kernel has just returned this descriptor, and no other code owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}
