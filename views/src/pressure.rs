//! `/proc/pressure/{cpu,memory,io,irq}`: how long the container's tasks had to wait.
//!
//! ```text
//! $ cat /proc/pressure/memory
//! some avg10=0.00 avg60=1.20 avg300=0.44 total=1071044
//! full avg10=0.00 avg60=0.80 avg300=0.30 total=980120
//! ```
//!
//! - the contents are those of the container's own v2 cgroup; without one, EOPNOTSUPP;
//! - a *trigger* (`some 150000 2000000`) is written to that cgroup's file: poll(2) wakes with
//!   POLLPRI when the container's own tasks have waited that long;
//! - the kernel checks the trigger (EINVAL, EBUSY), as for its file in /proc, with the capabilities
//!   of the descriptor's opener;
//! - a container may open at most [`Share::MOST`] of these files for triggers: ENOSPC.
//!
//! Documentation/accounting/psi.rst.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;
use vistafs_cgroup::pressure::{PressureFile, Resource, Rule};
use vistafs_text::pressure;
use vistafs_view::{
    Channel, Context, Provider, Request, Source, View, ViewError, ViewSpec, inventory,
};

use crate::share::{Counted, Share};

/// Files that one container has open for triggers.
#[derive(Debug, Default)]
struct Triggers(Share);

impl AsRef<Share> for Triggers {
    fn as_ref(&self) -> &Share {
        &self.0
    }
}

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
    // For callers on the host.
    open: Arc<Triggers>,
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
        let any_window = request.may_have_any_window()?;
        Ok(Some(Box::new(self.trigger(request, any_window)?)))
    }

    /// The kernel checked the trigger when it was written, for the opener at that time; the current
    /// caller is irrelevant.
    fn channel_again(
        &self,
        request: &mut Request<'_>,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let Some((&any_window, text)) = lasting.split_first() else {
            return self.channel(request);
        };
        let trigger = self.trigger(request, any_window == ANY_WINDOW)?;
        trigger.set(text)?;
        Ok(Some(Box::new(trigger)))
    }
}

impl Pressure {
    fn trigger(&self, request: &Request<'_>, any_window: bool) -> Result<Trigger, ViewError> {
        let container = request.container();
        let open = container.map_or_else(|| Arc::clone(&self.open), |of| of.state());
        let counted = Counted::new(open).ok_or(ViewError::Answer(Errno::NOSPC))?;
        let file = request.open_pressure(self.resource, any_window)?;
        Ok(Trigger {
            file: file.ok_or(ViewError::Answer(Errno::OPNOTSUPP))?,
            in_proc: container.is_none(),
            any_window,
            set: OnceLock::new(),
            _counted: counted,
        })
    }
}

/// Prefix of the persistent state of a trigger whose setter may use any window; the text follows.
const ANY_WINDOW: u8 = b'*';
const WINDOWS_FOR_ALL: u8 = b'2';

/// A pressure file that takes one trigger.
#[derive(Debug)]
struct Trigger {
    file: PressureFile,
    in_proc: bool,
    any_window: bool,
    // The trigger that the kernel accepted.
    set: OnceLock<Vec<u8>>,
    _counted: Counted<Triggers>,
}

impl AsFd for Trigger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Channel for Trigger {
    fn write(&self, _: &mut Request<'_>, data: &[u8]) -> Result<usize, ViewError> {
        self.set(data)
    }

    fn lasting(&self) -> Option<Vec<u8>> {
        let how = if self.any_window {
            ANY_WINDOW
        } else {
            WINDOWS_FOR_ALL
        };
        self.set.get().map(|text| [&[how], &text[..]].concat())
    }
}

impl Trigger {
    fn set(&self, data: &[u8]) -> Result<usize, ViewError> {
        let text = pressure::as_in_proc(data);
        if self.in_proc {
            // The kernel uses the bytes of `text` up to a last byte that it ignores.
            let taken = self.file.write(data).map_err(ViewError::Answer)?;
            let _ = self.set.set(text);
            return Ok(taken);
        }
        if self.file.rule() == Rule::Ours && !is_for_all(&text) {
            return Err(ViewError::Answer(Errno::INVAL));
        }
        self.file.write(&text).map_err(ViewError::Answer)?;
        let _ = self.set.set(text);
        Ok(data.len())
    }
}

/// Whether the kernel accepts the trigger from unprivileged processes.
fn is_for_all(text: &[u8]) -> bool {
    pressure::window(text).is_some_and(|us| us.is_multiple_of(2_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

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
