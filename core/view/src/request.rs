//! One request: the caller and its container.

use std::sync::Arc;

use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use vistafs_cgroup::Hierarchies;
use vistafs_cgroup::pressure::{PressureFile, Resource};
use vistafs_container::Container;
use vistafs_host::{Credentials, Host, HostError, Owner, PidTranslation, Process, descriptors};

use crate::{Context, Policy, ViewError};

/// The caller of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// Thread ID in vistafs's pid namespace; 0 when it is not visible there.
    pub tid: u32,
    /// User ID in vistafs's user namespace.
    pub uid: u32,
    /// Group ID in vistafs's user namespace.
    pub gid: u32,
}

impl Asker {
    /// The administrator, reading through this process without a mount.
    #[must_use]
    pub fn administrator() -> Self {
        Self {
            tid: std::process::id(),
            uid: 0,
            gid: 0,
        }
    }
}

/// A request for more than the contents of a file.
///
/// Unlike a [`Context`], it may come from a process on the host, which sees the host's values.
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
    /// `container`: the container to show; `None`: the host. `scratch` is a buffer that the caller
    /// reuses.
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

    /// The caller.
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

    /// The caller's credentials.
    ///
    /// # Errors
    /// ESRCH for a caller that has ended; when the kernel's files about it cannot be parsed.
    pub fn credentials(&self) -> Result<Credentials, ViewError> {
        let ids = Owner {
            uid: self.asker.uid,
            gid: self.asker.gid,
        };
        Credentials::of_thread(self.host, self.asker.tid, ids).map_err(ended)
    }

    /// Translates between vistafs's process IDs and the caller's.
    ///
    /// # Errors
    /// As [`credentials`](Self::credentials).
    pub fn pid_translation(&self) -> Result<PidTranslation, ViewError> {
        PidTranslation::of_thread(self.host, self.asker.tid).map_err(ended)
    }

    /// The container to show; `None`: the host.
    #[must_use]
    pub fn container(&self) -> Option<&'a Arc<Container>> {
        self.container
    }

    /// Whether the caller may use triggers with any window (CAP_SYS_RESOURCE).
    ///
    /// # Errors
    /// ESRCH for a caller that has ended.
    pub fn may_have_any_window(&self) -> Result<bool, ViewError> {
        self.asker_has(CapabilitySet::SYS_RESOURCE)
    }

    /// Opens a pressure file for a trigger: the container's, or the host's own. `any_window`: the
    /// caller may use any window. `None`: the container has no such file.
    ///
    /// # Errors
    /// ENFILE when pressure files use half of vistafs's descriptors; the kernel's errno for a
    /// caller on the host; when an existing file cannot be opened.
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

    /// The policy of all views.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The context for rendering; `None`: the host's own file is shown.
    pub fn context(&mut self) -> Option<Context<'_>> {
        let container = self.container?;
        let context = Context::new(container, self.host, self.policy, self.scratch);
        Some(context.asked_by(self.asker))
    }
}

/// An error about the caller; an ended caller gets ESRCH and nothing is logged.
fn ended(error: HostError) -> ViewError {
    match error {
        HostError::NotFound { .. } => ViewError::Answer(Errno::SRCH),
        error => error.into(),
    }
}
