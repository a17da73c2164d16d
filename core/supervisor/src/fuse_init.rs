//! The kernel's FUSE_INIT request, and the requests that it resends.
//!
//! The kernel sends FUSE_INIT once per mount. The supervisor keeps it, so that each worker can
//! negotiate with it, and reduces it to the features that the first worker has requested.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::write;

/// Sizes of the headers of requests and replies (linux/fuse.h).
const IN_HEADER: usize = 40;
const OUT_HEADER: usize = 16;
const NOTIFY_LENGTH: u32 = 16;
const FUSE_INIT: u32 = 26;
const FUSE_INIT_EXT: u32 = 1 << 30;
/// In the second word of flags.
const FUSE_HAS_RESEND: u32 = 1 << (39 - 32);
/// A notification that makes the kernel resend all unanswered requests (Linux 6.9).
const NOTIFY_RESEND: i32 = 7;

/// Reads the kernel's FUSE_INIT, which is there as soon as something is mounted.
pub fn read_init(device: &OwnedFd) -> anyhow::Result<Vec<u8>> {
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
