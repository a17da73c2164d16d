//! Replies EINTR to callers that are killed while their requests wait.
//!
//! fuser answers FUSE_INTERRUPT with ENOSYS, so the kernel does not report killed callers, and each
//! waits until its request is answered. A thread therefore checks the callers of requests that have
//! been queued or in service for [`AGE`]. It sleeps while nothing is queued.
//!
//! Only a signal that ends the caller counts. EINTR from open(2) or read(2) would surprise a
//! program that handles a signal: the kernel's own files in /proc never return it.
//!
//! # Bounds
//! [`ROUND`] callers every [`EVERY`], [`QUEUE`] of one queue, and the queues take turns. So a
//! container with thousands of waiting requests delays only its own callers.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use vistafs_container::{Queue, Waiter};
use vistafs_host::{Host, Process};

use crate::Dispatcher;
use crate::redo::send;

/// Minimum age of a request before its caller is checked.
const AGE: Duration = Duration::from_millis(100);
const EVERY: Duration = Duration::from_millis(100);
/// Callers checked in one round: reading the status of a thread takes some 20 µs.
const ROUND: usize = 128;
const QUEUE: usize = 32;

/// Starts the thread that checks callers. `device`: the descriptor of the mount.
///
/// # Errors
/// If no descriptor or thread is available: killed callers then wait for their replies.
pub fn interrupt_killed(
    dispatcher: &Arc<Dispatcher>,
    device: BorrowedFd<'_>,
) -> std::io::Result<()> {
    let device = device.try_clone_to_owned()?;
    let offload = Arc::clone(dispatcher.containers().offload());
    let dispatcher = Arc::downgrade(dispatcher);
    let watch = move || {
        let mut first = 0;
        loop {
            offload.wait_for_requests();
            std::thread::sleep(EVERY);
            if look(&dispatcher, device.as_fd(), &mut first).is_none() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("interrupts".into())
        .spawn(watch)
        .map(drop)
}

/// Runs one round, which begins with another queue each time. `None`: the dispatcher is gone.
fn look(dispatcher: &Weak<Dispatcher>, device: BorrowedFd<'_>, first: &mut usize) -> Option<()> {
    let dispatcher = dispatcher.upgrade()?;
    let queues = dispatcher.containers().active_queues();
    let host = dispatcher.containers().host();
    let mut left = ROUND;
    for step in 0..queues.len() {
        if left == 0 {
            break;
        }
        *first = first.wrapping_add(1);
        let queue: &Queue = &queues[first.wrapping_add(step) % queues.len()];
        let waiters = queue.waiters(AGE, QUEUE.min(left));
        left -= waiters.len();
        waiters
            .iter()
            .for_each(|waiter| end_killed(host, waiter, device));
    }
    Some(())
}

fn end_killed(host: &Host, waiter: &Waiter, device: BorrowedFd<'_>) {
    let is_ending = Process::open(host, waiter.tid).and_then(|thread| thread.is_ending());
    // A missing thread has got its reply meanwhile.
    if !is_ending.unwrap_or(false) || !waiter.interrupt() {
        return;
    }
    // ENOENT: the request was answered meanwhile.
    if let Err(error) = send(device, waiter.unique, libc::EINTR, &[]) {
        log::debug!("interrupting request {}: {error}", waiter.unique);
    }
}
