//! A FUSE session on a connection that may be in use already.
//!
//! fuser wants to answer a FUSE_INIT itself before it serves, and the kernel sends only one for each
//! mount. So the supervisor keeps the kernel's request, and each worker lets fuser answer it: over a
//! pair of sockets, from which the answer is passed on to the kernel. The first worker's is taken;
//! those of all others, and of one whose predecessor died between answering and telling, find that
//! nobody waits for it (ENOENT), which is no error. Then the device takes the place of the socket.

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

/// A session on the device, and what fuser answered to FUSE_INIT. Nothing is read from the device
/// before the session runs.
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

/// Two connected sockets that keep datagrams apart, as the device does.
pub(crate) fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Puts another file behind a descriptor that somebody else owns.
pub(crate) fn replace(theirs: BorrowedFd<'_>, with: &impl AsFd) -> rustix::io::Result<()> {
    // SAFETY: the number stays open all the time, stays its owner's (it is not dropped here), and
    // who has borrowed it reads and writes, which the new file is for, too.
    let mut theirs = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(theirs.as_raw_fd()) });
    dup3(with, &mut theirs, DupFlags::CLOEXEC)
}
