//! What stands behind an open file that is written to and polled, and waking those who wait for it.
//!
//! A channel is a descriptor; the file is ready when the descriptor is. The kernel asks once with
//! FUSE_POLL, is answered at once, and wants to be told when it is worth asking again. Telling an
//! event (EPOLLPRI of a pressure file) takes it away from the descriptor, so what the waiting thread
//! was told is kept in [`Channel`] until the kernel asks.
//!
//! One thread waits for all channels; it starts with the first one that is waited for and never wakes
//! up by itself. A channel leaves the set when its descriptor is closed, with the open file.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;

/// Tells the kernel to ask again.
pub(crate) type Wake = Box<dyn FnOnce() + Send>;

/// A descriptor that is written to and polled for an open file.
#[derive(Debug)]
pub(crate) struct Channel {
    fd: OwnedFd,
    // poll(2) events that the waiting thread was told and nobody has been answered yet.
    told: AtomicU32,
}

impl Channel {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            told: AtomicU32::new(0),
        }
    }

    pub(crate) fn write(&self, data: &[u8]) -> Result<usize, Errno> {
        rustix::io::write(&self.fd, data)
    }

    /// Which of the poll(2) `events` are there now, and errors.
    pub(crate) fn ready(&self, events: u32) -> Result<u32, Errno> {
        let wanted = PollFlags::from_bits_truncate((events & 0xffff) as u16);
        let events = events | epoll::EventFlags::ERR.bits() | epoll::EventFlags::HUP.bits();
        let told = self.told.fetch_and(!events, Ordering::AcqRel) & events;
        let mut fds = [PollFd::new(&self.fd, wanted)];
        match poll(&mut fds, Some(&Timespec::default())) {
            Ok(_) => Ok(told | u32::from(fds[0].revents().bits())),
            Err(Errno::INTR) => Ok(told),
            Err(errno) => Err(errno),
        }
    }
}

/// An open file's channel that somebody waits for.
struct Waited {
    channel: Weak<Channel>,
    wake: Option<Wake>,
}

impl fmt::Debug for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waited").finish_non_exhaustive()
    }
}

/// All channels that are waited for.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    set: OnceLock<Arc<OwnedFd>>,
    by_handle: Arc<Mutex<HashMap<u64, Waited>>>,
}

impl Waiting {
    /// Calls `wake` once when one of `events` is there.
    pub(crate) fn arm(
        &self,
        handle: u64,
        channel: &Arc<Channel>,
        events: u32,
        wake: Wake,
    ) -> Result<(), Errno> {
        let set = self.set()?;
        let events = epoll::EventFlags::from_bits_truncate(events & 0xffff);
        let events = events | epoll::EventFlags::ONESHOT;
        let data = epoll::EventData::new_u64(handle);
        let waited = Waited {
            channel: Arc::downgrade(channel),
            wake: Some(wake),
        };
        self.by_handle.lock().insert(handle, waited);
        match epoll::add(set, &channel.fd, data, events) {
            Err(Errno::EXIST) => epoll::modify(set, &channel.fd, data, events)?,
            added => added?,
        }
        Ok(())
    }

    /// The open file is closed.
    pub(crate) fn forget(&self, handle: u64) {
        self.by_handle.lock().remove(&handle);
    }

    /// How many are waited for.
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
                log::error!("cannot start a thread: {error}; who polls a view is not woken");
            }
            fresh
        }))
    }
}

fn wait(set: &OwnedFd, by_handle: &Weak<Mutex<HashMap<u64, Waited>>>) {
    let mut events = Vec::with_capacity(64);
    loop {
        events.clear();
        match epoll::wait(set, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                log::error!("epoll_wait: {errno}; who polls a view is not woken");
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
                .and_then(|waited| {
                    let (flags, channel) = (event.flags, waited.channel.upgrade()?);
                    channel.told.fetch_or(flags.bits(), Ordering::AcqRel);
                    waited.wake.take()
                });
            if let Some(wake) = wake {
                wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        let (reader, writer) = UnixStream::pair().unwrap();
        (reader.into(), writer.into())
    }

    const IN: u32 = libc::POLLIN as u32;

    #[test]
    fn who_waits_is_woken_once_and_told_what_for() {
        let (reader, writer) = pair();
        let channel = Arc::new(Channel::new(reader));
        let waiting = Waiting::default();
        assert_eq!(channel.ready(IN).unwrap(), 0);
        for round in 0..3 {
            let (tell, told) = mpsc::channel();
            let wake = Box::new(move || tell.send(()).unwrap());
            waiting.arm(7, &channel, IN, wake).unwrap();
            assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
            rustix::io::write(&writer, b"x").unwrap();
            told.recv_timeout(Duration::from_secs(30)).unwrap();
            // What woke is told even if it is no longer there.
            let mut byte = [0];
            rustix::io::read(&channel.fd, &mut byte).unwrap();
            assert_eq!(channel.ready(IN).unwrap(), IN, "round {round}");
            assert_eq!(channel.ready(IN).unwrap(), 0);
        }
        waiting.forget(7);
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn what_is_there_already_wakes_at_once() {
        let (reader, writer) = pair();
        rustix::io::write(&writer, b"x").unwrap();
        let (tell, told) = mpsc::channel();
        let waiting = Waiting::default();
        let channel = Arc::new(Channel::new(reader));
        let wake = Box::new(move || tell.send(()).unwrap());
        waiting.arm(1, &channel, IN, wake).unwrap();
        told.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}
