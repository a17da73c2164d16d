//! One request of a caller: who asks, and whose numbers it is shown.

use std::sync::Arc;

use vistafs_container::Container;
use vistafs_host::Host;

use crate::{Context, Policy};

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

/// A request for more than the text of a file.
///
/// Unlike a [`Context`], it may come from a process on the host, which is shown what the host has.
#[derive(Debug)]
pub struct Request<'a> {
    asker: Asker,
    container: Option<&'a Arc<Container>>,
    host: &'a Arc<Host>,
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
        host: &'a Arc<Host>,
        policy: Policy,
        scratch: &'a mut Vec<u8>,
    ) -> Self {
        Self {
            asker,
            container,
            host,
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

    /// Whose numbers are shown; `None`: the host's.
    #[must_use]
    pub fn container(&self) -> Option<&'a Arc<Container>> {
        self.container
    }

    /// What a view renders from; `None`: what the host has is shown.
    pub fn context(&mut self) -> Option<Context<'_>> {
        let container = self.container?;
        Some(Context::new(
            container,
            self.host,
            self.policy,
            self.scratch,
        ))
    }
}
