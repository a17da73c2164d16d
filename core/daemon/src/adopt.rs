//! Creates a FUSE session on a connection that may be in use already.
//!
//! fuser answers FUSE_INIT itself before it serves, and the kernel sends FUSE_INIT once per mount. So the supervisor
//! keeps the kernel's request, and each worker passes it to fuser through a pair of sockets and copies the reply to
//! the device. The kernel takes the first worker's reply. It refuses all others with ENOENT, as well as the reply of a
//! worker whose predecessor died between replying and reporting, which is
//! no error. Then the device replaces the socket.

#![allow(
    unsafe_code,
    reason = "dup3(2) over a descriptor that fuser owns and lends"
)]

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use anyhow::{Context as _, bail};
use fuser::{Config, Session, SessionACL};
use rustix::io::{DupFlags, Errno, dup3, write};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use vistafs_dispatch::VistaFs;

/// Returns a session on the device, and fuser's reply to FUSE_INIT. Nothing is read from the device before the
/// session runs.
pub(crate) fn session(
    file_system: VistaFs,
    device: &OwnedFd,
    init: &[u8],
    threads: usize,
) -> anyhow::Result<(Session<VistaFs>, Vec<u8>)> {
    let (ours, theirs) = pair().context("cannot make a pair of sockets")?;
    send(&ours, init, SendFlags::NOSIGNAL).context("cannot hand FUSE_INIT on")?;
    let mut config = Config::default();
    config.n_threads = Some(threads);
    config.acl = SessionACL::All;
    // One shared descriptor: clones would lose requests when a worker dies.
    config.clone_fd = false;
    let session = Session::from_fd(file_system, theirs, SessionACL::All, config)
        .context("the kernel's FUSE_INIT cannot be used")?;
    let mut reply = vec![0; 4096];
    let (got, _) =
        recv(&ours, &mut reply[..], RecvFlags::DONTWAIT).context("FUSE_INIT was not answered")?;
    reply.truncate(got);
    match write(device, &reply) {
        Ok(_) | Err(Errno::NOENT) => {}
        Err(errno) => bail!("the kernel does not take the answer to FUSE_INIT: {errno}"),
    }
    replace(session.as_fd(), device).context("cannot put the device in place")?;
    Ok((session, reply))
}

/// Returns two connected sockets that preserve message boundaries, like the device.
pub(crate) fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Replaces the file behind a descriptor that another object owns.
pub(crate) fn replace(theirs: BorrowedFd<'_>, with: &impl AsFd) -> rustix::io::Result<()> {
    // SAFETY: the number stays open and stays its owner's (it is not dropped here). The borrowers read and
    // write, which the new file supports, too.
    let mut theirs = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(theirs.as_raw_fd()) });
    dup3(with, &mut theirs, DupFlags::CLOEXEC)
}
