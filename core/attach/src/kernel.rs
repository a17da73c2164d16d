//! Two system calls without a library: mount_setattr(2), and the owner of a namespace.

#![allow(unsafe_code, reason = "no library has them yet")]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

/// `_IO(0xb7, 0x1)`: the user namespace that owns the namespace of the descriptor (ioctl_nsfs(2)).
const NS_GET_USERNS: libc::Ioctl = 0xb701;

/// The restrictions of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Refusals(u64);

impl Refusals {
    /// Reads them from the options of the mount in mountinfo, not those of its file system.
    pub(crate) fn parse(options: &[u8]) -> Self {
        let bit = |option: &[u8]| match option {
            b"ro" => libc::MOUNT_ATTR_RDONLY,
            b"nosuid" => libc::MOUNT_ATTR_NOSUID,
            b"nodev" => libc::MOUNT_ATTR_NODEV,
            b"noexec" => libc::MOUNT_ATTR_NOEXEC,
            b"nosymfollow" => libc::MOUNT_ATTR_NOSYMFOLLOW,
            _ => 0,
        };
        Self(
            options
                .split(|byte| *byte == b',')
                .map(bit)
                .fold(0, |all, one| all | one),
        )
    }
}

/// Adds these restrictions to a detached mount, and makes it private.
pub(crate) fn restrict(mount: impl AsFd, refusals: Refusals) -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: refusals.0,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the descriptor is open during the call, the path is a C string, and the kernel reads
    // as many bytes of the structure as the size argument says.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if answer == 0 { Ok(()) } else { Err(last()) }
}

/// Opens the user namespace that owns a namespace.
pub(crate) fn owner(namespace: impl AsFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the descriptor is open during the call, and this request takes no argument.
    let answer = unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), NS_GET_USERNS) };
    if answer < 0 {
        return Err(last());
    }
    // SAFETY: the kernel has just opened it for this process, and no other code knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

fn last() -> Errno {
    let errno = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(errno.unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_a_line() {
        assert_eq!(Refusals::parse(b"rw,relatime"), Refusals::default());
        let all = Refusals::parse(b"ro,nosuid,nodev,noexec,relatime");
        assert_eq!(all, Refusals(0xf));
    }

    #[test]
    fn our_namespaces_are_owned() {
        let own = std::fs::File::open("/proc/self/ns/mnt").unwrap();
        let owner = owner(&own).unwrap();
        assert!(rustix::fs::fstat(&owner).unwrap().st_ino > 0);
        assert!(super::owner(std::fs::File::open("/dev/null").unwrap()).is_err());
    }
}
