use std::collections::HashMap;
use std::ffi::OsStr;

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};
use vistafs_handover::Request;

use super::*;
use crate::dispatcher::Poll;
use crate::dispatcher::tests::{dispatcher_with, find, host};

/// Creates a worker of this generation, and the kernel's end of the device.
fn worker(handover: &Arc<Handover>) -> (Redo, OwnedFd) {
    let (domain, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
    let (device, kernel) = socketpair(domain, SocketType::SEQPACKET, flags, None).unwrap();
    let redo = Redo {
        dispatcher: Arc::new(dispatcher_with(Some(Arc::clone(handover)))),
        handover: Arc::clone(handover),
        device,
    };
    (redo, kernel)
}

/// Receives a reply: the request's ID, errno and payload.
fn told(kernel: &OwnedFd) -> (u64, (i32, Vec<u8>)) {
    let mut bytes = [0; 8192];
    let (length, _) = recv(kernel, &mut bytes[..], RecvFlags::DONTWAIT).unwrap();
    let number = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(usize::try_from(number(0)).unwrap(), length);
    let unique = u64::from_ne_bytes(bytes[8..16].try_into().unwrap());
    let errno = number(4).cast_signed().saturating_neg();
    (unique, (errno, bytes[16..length].to_vec()))
}

/// Replays the recorded requests of a dead worker: errno and payload, by request.
fn redone(requests: &[Request<'_>]) -> HashMap<u64, (i32, Vec<u8>)> {
    let handover = Handover::create().unwrap();
    handover.begin_generation();
    for request in requests {
        std::mem::forget(handover.begin(request).unwrap());
    }
    handover.begin_generation();
    let (redo, kernel) = worker(&handover);
    let answer = |request: &Unfinished| {
        redo.answer(request, true);
        told(&kernel)
    };
    let answers = handover.take_over_unfinished().iter().map(answer).collect();
    assert_eq!(handover.unfinished(), []);
    answers
}

fn of_host(unique: u64, opcode: u32, node: u64) -> Request<'static> {
    Request {
        unique,
        opcode,
        node,
        tid: host(0).tid,
        ..Request::default()
    }
}

#[test]
fn what_can_be_done_again_is_answered() {
    let dispatcher = dispatcher_with(None);
    let proc = find(&dispatcher, "proc").number;
    let file = find(&dispatcher, "sys/small/file");
    let small = find(&dispatcher, "sys/small").number;
    let lookup = |unique, name| Request {
        name,
        ..of_host(unique, opcode::LOOKUP, small)
    };
    let long = [b'n'; 200];
    let read = |unique, offset, flags| Request {
        handle: 77,
        offset,
        size: 3,
        flags,
        ..of_host(unique, opcode::READ, file.number)
    };
    let answers = redone(&[
        lookup(2, b"file"),
        lookup(4, b"nothing"),
        lookup(6, &long),
        of_host(8, opcode::GETATTR, file.number),
        of_host(10, opcode::OPEN, file.number),
        read(12, 0, abi::READ_LOCKOWNER),
        read(14, 0, 0),
        of_host(16, opcode::READDIR, proc),
        of_host(18, opcode::STATFS, 1),
        of_host(20, opcode::RELEASE, file.number),
        of_host(22, opcode::WRITE, file.number),
        of_host(24, opcode::POLL, file.number),
        of_host(26, opcode::MKDIR, small),
        of_host(28, opcode::UNLINK, small),
        of_host(30, opcode::GETXATTR, small),
        of_host(32, 4096, small),
        of_host(34, opcode::GETATTR, 0xdead),
    ]);
    let errno = |unique| answers[&unique].0;
    let errors = [4, 6, 14, 22, 24, 26, 28, 30, 32, 34].map(errno);
    assert_eq!(
        errors,
        [
            libc::ENOENT,
            libc::EINTR,
            libc::EINVAL,
            libc::EINTR,
            libc::EINTR,
            libc::EINTR,
            libc::EPERM,
            libc::ENOSYS,
            libc::EINTR,
            libc::ESTALE
        ]
    );
    for unique in [2, 8, 10, 12, 16, 18, 20] {
        assert_eq!(errno(unique), 0, "{unique}");
    }
    assert_eq!(answers[&2].1[..8], file.number.to_ne_bytes());
    assert_eq!(answers[&8].1.len(), 104);
    assert_eq!(answers[&8].1[16..24], file.number.to_ne_bytes());
    assert_ne!(answers[&10].1[..8], [0; 8]);
    assert_eq!(answers[&12].1, b"tex");
    let listed = &answers[&16].1;
    let has = |name: &str| {
        let name = OsStr::new(name).as_encoded_bytes();
        listed.windows(name.len()).any(|window| window == name)
    };
    assert!(has("uptime") && has("guarded"), "{listed:?}");
    assert_eq!(answers[&20].1, []);
}

/// The request may be the cause of the crashes.
#[test]
fn a_request_is_done_again_twice_at_most() {
    let proc = find(&dispatcher_with(None), "proc").number;
    let errno_after = |deaths| {
        let handover = Handover::create().unwrap();
        handover.begin_generation();
        std::mem::forget(handover.begin(&of_host(2, opcode::GETATTR, proc)));
        let mut taken = Vec::new();
        for _ in 0..deaths {
            handover.begin_generation();
            taken = handover.take_over_unfinished();
        }
        let (redo, kernel) = worker(&handover);
        redo.answer(&taken[0], true);
        assert_eq!(handover.unfinished(), []);
        told(&kernel).1.0
    };
    assert_eq!([1, 2, 3].map(errno_after), [0, 0, libc::EINTR]);
}

#[test]
fn a_poll_is_answered_and_who_waits_is_noted_again() {
    let file = find(&dispatcher_with(None), "proc/uptime").number;
    let poll = |unique, offset| Request {
        offset,
        size: u32::MAX,
        flags: PollFlags::FUSE_POLL_SCHEDULE_NOTIFY.bits(),
        ..of_host(unique, opcode::POLL, file)
    };
    let answers = redone(&[poll(2, 7), poll(4, 0)]);
    let (errno, ready) = &answers[&2];
    assert_eq!((*errno, ready.len(), ready[0] & 0b111), (0, 8, 0b101));
    assert_eq!(answers[&4].0, libc::EINTR);
}

#[test]
fn who_waits_is_woken_by_the_next_worker() {
    let handover = Handover::create().unwrap();
    let (redo, kernel) = worker(&handover);
    let node = find(&redo.dispatcher, "proc/guarded").number;
    let poll = |number| {
        let poll = Poll {
            events: 2,
            number,
            wake: Some(Box::new(|| ())),
        };
        redo.dispatcher.poll(node, number, poll, host(0))
    };
    // A regular file cannot be polled with epoll(7): recorded all the same, and refused.
    assert!(poll(3).is_err() && poll(4).is_err());
    wake_pollers(&handover, redo.device.as_fd());
    for number in [3, 4] {
        let mut bytes = [0; 64];
        let (length, _) = recv(&kernel, &mut bytes[..], RecvFlags::DONTWAIT).unwrap();
        assert_eq!(bytes[..length], abi::wake_up(number));
    }
    assert!(recv(&kernel, &mut [0; 64][..], RecvFlags::DONTWAIT).is_err());
    assert_eq!(abi::wake_up(3)[..8], [24, 0, 0, 0, 1, 0, 0, 0]);
}
