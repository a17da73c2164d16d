//! Files that are written to and polled.

use super::*;

#[test]
fn a_file_without_a_channel_is_always_ready() {
    let dispatcher = dispatcher();
    let number = find(&dispatcher, "proc/uptime").number;
    let poll = Poll {
        events: u32::MAX,
        number: 0,
        wake: None,
    };
    let ready = dispatcher.poll(number, 1, poll, host(0)).unwrap();
    assert_eq!(ready & 0b111, 0b101, "POLLIN and POLLOUT, not POLLPRI");
}

fn waits(dispatcher: &Dispatcher, asks: Asks) -> bool {
    let target = dispatcher.target(asks);
    match dispatcher.turn(&target, host(0)) {
        Turn::Later(..) => true,
        Turn::Now(_) => false,
        turn => panic!("{asks:?}: {turn:?}"),
    }
}

/// Only operations that may take the kernel long need an offload thread.
#[test]
fn a_file_without_a_channel_is_opened_at_once() {
    let dispatcher = dispatcher();
    let opens_later = |path, access| {
        let number = find(&dispatcher, path).number;
        waits(&dispatcher, Asks::Open(number, access))
    };
    assert!(opens_later("proc/guarded", WRITE));
    assert!(!opens_later("proc/guarded", READ));
    assert!(!opens_later("proc/uptime", WRITE));
    assert!(opens_later("sys/small/file", WRITE));
    assert!(!opens_later("sys/small/file", READ));
    let uptime = find(&dispatcher, "proc/uptime").number;
    let (handle, _) = dispatcher.open(uptime, READ, host(0)).unwrap();
    assert!(!waits(&dispatcher, Asks::Poll(uptime, handle)));
}

/// As with the kernel's own files, the rights of a descriptor do not depend on its later holder.
#[test]
fn who_opens_for_writing_is_who_is_judged() {
    let dispatcher = dispatcher();
    let number = find(&dispatcher, "proc/guarded").number;
    let open = |access, uid| dispatcher.open(number, access, host(uid)).unwrap().0;
    let write = |handle, uid| {
        let written = dispatcher.write(number, (handle, WRITE), b"text", host(uid));
        written.map_err(|error| error.errno())
    };
    let (of_root, of_other) = (open(WRITE, 0), open(WRITE, 1000));
    for uid in [0, 1000] {
        assert_eq!(write(of_root, uid), Ok(4));
        assert_eq!(write(of_other, uid), Err(libc::EBUSY));
    }
    // Opening for reading needs no check until the file is polled.
    let poll = |handle, uid| {
        let poll = Poll {
            events: 0,
            number: 0,
            wake: None,
        };
        let ready = dispatcher.poll(number, handle, poll, host(uid));
        ready.map_err(|error| error.errno())
    };
    let read = open(READ, 1000);
    assert!(waits(&dispatcher, Asks::Poll(number, read)));
    assert_eq!(poll(read, 1000), Err(libc::EBUSY));
    assert!(!waits(&dispatcher, Asks::Poll(number, read)));
    assert_eq!(poll(of_root, 1000), Ok(0));
    for handle in [of_root, of_other, read] {
        dispatcher.close(handle);
    }
    assert_eq!(dispatcher.counts(), (0, 0, 0));
}

/// Only the written data remains of the first process.
#[test]
fn what_was_written_is_written_again_by_the_next_process() {
    let handover = Handover::create().unwrap();
    let worker = || {
        handover.begin_generation();
        dispatcher_with(Some(Arc::clone(&handover)))
    };
    let first = worker();
    let number = find(&first, "proc/guarded").number;
    let open = || first.open(number, WRITE, host(0)).unwrap().0;
    let write = |to: &Dispatcher, handle, data| {
        let written = to.write(number, (handle, WRITE), data, host(0));
        written.map_err(|error| error.errno())
    };
    let (good, bad, closed, again) = (open(), open(), open(), open());
    for (handle, data) in [
        (good, b"one"),
        (bad, b"bad"),
        (closed, b"two"),
        (again, b"six"),
    ] {
        assert_eq!(write(&first, handle, data), Ok(3));
    }
    let second = worker();
    let poll = |by: &Dispatcher, handle, uid| {
        let poll = Poll {
            events: 0,
            number: 0,
            wake: None,
        };
        let ready = by.poll(number, handle, poll, host(uid));
        ready.map_err(|error| error.errno())
    };
    // For any caller: access was checked before.
    assert!(waits(&second, Asks::Poll(number, good)));
    assert_eq!(poll(&second, good, 1000), Ok(0));
    assert_eq!(write(&second, good, b"two"), Err(libc::EALREADY));
    assert_eq!(poll(&second, bad, 0), Err(libc::ENOSPC));
    second.close(closed);
    assert_eq!(poll(&second, closed, 0), Ok(0));
    assert_eq!(write(&second, closed, b"new"), Ok(3));
    // A write that was in progress when the first process ended does not count as a second one.
    second.write_again(again);
    assert_eq!(write(&second, again, b"six"), Ok(3));
    // The same after another restart.
    let third = worker();
    assert_eq!(write(&third, again, b"two"), Err(libc::EALREADY));
    third.close(good);
    assert_eq!(write(&worker(), good, b"new"), Ok(3));
}
