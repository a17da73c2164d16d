//! Number of threads of a v1 cgroup in each state: one request to the kernel's generic netlink
//! family TASKSTATS. `Documentation/accounting/cgroupstats.rst`, netlink(7).
//!
//! The reply covers one cgroup without its descendants, and only v1. It omits threads in
//! uninterruptible sleep that a fatal signal may end (the parent in a vfork, waits for NFS and
//! FUSE), unless they wait for I/O; threads stopped by a freezer; and since Linux 6.1 threads that
//! sleep where a freezer may stop them, as most do. So it is useful only when it counts as many
//! threads as exist: then no thread is in an unknown state.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use vistafs_host::Dir;

use crate::tasks::ThreadStates;

const NETLINK_HEADER: usize = 16;
const BOTH_HEADERS: usize = NETLINK_HEADER + 4;
const ATTRIBUTE_HEADER: usize = 4;
/// The upper bits of an attribute's type are flags.
const ATTRIBUTE_TYPE: u16 = 0x3fff;
/// Larger than any reply.
const ROOM: usize = 4096;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const ERROR: u16 = 2;

const CONTROLLER: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

const GET_CGROUPSTATS: u8 = 4;
const DIRECTORY: u16 = 1;
const STATS: u16 = 1;

/// A netlink socket to the family TASKSTATS.
#[derive(Debug)]
pub(crate) struct CgroupStats {
    socket: OwnedFd,
    family: u16,
}

impl CgroupStats {
    /// Opens the socket. `None` where the kernel does not reply: built without taskstats, or
    /// vistafs is in another network namespace than the initial one.
    pub(crate) fn open() -> Option<Self> {
        // Assigned once by the running kernel.
        static FAMILY: OnceLock<Option<u16>> = OnceLock::new();
        let socket = open_socket().ok()?;
        let find = || match find_family(&socket) {
            Ok(family) => Some(family),
            Err(errno) => {
                log::info!("the kernel does not count the threads of v1 cgroups: {errno}");
                None
            }
        };
        let family = (*FAMILY.get_or_init(find))?;
        Some(Self { socket, family })
    }

    /// Counts the threads in the cgroup of this directory; `None` if the kernel does not report
    /// them.
    pub(crate) fn of(&self, cgroup: &Dir) -> Option<ThreadStates> {
        let directory = cgroup.open_readable().ok()?;
        let fd = directory.as_raw_fd().to_ne_bytes();
        let answer = ask(&self.socket, self.family, GET_CGROUPSTATS, DIRECTORY, &fd).ok()?;
        let mut counts = attribute(&answer, STATS)?
            .chunks_exact(8)
            .filter_map(|chunk| Some(u64::from_ne_bytes(chunk.try_into().ok()?)));
        let [sleeping, running, stopped, uninterruptible, io_wait] =
            std::array::from_fn(|_| counts.next());
        Some(ThreadStates {
            running: running?,
            // The kernel counts a thread as waiting for I/O only if it is in no state counted
            // before.
            blocked: uninterruptible?.saturating_add(io_wait?),
            others: sleeping?.saturating_add(stopped?),
        })
    }
}

fn open_socket() -> Result<OwnedFd, Errno> {
    socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::GENERIC),
    )
}

fn find_family(socket: &OwnedFd) -> Result<u16, Errno> {
    let answer = ask(socket, CONTROLLER, GET_FAMILY, FAMILY_NAME, b"TASKSTATS\0")?;
    let id = attribute(&answer, FAMILY_ID).and_then(|id| id.try_into().ok());
    id.map(u16::from_ne_bytes).ok_or(Errno::BADMSG)
}

/// Sends a command with one attribute and returns the attributes of the reply. The kernel replies
/// before send(2) returns, so nothing blocks.
fn ask(
    socket: &OwnedFd,
    family: u16,
    command: u8,
    attribute: u16,
    value: &[u8],
) -> Result<Vec<u8>, Errno> {
    send(
        socket,
        &request(family, command, attribute, value),
        SendFlags::empty(),
    )?;
    let mut answer = Vec::new();
    let mut buffer = [0; ROOM];
    loop {
        let (_, got) = recv(socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
        let message = buffer.get(..got).ok_or(Errno::MSGSIZE)?;
        let field = |at: usize| message.get(at..at + 2)?.try_into().ok();
        match field(4).map(u16::from_ne_bytes) {
            // The last message is an error, which may be 0.
            Some(ERROR) => {
                let code = message.get(NETLINK_HEADER..NETLINK_HEADER + 4);
                let code = code.and_then(|code| code.try_into().ok());
                return match code.map_or(libc::EBADMSG, i32::from_ne_bytes) {
                    0 => Ok(answer),
                    code => Err(Errno::from_raw_os_error(code.saturating_abs())),
                };
            }
            Some(_) => answer = message.get(BOTH_HEADERS..).unwrap_or_default().to_vec(),
            None => return Err(Errno::BADMSG),
        }
    }
}

fn request(family: u16, command: u8, attribute: u16, value: &[u8]) -> Vec<u8> {
    let attribute_length = ATTRIBUTE_HEADER + value.len();
    let length = BOTH_HEADERS + attribute_length.next_multiple_of(4);
    let mut message = Vec::with_capacity(length);
    message.extend_from_slice(&u32::try_from(length).unwrap_or(0).to_ne_bytes());
    message.extend_from_slice(&family.to_ne_bytes());
    message.extend_from_slice(&(REQUEST | ACKNOWLEDGE).to_ne_bytes());
    // Sequence number and sender, which only shared sockets need.
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[command, 1, 0, 0]);
    message.extend_from_slice(&u16::try_from(attribute_length).unwrap_or(0).to_ne_bytes());
    message.extend_from_slice(&attribute.to_ne_bytes());
    message.extend_from_slice(value);
    message.resize(length, 0);
    message
}

/// The value of the first attribute of a type.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let header: &[u8; ATTRIBUTE_HEADER] = rest.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = rest.get(ATTRIBUTE_HEADER..length)?;
        if u16::from_ne_bytes([header[2], header[3]]) & ATTRIBUTE_TYPE == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(all: &[(u16, &[u8])]) -> Vec<u8> {
        let body =
            |(kind, value): &(u16, &[u8])| request(0, 0, *kind, value).split_off(BOTH_HEADERS);
        all.iter().flat_map(body).collect()
    }

    #[test]
    fn attributes_are_found_by_type() {
        let text = attributes(&[(1, b"one"), (2, b""), (0x8003, b"three"), (3, b"again")]);
        assert_eq!(attribute(&text, 1), Some(&b"one"[..]));
        assert_eq!(attribute(&text, 2), Some(&b""[..]));
        assert_eq!(attribute(&text, 3), Some(&b"three"[..]));
        assert_eq!(attribute(&text, 4), None);
    }

    #[test]
    fn truncated_attributes_are_ignored() {
        let text = attributes(&[(1, b"one"), (2, b"two")]);
        for end in 0..text.len() - 1 {
            assert_eq!(attribute(&text[..end], 2), None);
        }
        assert_eq!(attribute(&[0; 64], 2), None);
        assert_eq!(attribute(&[0xff; 64], 2), None);
    }

    /// Unprivileged processes may send the request, and the kernel replies at once.
    #[test]
    fn a_directory_that_is_no_v1_cgroup_is_refused() {
        let Some(stats) = CgroupStats::open() else {
            return;
        };
        let tmp = tempfile::tempdir().unwrap();
        assert_eq!(stats.of(&Dir::open(tmp.path()).unwrap()), None);
        let path_only = ask(
            &stats.socket,
            stats.family,
            GET_CGROUPSTATS,
            DIRECTORY,
            &[0xff; 4],
        );
        assert_eq!(path_only, Ok(Vec::new()), "no such descriptor: no answer");
    }
}
