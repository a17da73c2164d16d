//! Open files that support write and poll, and the wake-up of their pollers.
//!
//! The kernel sends FUSE_POLL, gets a reply at once, and expects a notification when it should poll
//! again. One thread waits for the channels of all polled files; it starts with the first of them
//! and has no timer. A channel stays in the epoll set, edge-triggered, until its descriptor is
//! closed with the open file, so no event is missed.
//!
//! Reporting an event (EPOLLPRI of a pressure file) consumes it. So [`OpenChannel`] stores an event
//! of the waiting thread until the next FUSE_POLL: each event is reported once.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use vistafs_view::{Channel, Request, ViewError};

/// Notifies the kernel to poll again.
pub(crate) type Wake = Box<dyn FnOnce() + Send>;

/// The channel of an open file.
#[derive(Debug)]
pub(crate) struct OpenChannel {
    channel: Box<dyn Channel>,
    // An event that the waiting thread received and no FUSE_POLL has reported yet.
    event: AtomicBool,
}

impl OpenChannel {
    pub(crate) fn new(channel: Box<dyn Channel>) -> Self {
        Self {
            channel,
            event: AtomicBool::new(false),
        }
    }

    pub(crate) fn write(&self, request: &mut Request<'_>, data: &[u8]) -> Result<usize, ViewError> {
        self.channel.write(request, data)
    }

    pub(crate) fn lasting(&self) -> Option<Vec<u8>> {
        self.channel.lasting()
    }

    pub(crate) fn read(
        &self,
        request: &mut Request<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Result<(), ViewError>> {
        self.channel.read(request, out)
    }

    /// Returns the poll(2) `events` that are ready now, and errors.
    pub(crate) fn ready(&self, events: u32) -> Result<u32, Errno> {
        let wanted = PollFlags::from_bits_truncate((events & 0xffff) as u16);
        let mut ready = PollFlags::empty();
        if wanted.contains(PollFlags::PRI) && self.event.swap(false, Ordering::AcqRel) {
            ready |= PollFlags::PRI;
        }
        let mut fds = [PollFd::new(&self.channel, wanted)];
        match poll(&mut fds, Some(&Timespec::default())) {
            Ok(_) => ready |= fds[0].revents(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(u32::from(ready.bits()))
    }

    /// Stores the event that the waiting thread received.
    fn told(&self, flags: EventFlags) {
        // EPOLLERR is a state, which poll(2) reports again; only events must be stored.
        if flags.contains(EventFlags::PRI) && !flags.contains(EventFlags::ERR) {
            self.event.store(true, Ordering::Release);
        }
    }
}

/// A channel that is, or was, polled.
struct Watched {
    channel: Weak<OpenChannel>,
    // Union of all requested events.
    events: EventFlags,
    // The kernel's ID of the open file.
    number: u64,
    wake: Option<Wake>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

/// A set of all watched channels.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    set: OnceLock<Arc<OwnedFd>>,
    by_handle: Arc<Mutex<HashMap<u64, Watched>>>,
}

impl Waiting {
    /// Calls `wake` once when one of `events` occurs, or at once if it is ready.
    pub(crate) fn watch(
        &self,
        handle: u64,
        channel: &Arc<OpenChannel>,
        events: u32,
        (number, wake): (u64, Wake),
    ) -> Result<(), Errno> {
        let set = self.set()?;
        let wanted = EventFlags::from_bits_truncate(events & 0xffff);
        let data = epoll::EventData::new_u64(handle);
        // Held across the system call, which is fast: two callers that request different events at
        // once must both get them.
        let mut by_handle = self.by_handle.lock();
        let Some(watched) = by_handle.get_mut(&handle) else {
            epoll::add(set, &channel.channel, data, wanted | EventFlags::ET)?;
            let watched = Watched {
                channel: Arc::downgrade(channel),
                events: wanted,
                number,
                wake: Some(wake),
            };
            by_handle.insert(handle, watched);
            return Ok(());
        };
        watched.wake = Some(wake);
        if !watched.events.contains(wanted) {
            let all = watched.events | wanted;
            epoll::modify(set, &channel.channel, data, all | EventFlags::ET)?;
            watched.events = all;
        }
        Ok(())
    }

    /// Removes a closed file; returns the kernel's ID of the file if it was watched.
    pub(crate) fn forget(&self, handle: u64) -> Option<u64> {
        let watched = self.by_handle.lock().remove(&handle)?;
        Some(watched.number)
    }

    /// Returns the number of watched channels.
    pub(crate) fn len(&self) -> usize {
        self.by_handle.lock().len()
    }

    fn set(&self) -> Result<&Arc<OwnedFd>, Errno> {
        if let Some(set) = self.set.get() {
            return Ok(set);
        }
        let fresh = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        Ok(self.set.get_or_init(|| {
            let (set, by_handle) = (Arc::clone(&fresh), Arc::downgrade(&self.by_handle));
            let thread = std::thread::Builder::new().name("channels".into());
            if let Err(error) = thread.spawn(move || wait(&set, &by_handle)) {
                log::error!(
                    "cannot start a thread: {error}; who polls a view is not woken (raise TasksMax= \
                     of the unit)"
                );
            }
            fresh
        }))
    }
}

fn wait(set: &OwnedFd, by_handle: &Weak<Mutex<HashMap<u64, Watched>>>) {
    let mut events = Vec::with_capacity(64);
    loop {
        events.clear();
        match epoll::wait(set, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                log::error!(
                    "epoll_wait: {errno}; pollers are not woken (vistafs upgrade restarts the worker)"
                );
                return;
            }
        }
        let Some(by_handle) = by_handle.upgrade() else {
            return;
        };
        for event in &events {
            let wake = by_handle
                .lock()
                .get_mut(&event.data.u64())
                .and_then(|watched| {
                    let flags = event.flags;
                    watched.channel.upgrade()?.told(flags);
                    watched.wake.take()
                });
            if let Some(wake) = wake {
                wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::{self, Receiver};
    use std::time::Duration;

    use super::*;

    #[derive(Debug)]
    struct Socket(UnixStream);

    impl AsFd for Socket {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    impl Channel for Socket {
        fn write(&self, _: &mut Request<'_>, data: &[u8]) -> Result<usize, ViewError> {
            rustix::io::write(&self.0, data).map_err(ViewError::Answer)
        }
    }

    fn pair() -> (Arc<OpenChannel>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Arc::new(OpenChannel::new(Box::new(Socket(ours)))), theirs)
    }

    fn wake() -> (Wake, Receiver<()>) {
        let (tell, told) = mpsc::channel();
        (Box::new(move || tell.send(()).unwrap()), told)
    }

    const IN: u32 = libc::POLLIN as u32;
    const OUT: u32 = libc::POLLOUT as u32;
    const PRI: u32 = libc::POLLPRI as u32;
    const SOON: Duration = Duration::from_secs(30);
    const NEVER: Duration = Duration::from_millis(50);

    fn take_byte(channel: &OpenChannel) {
        rustix::io::read(&channel.channel, &mut [0]).unwrap();
    }

    #[test]
    fn who_waits_is_woken_once_and_told_what_for() {
        let (channel, theirs) = pair();
        let waiting = Waiting::default();
        assert_eq!(channel.ready(IN).unwrap(), 0);
        for round in 0..3 {
            let (wake, woken) = wake();
            waiting.watch(7, &channel, IN, (70, wake)).unwrap();
            assert!(woken.recv_timeout(NEVER).is_err());
            rustix::io::write(&theirs, b"x").unwrap();
            woken.recv_timeout(SOON).unwrap();
            assert_eq!(channel.ready(IN).unwrap(), IN, "round {round}");
            take_byte(&channel);
            assert_eq!(channel.ready(IN).unwrap(), 0);
        }
        assert_eq!(waiting.len(), 1);
        waiting.forget(7);
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn what_is_there_already_wakes_at_once() {
        let (channel, theirs) = pair();
        rustix::io::write(&theirs, b"x").unwrap();
        let (wake, woken) = wake();
        let waiting = Waiting::default();
        waiting.watch(1, &channel, IN, (70, wake)).unwrap();
        woken.recv_timeout(SOON).unwrap();
    }

    /// The descriptor no longer reports the event by then; an error is not stored.
    #[test]
    fn an_event_is_told_once_to_one_who_asks_for_it() {
        let (channel, _theirs) = pair();
        channel.told(EventFlags::PRI | EventFlags::ERR);
        assert_eq!(channel.ready(PRI).unwrap(), 0);
        channel.told(EventFlags::PRI | EventFlags::IN);
        assert_eq!(channel.ready(IN).unwrap(), 0);
        assert_eq!(channel.ready(PRI | IN).unwrap(), PRI);
        assert_eq!(channel.ready(PRI | IN).unwrap(), 0);
    }

    #[test]
    fn two_who_wait_for_different_things_both_get_them() {
        let (channel, theirs) = pair();
        let waiting = Waiting::default();
        let (first, _) = wake();
        waiting.watch(1, &channel, IN, (70, first)).unwrap();
        let (second, woken) = wake();
        // It is writable.
        waiting.watch(1, &channel, OUT, (70, second)).unwrap();
        woken.recv_timeout(SOON).unwrap();
        let (third, woken) = wake();
        waiting.watch(1, &channel, OUT, (70, third)).unwrap();
        rustix::io::write(&theirs, b"x").unwrap();
        woken.recv_timeout(SOON).unwrap();
        assert_eq!(channel.ready(IN | OUT).unwrap(), IN | OUT);
    }

    #[test]
    fn a_channel_that_is_closed_leaves_the_set() {
        let (channel, theirs) = pair();
        let waiting = Waiting::default();
        let (wake, woken) = wake();
        waiting.watch(1, &channel, IN, (70, wake)).unwrap();
        assert_eq!(waiting.forget(1), Some(70));
        assert_eq!(waiting.forget(1), None);
        drop(channel);
        drop(theirs);
        assert!(woken.recv_timeout(NEVER).is_err());
    }
}
