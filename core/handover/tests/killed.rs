//! A worker that is killed at any instant leaves no half record.
#![allow(
    unsafe_code,
    reason = "a process that can be killed while it uses the memory is made by fork(2)"
)]

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use vistafs_handover::{ContainerKey, Handover, Request, Shown, Unfinished};

const KILLS: u64 = 1000;
const NAME: &[u8] = &[b'n'; 64];

/// The bytes of a record or a text with this number; their length varies.
fn bytes_of(number: u64, out: &mut Vec<u8>) {
    out.clear();
    for _ in 0..=number % 100 {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// The number encoded in the bytes.
#[track_caller]
fn number_of(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(*bytes.first_chunk().expect("it has a number"));
    let mut whole = Vec::new();
    bytes_of(number, &mut whole);
    assert_eq!(bytes, whole);
    number
}

fn key(number: u64) -> ContainerKey {
    ContainerKey::new(&(number % 3).to_le_bytes())
}

/// Writes forever, starting at a number.
fn write_for_ever(handover: &Arc<Handover>, first: u64) -> ! {
    let mut bytes = Vec::with_capacity(4096);
    for number in first.. {
        let half = u32::try_from(number).unwrap_or(u32::MAX);
        let in_flight = handover.begin(&Request {
            unique: number,
            opcode: half,
            node: number,
            handle: number,
            offset: number,
            size: half,
            flags: half,
            tid: half,
            uid: half,
            gid: half,
            view: number,
            view_name: "view",
            name: NAME,
        });
        bytes_of(number, &mut bytes);
        let handle = handover.open_handle(handover.handle_mark() | number);
        let handle = handle.expect("there is room");
        handle.show_whole(bytes.len(), false);
        assert!(handle.show_part(&bytes, true));
        assert!(handover.save(key(number), "record", &bytes));
        assert!(handle.show_part(&bytes, true));
        handle.close();
        drop(in_flight);
    }
    unreachable!("the numbers have come to their end");
}

#[track_caller]
fn assert_whole(request: &Unfinished) {
    let number = request.unique;
    let numbers = [request.node, request.handle, request.offset, request.view];
    assert_eq!(numbers, [number; 4]);
    let halves = [
        request.opcode,
        request.size,
        request.flags,
        request.tid,
        request.uid,
        request.gid,
    ];
    assert_eq!(halves.map(u64::from), [number; 6]);
    assert_eq!(request.view_name, "view");
    let name = request.name.as_ref().map(|name| name.as_encoded_bytes());
    assert_eq!(name, Some(NAME));
}

#[test]
fn every_record_is_whole() {
    let handover = Handover::create().unwrap();
    let (mut last, mut in_flight, mut parts, mut kills) = (0, 0, 0, 0);
    let (mut random, mut saved_before) = (1_u64, [0; 3]);
    while kills < KILLS {
        handover.begin_generation();
        // SAFETY: the child uses the memory and its own stack and heap, and ends by being killed.
        // No other thread of this process holds a lock that it takes: the test runs alone.
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Child => write_for_ever(&handover, last + 1),
            ForkResult::Parent { child } => child,
        };
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros(random >> 54));
        kill(child, Signal::SIGKILL).unwrap();
        let status = waitpid(child, None).unwrap();
        assert!(
            matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _)),
            "{status:?}"
        );

        let highest = handover.highest_unique();
        if highest == last {
            // It had not started.
            continue;
        }
        kills += 1;
        let unfinished = handover.unfinished();
        assert!(unfinished.len() <= 1, "{unfinished:?}");
        unfinished.iter().for_each(assert_whole);
        in_flight += unfinished.len() as u64;

        let saved = [0, 1, 2].map(|container| {
            let mut record = Vec::new();
            let is_there = handover.load(key(container), "record", &mut record);
            if is_there { number_of(&record) } else { 0 }
        });
        for (now, before) in saved.iter().zip(saved_before) {
            assert!(*now >= before, "{saved:?} {saved_before:?}");
        }
        saved_before = saved;
        // The completed write is present; the interrupted one may be.
        let [done, doing] = [highest - 1, highest].map(|n| saved[usize::try_from(n % 3).unwrap()]);
        assert!(
            done == highest - 1 || highest - 1 == last,
            "{saved:?} {highest}"
        );
        assert!(
            doing == highest || doing < done.max(last),
            "{saved:?} {highest}"
        );

        let number = handover.handle_mark() | highest;
        if let Some((handle, shown)) = handover.adopt_handle(number) {
            match shown {
                Some(Shown::Part(text)) => {
                    assert_eq!(number_of(&text), highest);
                    parts += 1;
                }
                // Killed while the text was being written.
                Some(Shown::Lost | Shown::Whole { .. }) | None => {}
            }
            handle.close();
        }
        handover.begin_generation();
        for request in handover.take_over_unfinished() {
            handover.settle(&request);
        }
        assert_eq!(handover.unfinished(), []);
        last = highest;
    }
    // Otherwise the test has not covered its subject.
    assert!(
        in_flight > KILLS / 4 && parts > KILLS / 10,
        "{in_flight} {parts}"
    );
}
