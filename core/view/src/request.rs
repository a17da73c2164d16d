//! One request of a caller: who asks, and whose numbers it is shown.

use std::sync::Arc;

use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use vistafs_cgroup::Hierarchies;
use vistafs_cgroup::pressure::{PressureFile, Resource};
use vistafs_container::Container;
use vistafs_host::{Credentials, Host, HostError, Owner, PidTranslation, Process, descriptors};

use crate::{Context, Policy, ViewError};

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// Thread number in vistafs's pid namespace; 0 when it is not visible there.
    pub tid: u32,
    /// User number in vistafs's user namespace.
    pub uid: u32,
    /// Group number in vistafs's user namespace.
    pub gid: u32,
}

impl Asker {
    /// Who reads by way of this process without a mount: its administrator.
    #[must_use]
    pub fn administrator() -> Self {
        Self {
            tid: std::process::id(),
            uid: 0,
            gid: 0,
        }
    }
}

/// A request for more than the text of a file.
///
/// Unlike a [`Context`], it may come from a process on the host, which is shown what the host has.
#[derive(Debug)]
pub struct Request<'a> {
    asker: Asker,
    container: Option<&'a Arc<Container>>,
    host: &'a Arc<Host>,
    hierarchies: &'a Arc<Hierarchies>,
    policy: Policy,
    scratch: &'a mut Vec<u8>,
}

impl<'a> Request<'a> {
    /// `container`: whose numbers are shown; `None`: the host's. `scratch` is a buffer that the
    /// caller keeps for the next one.
    #[must_use]
    pub fn new(
        asker: Asker,
        container: Option<&'a Arc<Container>>,
        (host, hierarchies): (&'a Arc<Host>, &'a Arc<Hierarchies>),
        policy: Policy,
        scratch: &'a mut Vec<u8>,
    ) -> Self {
        Self {
            asker,
            container,
            host,
            hierarchies,
            policy,
            scratch,
        }
    }

    /// Who asks.
    #[must_use]
    pub fn asker(&self) -> Asker {
        self.asker
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &'a Arc<Host> {
        self.host
    }

    /// The host's cgroup hierarchies.
    #[must_use]
    pub fn hierarchies(&self) -> &'a Arc<Hierarchies> {
        self.hierarchies
    }

    /// What the asker may do.
    ///
    /// # Errors
    /// ESRCH for an asker that has ended; when the kernel's files about it cannot be understood.
    pub fn credentials(&self) -> Result<Credentials, ViewError> {
        let ids = Owner {
            uid: self.asker.uid,
            gid: self.asker.gid,
        };
        Credentials::of_thread(self.host, self.asker.tid, ids).map_err(ended)
    }

    /// Between vistafs's process numbers and those that the asker knows.
    ///
    /// # Errors
    /// As [`credentials`](Self::credentials).
    pub fn pid_translation(&self) -> Result<PidTranslation, ViewError> {
        PidTranslation::of_thread(self.host, self.asker.tid).map_err(ended)
    }

    /// Whose numbers are shown; `None`: the host's.
    #[must_use]
    pub fn container(&self) -> Option<&'a Arc<Container>> {
        self.container
    }

    /// Whether the asker may have triggers with any window (CAP_SYS_RESOURCE).
    ///
    /// # Errors
    /// ESRCH for an asker that has ended.
    pub fn may_have_any_window(&self) -> Result<bool, ViewError> {
        self.asker_has(CapabilitySet::SYS_RESOURCE)
    }

    /// Opens a pressure file for a trigger: the container's, or the host's own. `any_window`: of one who
    /// may have any. `None`: the container has none.
    ///
    /// # Errors
    /// ENFILE when vistafs has given out so many descriptors that the rest is for others; what the
    /// kernel answers a caller on the host; when a file that is there cannot be opened.
    pub fn open_pressure(
        &self,
        resource: Resource,
        any_window: bool,
    ) -> Result<Option<PressureFile>, ViewError> {
        let file = match self.container {
            Some(container) => container.open_pressure(resource, any_window)?,
            None => {
                let opened = PressureFile::of_host(self.host, resource, any_window);
                Some(opened.map_err(ViewError::Answer)?)
            }
        };
        if file.as_ref().is_some_and(descriptors::are_scarce) {
            return Err(ViewError::Answer(Errno::NFILE));
        }
        Ok(file)
    }

    fn asker_has(&self, capability: CapabilitySet) -> Result<bool, ViewError> {
        let asker = Process::open(self.host, self.asker.tid);
        let has = asker.and_then(|asker| asker.has_capability(capability));
        has.map_err(ended)
    }

    /// What holds for all views alike.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// What a view renders from; `None`: what the host has is shown.
    pub fn context(&mut self) -> Option<Context<'_>> {
        let container = self.container?;
        let context = Context::new(container, self.host, self.policy, self.scratch);
        Some(context.asked_by(self.asker))
    }
}

/// An error about the asker: that he has ended is an answer to him.
fn ended(error: HostError) -> ViewError {
    match error {
        HostError::NotFound { .. } => ViewError::Answer(Errno::SRCH),
        error => error.into(),
    }
}
