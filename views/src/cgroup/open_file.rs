//! A cgroup file that is open for writing or polling.
//!
//! It is the kernel's own file, opened with the caller's credentials, so that the kernel later
//! checks the opener; writes use the writer's credentials.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use rustix::thread::CapabilitySet;
use vistafs_cgroup::{Cgroup, Role};
use vistafs_host::{Dir, Owner, Process};
use vistafs_view::{Access, Channel, Errno, MOST_LASTING, Request, ViewError};

use super::{judged, tasks};
use crate::share::{Counted, Share};

/// Maximum number of such files of one container.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Share);

impl AsRef<Share> for OpenFiles {
    fn as_ref(&self) -> &Share {
        &self.0
    }
}

/// One open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// The kernel's file.
    pub(super) file: OwnedFd,
    /// Requested access.
    pub(super) access: Access,
    /// Its directory.
    pub(super) directory: Dir,
    /// The container's own cgroup; `None`: it was opened by a caller on the host.
    pub(super) cgroup: Option<Arc<Cgroup>>,
    /// Its purpose.
    pub(super) role: Role,
    /// Persistent written state: a trigger. `None`: there is none.
    pub(super) trigger: Option<OnceLock<Vec<u8>>>,
    /// Owner of the file at opening.
    pub(super) owner: Owner,
    /// Counts against the container's share of descriptors.
    pub(super) _counted: Counted<OpenFiles>,
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Channel for OpenFile {
    fn write(&self, request: &mut Request<'_>, data: &[u8]) -> Result<usize, ViewError> {
        let credentials = request.credentials()?;
        let write = |data: &[u8], also| {
            let write = || rustix::io::write(&self.file, data);
            judged(credentials.act_on_with(self.owner, also, write))
        };
        if !self.role.is_of_tasks() {
            let taken = write(data, CapabilitySet::empty())?;
            if let Some(trigger) = self.trigger.as_ref().filter(|_| data.len() <= MOST_LASTING) {
                let _ = trigger.set(data.to_vec());
            }
            return Ok(taken);
        }
        let task = tasks::meant(request, self.cgroup.as_ref(), data)?;
        // Held open, so that later facts never refer to a reused ID.
        let moved = Process::open(request.host(), task).map_err(tasks::ended)?;
        if let Some(cgroup) = &self.cgroup {
            tasks::may_join(cgroup, &credentials, &moved, &self.directory)?;
        }
        let also = tasks::power_over(&credentials, &moved)?;
        // The kernel takes only an ID.
        tasks::ensure_there(&moved)?;
        write(task.to_string().as_bytes(), also)?;
        // The task may have ended while it waited in the kernel.
        tasks::ensure_there(&moved).inspect_err(|_| {
            log::warn!(
                "task {task} ended while it was moved to {}: if another task has its number now, that one may \
                 have been moved (look at its /proc/{task}/cgroup)",
                self.directory.path().display()
            );
        })?;
        Ok(data.len())
    }

    fn lasting(&self) -> Option<Vec<u8>> {
        self.trigger.as_ref()?.get().cloned()
    }

    /// A polled file reports an event until the same descriptor reads it.
    fn read(&self, request: &mut Request<'_>, out: &mut Vec<u8>) -> Option<Result<(), ViewError>> {
        if !self.access.read {
            return None;
        }
        if !self.role.is_of_tasks() {
            return Some(self.read_whole(out));
        }
        let mut text = Vec::new();
        let read = self.read_whole(&mut text);
        Some(read.and_then(|()| tasks::push_list(request, &text, out)))
    }
}

impl OpenFile {
    fn read_whole(&self, out: &mut Vec<u8>) -> Result<(), ViewError> {
        vistafs_host::read_whole(&self.file, out).map_err(|errno| match errno {
            // As for the kernel's file of a removed cgroup.
            Errno::NOENT => ViewError::Answer(Errno::NODEV),
            errno => ViewError::Answer(errno),
        })
    }
}
