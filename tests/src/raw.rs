//! System calls that no library offers: leases, and reads that go through the page cache.

#![allow(unsafe_code, reason = "attacks use system calls that no library wraps")]

use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::libc;

/// How many bytes each way to read asks for: one page.
const PAGE: usize = 4096;

/// Kinds of leases (fcntl(2), F_SETLEASE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Conflicts with every open that writes.
    Read,
    /// Conflicts with every other open.
    Write,
}

/// Takes a lease on an open file.
///
/// # Errors
/// As fcntl(2).
pub fn set_lease(file: &File, lease: Lease) -> Result<()> {
    let kind = match lease {
        Lease::Read => libc::F_RDLCK,
        Lease::Write => libc::F_WRLCK,
    };
    // SAFETY: the descriptor is open, and F_SETLEASE takes an integer.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    checked(result as isize).map(drop)
}

/// Bytes that sendfile(2) returns for the first page of a file.
///
/// # Errors
/// As sendfile(2).
pub fn by_sendfile(file: &File) -> Result<Vec<u8>> {
    let (reader, writer) = pipe()?;
    let mut offset = 0;
    let sent = rustix::fs::sendfile(&writer, file, Some(&mut offset), PAGE)?;
    drain(&reader, sent)
}

/// Bytes that splice(2) returns for the first page of a file.
///
/// # Errors
/// As splice(2).
pub fn by_splice(file: &File) -> Result<Vec<u8>> {
    let (reader, writer) = pipe()?;
    let mut offset: libc::loff_t = 0;
    // SAFETY: both descriptors are open, the offset outlives the call, and the other offset may be null.
    let moved = unsafe {
        libc::splice(
            file.as_raw_fd(),
            &raw mut offset,
            writer.as_raw_fd(),
            std::ptr::null_mut(),
            PAGE,
            0,
        )
    };
    drain(&reader, checked(moved)?.unsigned_abs())
}

/// Bytes in a shared or private mapping of the first page of a file.
///
/// # Errors
/// As mmap(2). `EFAULT`: the page is beyond the end of the file.
pub fn by_mmap(file: &File, shared: bool) -> Result<Vec<u8>> {
    let flags = if shared {
        libc::MAP_SHARED
    } else {
        libc::MAP_PRIVATE
    };
    let null = std::ptr::null_mut();
    // SAFETY: the kernel chooses the address, so nothing that is there is replaced.
    let page = unsafe { libc::mmap(null, PAGE, libc::PROT_READ, flags, file.as_raw_fd(), 0) };
    if page == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    // The kernel copies it through a pipe: where the page is beyond the end of the file, that is EFAULT; to
    // read it here would be SIGBUS.
    let copied = (|| {
        let (reader, writer) = pipe()?;
        // SAFETY: `page` is the start of a mapping of that length, which nothing else knows.
        let written = unsafe { libc::write(writer.as_raw_fd(), page, PAGE) };
        drain(&reader, checked(written)?.unsigned_abs())
    })();
    // SAFETY: as above; no reference into the mapping exists.
    unsafe { libc::munmap(page, PAGE) };
    copied
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe()?)
}

fn drain(reader: impl AsFd, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    if length > 0 {
        let got = rustix::io::read(reader, &mut bytes)?;
        bytes.truncate(got);
    }
    Ok(bytes)
}

fn checked(result: isize) -> Result<isize> {
    if result < 0 {
        return Err(Error::last_os_error());
    }
    Ok(result)
}
