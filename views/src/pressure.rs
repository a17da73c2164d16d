//! `/proc/pressure/{cpu,memory,io,irq}`: how long the container's tasks had to wait.
//!
//! ```text
//! $ cat /proc/pressure/memory
//! some avg10=0.00 avg60=1.20 avg300=0.44 total=1071044
//! full avg10=0.00 avg60=0.80 avg300=0.30 total=980120
//! ```
//!
//! - the text is that of the container's own v2 cgroup; where it has none, EOPNOTSUPP;
//! - a *trigger* (`some 150000 2000000`) that is written is handed to that cgroup's file: poll(2)
//!   wakes with POLLPRI when the container's own tasks have waited so long;
//! - the kernel judges the text (EINVAL, EBUSY), as its file in /proc would, by what the opener of the
//!   descriptor is capable of;
//! - one container may have [`MOST`] of these files open for triggers: ENOSPC.
//!
//! Documentation/accounting/psi.rst.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use vistafs_cgroup::pressure::{PressureFile, Resource, Rule};
use vistafs_text::pressure;
use vistafs_view::{
    Channel, Context, Provider, Request, Source, View, ViewError, ViewSpec, inventory,
};

/// How many descriptors of vistafs one container may use up for its triggers.
const MOST: u32 = 1024;

const fn spec(
    name: &'static str,
    path: &'static str,
    summary: &'static str,
    build: fn(&vistafs_view::Options) -> Provider,
) -> ViewSpec {
    ViewSpec {
        name,
        path,
        summary,
        mode: 0o666,
        on_by_default: true,
        sources: &[Source::Controller("pressure"), Source::Host],
        options: &[],
        build,
    }
}

inventory::submit! {
    spec(
        "pressure-cpu",
        "proc/pressure/cpu",
        "how long the container's tasks waited for a CPU; triggers",
        |_| Pressure::of(Resource::Cpu),
    )
}

inventory::submit! {
    spec(
        "pressure-memory",
        "proc/pressure/memory",
        "how long the container's tasks waited for memory; triggers",
        |_| Pressure::of(Resource::Memory),
    )
}

inventory::submit! {
    spec(
        "pressure-io",
        "proc/pressure/io",
        "how long the container's tasks waited for block I/O; triggers",
        |_| Pressure::of(Resource::Io),
    )
}

inventory::submit! {
    spec(
        "pressure-irq",
        "proc/pressure/irq",
        "how long the container's tasks waited for interrupts to end; triggers",
        |_| Pressure::of(Resource::Irq),
    )
}

#[derive(Debug)]
struct Pressure {
    resource: Resource,
    // Of callers on the host.
    open: Arc<Open>,
}

impl Pressure {
    fn of(resource: Resource) -> Provider {
        Provider::File(Arc::new(Self {
            resource,
            open: Arc::default(),
        }))
    }
}

impl View for Pressure {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        if cx.pressure(self.resource, out)? {
            Ok(())
        } else {
            Err(ViewError::Answer(Errno::OPNOTSUPP))
        }
    }

    fn channel(&self, request: &mut Request<'_>) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let container = request.container();
        let open = container.map_or_else(|| Arc::clone(&self.open), |of| of.state());
        let counted = Counted::new(open).ok_or(ViewError::Answer(Errno::NOSPC))?;
        let file = request.open_pressure(self.resource)?;
        Ok(Some(Box::new(Trigger {
            file: file.ok_or(ViewError::Answer(Errno::OPNOTSUPP))?,
            in_proc: container.is_none(),
            _counted: counted,
        })))
    }
}

/// How many files one container has open for triggers.
#[derive(Debug, Default)]
struct Open(AtomicU32);

/// One of them, until it is dropped.
#[derive(Debug)]
struct Counted(Arc<Open>);

impl Counted {
    /// `None`: there are as many as there may be.
    fn new(open: Arc<Open>) -> Option<Self> {
        let one_more = |n: u32| (n < MOST).then_some(n + 1);
        let counted = open
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.is_ok().then(|| Self(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pressure file that takes one trigger.
#[derive(Debug)]
struct Trigger {
    file: PressureFile,
    in_proc: bool,
    _counted: Counted,
}

impl AsFd for Trigger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Channel for Trigger {
    fn write(&self, data: &[u8]) -> Result<usize, ViewError> {
        if self.in_proc {
            return self.file.write(data).map_err(ViewError::Answer);
        }
        let text = pressure::as_in_proc(data);
        if self.file.rule() == Rule::Ours && !is_for_all(&text) {
            return Err(ViewError::Answer(Errno::INVAL));
        }
        self.file.write(&text).map_err(ViewError::Answer)?;
        Ok(data.len())
    }
}

/// Whether a trigger is one that the kernel lets the unprivileged have.
fn is_for_all(text: &[u8]) -> bool {
    pressure::window(text).is_some_and(|us| us.is_multiple_of(2_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_no_more_than_its_share() {
        let open: Arc<Open> = Arc::default();
        let mut all: Vec<_> = (0..MOST)
            .map(|_| Counted::new(Arc::clone(&open)).unwrap())
            .collect();
        assert!(Counted::new(Arc::clone(&open)).is_none());
        all.pop();
        assert!(Counted::new(Arc::clone(&open)).is_some());
        drop(all);
        assert_eq!(open.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn only_windows_of_whole_2_s_are_for_all() {
        for (text, expected) in [
            (&b"some 150000 2000000\0"[..], true),
            (b"full 150000 10000000", true),
            (b"some 150000 1000000", false),
            (b"some 150000 2000001", false),
            (b"some 150000", false),
            (b"", false),
        ] {
            assert_eq!(is_for_all(text), expected, "{}", text.escape_ascii());
        }
    }
}
