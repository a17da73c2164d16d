//! A process killed while it writes leaves the new or the previous text, complete.
#![allow(
    unsafe_code,
    reason = "a process that can be killed while it writes is made by fork(2)"
)]

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rustix::fs::{MemfdFlags, memfd_create};
use vistafs_handover::SlotFile;

const KILLS: u64 = 1000;

/// The text of a number: 1 to 64 KiB.
fn text_of(number: u64, out: &mut Vec<u8>) {
    out.clear();
    let words = 128 * (1 + number * 7 % 64);
    for _ in 0..words {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// The number of a text; `None`: the text is incomplete.
fn number_of(text: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*text.first_chunk()?);
    let mut whole = Vec::new();
    text_of(number, &mut whole);
    (text == whole).then_some(number)
}

fn memory() -> OwnedFd {
    memfd_create("test", MemfdFlags::CLOEXEC).expect("a memory file")
}

/// The sequence number at the start of a slot, whether the slot is complete or not.
fn begun(file: &SlotFile, slot: u64) -> u64 {
    let mut bytes = [0; 8];
    rustix::io::pread(file.as_fd(), &mut bytes, (slot << 20) + 8).expect("it can be read");
    u64::from_le_bytes(bytes)
}

/// Writes forever, starting at a number: the text, then its number as an acknowledgement, then the
/// text again into a file without slots.
fn write_for_ever(file: &mut SlotFile, acknowledged: &OwnedFd, plain: &OwnedFd, first: u64) -> ! {
    let mut text = Vec::with_capacity(64 << 10);
    for number in first.. {
        text_of(number, &mut text);
        file.write(&text).expect("there is memory");
        // 8 bytes within one page are copied at once.
        rustix::io::pwrite(acknowledged, &number.to_le_bytes(), 0).expect("there is memory");
        rustix::io::pwrite(plain, &text, 0).expect("there is memory");
    }
    unreachable!("the numbers have come to their end");
}

#[test]
fn what_is_read_was_written_as_a_whole_and_is_the_last() {
    let mut file = SlotFile::create("test").unwrap();
    let mut text = Vec::with_capacity(64 << 10);
    text_of(0, &mut text);
    file.write(&text).unwrap();
    let (acknowledged, plain) = (memory(), memory());
    let (mut random, mut torn, mut torn_without_slots) = (1_u64, 0, 0);
    let (mut last, mut kills) = (0, 0);
    let mut plain_text = vec![0; 64 << 10];
    while kills < KILLS {
        // SAFETY: the child uses the files and its own stack and heap, and ends by being killed. No
        // other thread of this process holds a lock that it takes: the test runs alone.
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Child => write_for_ever(&mut file, &acknowledged, &plain, last + 1),
            ForkResult::Parent { child } => child,
        };
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros(random >> 54));
        kill(child, Signal::SIGKILL).unwrap();
        let status = waitpid(child, None).unwrap();
        let is_killed = matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _));
        assert!(is_killed, "{status:?}");

        let mut bytes = [0; 8];
        rustix::io::pread(&acknowledged, &mut bytes, 0).unwrap();
        // The text before may have been the last act of its writer: then it is not acknowledged.
        let done = u64::from_le_bytes(bytes).max(last);
        let (again, read) = SlotFile::open(file.as_fd().try_clone_to_owned().unwrap()).unwrap();
        let number = number_of(&read).expect("a text that was written as a whole");
        assert!(number == done || number == done + 1, "{number} {done}");
        file = again;
        if number == last {
            // It had not started.
            continue;
        }
        kills += 1;
        // Text 0 was the first, so each text has its number plus 1.
        torn += u64::from(begun(&file, 0).max(begun(&file, 1)) > number + 1);
        let length = rustix::io::pread(&plain, &mut plain_text, 0).unwrap();
        // A longer previous text leaves its end behind a shorter one.
        let first = plain_text
            .first_chunk()
            .map_or(0, |n| u64::from_le_bytes(*n));
        text_of(first, &mut text);
        torn_without_slots += u64::from(length < text.len() || plain_text[..text.len()] != text);
        last = number;
    }
    println!("{KILLS} kills: {torn} tore a slot, {torn_without_slots} a text without slots");
    // Otherwise the test has not covered its subject: one write is not atomic.
    assert!(
        torn > 0 && torn_without_slots > 0,
        "{torn} {torn_without_slots}"
    );
}
