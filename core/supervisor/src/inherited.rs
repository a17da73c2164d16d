//! Descriptors that are inherited at the start of the program, by number.
//!
//! They come from the supervisor (for a worker, or for the program that replaces it) or from the
//! service manager. Each number is taken once, and only if it is open.

#![allow(
    unsafe_code,
    reason = "a number that was handed over at exec(2) becomes a descriptor nowhere else"
)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use anyhow::Context as _;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Takes a descriptor by its number, and sets close-on-exec.
pub fn take(number: RawFd) -> anyhow::Result<OwnedFd> {
    if number <= 2 {
        anyhow::bail!("descriptor {number} is not one that is handed over");
    }
    let is_open = std::path::Path::new(&format!("/proc/self/fd/{number}")).exists()
        // The target need not exist: it may be a removed file or a socket.
        || std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok();
    if !is_open {
        anyhow::bail!("descriptor {number} was not handed over");
    }
    // SAFETY: it is open, and by the protocol between the two programs it belongs to this one: no other
    // code in this program knows the number, and each number is taken once, at start.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    keep(&descriptor, false).with_context(|| format!("descriptor {number}"))?;
    Ok(descriptor)
}

/// Sets whether a descriptor stays open across the next exec(2).
pub fn keep(descriptor: &impl AsFd, kept: bool) -> rustix::io::Result<()> {
    let mut flags = fcntl_getfd(descriptor)?;
    flags.set(FdFlags::CLOEXEC, !kept);
    fcntl_setfd(descriptor, flags)
}

/// Descriptors that stay open across the next exec(2), until this is dropped: if that fails, close-on-exec is set again,
/// whatever else has failed.
#[derive(Debug, Default)]
pub struct KeptOpen<'d>(Vec<BorrowedFd<'d>>);

impl<'d> KeptOpen<'d> {
    /// Keeps a descriptor open; returns its number.
    pub fn keep(&mut self, descriptor: BorrowedFd<'d>) -> rustix::io::Result<RawFd> {
        keep(&descriptor, true)?;
        self.0.push(descriptor);
        Ok(descriptor.as_raw_fd())
    }
}

impl Drop for KeptOpen<'_> {
    fn drop(&mut self) {
        for descriptor in &self.0 {
            // The descriptor is open, so this cannot fail.
            let _ = keep(descriptor, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn descriptors_are_closed_at_exec_again_when_it_has_failed() {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let closes = |descriptor: &std::os::unix::net::UnixStream| {
            fcntl_getfd(descriptor).unwrap().contains(FdFlags::CLOEXEC)
        };
        let fails = || -> anyhow::Result<()> {
            let mut kept = KeptOpen::default();
            assert_eq!(kept.keep(one.as_fd())?, one.as_raw_fd());
            kept.keep(other.as_fd())?;
            assert!(!closes(&one) && !closes(&other));
            anyhow::bail!("as execve(2) may");
        };
        assert!(fails().is_err());
        assert!(closes(&one) && closes(&other));
    }

    #[test]
    fn only_what_is_open_is_taken() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let number = ours.into_raw_fd();
        let taken = take(number).unwrap();
        assert!(fcntl_getfd(&taken).unwrap().contains(FdFlags::CLOEXEC));
        keep(&taken, true).unwrap();
        assert!(!fcntl_getfd(&taken).unwrap().contains(FdFlags::CLOEXEC));
        drop((taken, theirs));
        for number in [-1, 0, 2, 1_000_000] {
            assert!(take(number).is_err(), "{number}");
        }
    }
}
