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

/// The sizes of FUSE's heads of requests and replies (linux/fuse.h).
const IN_HEADER: usize = 40;
const OUT_HEADER: usize = 16;
const NOTIFY_LENGTH: u32 = 16;
const FUSE_INIT: u32 = 26;
const FUSE_INIT_EXT: u32 = 1 << 30;
/// In the second word of flags.
const FUSE_HAS_RESEND: u32 = 1 << (39 - 32);
/// A notification by which the kernel sends all unanswered requests again (Linux 6.9).
const NOTIFY_RESEND: i32 = 7;

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

/// Reads the kernel's FUSE_INIT, which is there as soon as something is mounted.
pub(crate) fn read_init(device: &OwnedFd) -> anyhow::Result<Vec<u8>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(device, PollFlags::IN)];
    let most = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    let ready = poll(&mut fds, Some(&most)).context("cannot wait for the kernel")?;
    if ready == 0 {
        bail!("the kernel sent no FUSE_INIT on /dev/fuse");
    }
    // The kernel wants room for the longest request that it could send.
    let mut request = vec![0; 1 << 17];
    let got = rustix::io::read(device, &mut request[..]).context("cannot read /dev/fuse")?;
    request.truncate(got);
    if got < IN_HEADER || number(&request, 4) != Some(FUSE_INIT) {
        bail!("the first request on /dev/fuse is not FUSE_INIT");
    }
    Ok(request)
}

/// The kernel's request, offering only what the first worker has asked for: what it did not ask for
/// the kernel does not do, whatever later workers answer.
pub(crate) fn agreed(init: &[u8], reply: &[u8]) -> Vec<u8> {
    let mut init = init.to_vec();
    // Head, major, minor, max_readahead, flags; in a reply the same, and flags2 22 bytes further on.
    let asked = number(reply, OUT_HEADER + 12);
    let asked_more = number(reply, OUT_HEADER + 32);
    for (at, asked) in [
        (IN_HEADER + 12, asked.map(|flags| flags | FUSE_INIT_EXT)),
        (IN_HEADER + 16, asked_more),
    ] {
        if let (Some(offered), Some(asked)) = (number(&init, at), asked)
            && let Some(place) = init.get_mut(at..at + 4)
        {
            place.copy_from_slice(&(offered & asked).to_ne_bytes());
        }
    }
    init
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(bytes))
}

/// Returns whether the kernel's FUSE_INIT offers FUSE_NOTIFY_RESEND (Linux 6.9).
pub(crate) fn offers_resend(init: &[u8]) -> bool {
    let flags = number(init, IN_HEADER + 12);
    let more_flags = number(init, IN_HEADER + 16);
    flags.is_some_and(|flags| flags & FUSE_INIT_EXT != 0)
        && more_flags.is_some_and(|flags| flags & FUSE_HAS_RESEND != 0)
}

/// Makes the kernel resend all requests that were read and not answered.
pub(crate) fn resend(device: &OwnedFd) -> rustix::io::Result<()> {
    let mut message = [0; OUT_HEADER];
    message[..4].copy_from_slice(&NOTIFY_LENGTH.to_ne_bytes());
    message[4..8].copy_from_slice(&NOTIFY_RESEND.to_ne_bytes());
    write(device, &message).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn later_workers_are_offered_what_the_first_has_asked_for() {
        let extended = FUSE_INIT_EXT;
        // Head of 10 words; major, minor, max_readahead, flags, flags2, and 11 unused.
        let mut init = vec![0; 10];
        init.extend([7, 45, 1 << 17, extended | 0b1111, 0b1010]);
        init.resize(26, 0);
        // Head of 4 words; major, minor, max_readahead, flags, 4 others, flags2.
        let mut reply = vec![80, 0, 2, 0, 7, 40, 1 << 17, extended | 0b0110, 0, 0, 0, 0];
        reply.extend([0b0010, 0, 0, 0, 0, 0, 0, 0]);
        let agreed = agreed(&words(&init), &words(&reply));
        init[13] = extended | 0b0110;
        init[14] = 0b0010;
        assert_eq!(agreed, words(&init));
        assert!(!offers_resend(&words(&init)));
        init[14] |= FUSE_HAS_RESEND;
        assert!(offers_resend(&words(&init)) && !offers_resend(&words(&init[..14])));
        // Without FUSE_INIT_EXT the kernel has no second word of flags.
        init[13] &= !extended;
        assert!(!offers_resend(&words(&init)));
        init[13] |= extended;
        // Of an answer that is cut off, what is missing changes nothing.
        assert_eq!(super::agreed(&words(&init), &[]), words(&init));
    }

    #[test]
    fn a_number_beyond_the_end_is_none() {
        assert_eq!(
            number(&[1, 0, 0, 0], 0),
            Some(u32::from_ne_bytes([1, 0, 0, 0]))
        );
        assert_eq!(number(&[1, 0, 0, 0], 1), None);
        assert_eq!(number(&[], 0), None);
    }
}
