//! Ioctls on a namespace: ioctl_nsfs(2).

#![allow(unsafe_code, reason = "no library has these ioctls yet")]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::last_errno;

/// Converts a request to the C library's type: musl uses a signed number.
#[allow(
    clippy::cast_possible_wrap,
    clippy::cast_lossless,
    reason = "the bits count, and both types have them"
)]
const fn request(bits: u32) -> libc::Ioctl {
    bits as libc::Ioctl
}

/// `_IO(0xb7, 0x2)`: the namespace that this one is a child of. Linux 4.9.
const NS_GET_PARENT: libc::Ioctl = request(0xb702);
/// `_IOR(0xb7, 0x6, int)`: host ID of the thread with the given ID in the namespace. Linux 6.12.
const NS_GET_PID_FROM_PIDNS: libc::Ioctl = request(0x8004_b706);
/// `_IOR(0xb7, 0x7, int)`: the same for a process. Linux 6.12.
const NS_GET_TGID_FROM_PIDNS: libc::Ioctl = request(0x8004_b707);
/// `_IOR(0xb7, 0x8, int)`: ID in the namespace of the thread with the given host ID. Linux 6.12.
const NS_GET_PID_IN_PIDNS: libc::Ioctl = request(0x8004_b708);

/// Returns the ID here of the process that has the ID `pid` in the pid namespace.
///
/// # Errors
/// ESRCH when it does not exist; ENOTTY, EINVAL or ENOSYS from a kernel without the ioctl.
pub(crate) fn process_from(namespace: impl AsFd, pid: i32) -> Result<u32, Errno> {
    number(namespace, NS_GET_TGID_FROM_PIDNS, pid)
}

/// Returns the ID here of the thread that has the ID `pid` in the pid namespace.
///
/// # Errors
/// As [`process_from`].
pub(crate) fn thread_from(namespace: impl AsFd, pid: i32) -> Result<u32, Errno> {
    number(namespace, NS_GET_PID_FROM_PIDNS, pid)
}

/// Returns the ID in the pid namespace of the thread that has the ID `pid` here.
///
/// # Errors
/// As [`process_from`].
pub(crate) fn thread_in(namespace: impl AsFd, pid: i32) -> Result<u32, Errno> {
    number(namespace, NS_GET_PID_IN_PIDNS, pid)
}

/// Returns the parent of a pid or user namespace.
///
/// # Errors
/// EPERM if the parent is not below vistafs's own; EINVAL for another kind.
pub(crate) fn parent(namespace: impl AsFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the descriptor is open for the length of the call, and this request takes no argument.
    let answer = unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), NS_GET_PARENT) };
    if answer < 0 {
        return Err(last_errno());
    }
    // SAFETY: the kernel has just returned this descriptor, and no other code owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

/// Whether the errno means that the kernel lacks the ioctl.
pub(crate) fn is_unknown(errno: Errno) -> bool {
    matches!(errno, Errno::NOTTY | Errno::INVAL | Errno::NOSYS)
}

fn number(namespace: impl AsFd, request: libc::Ioctl, pid: i32) -> Result<u32, Errno> {
    // SAFETY: the descriptor is open for the length of the call, and these requests take their
    // argument as a plain integer and touch no memory of ours.
    let answer = unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), request, pid) };
    match u32::try_from(answer) {
        Ok(0) => Err(Errno::SRCH),
        Ok(number) => Ok(number),
        Err(_) => Err(last_errno()),
    }
}
