//! The data behind the context of a call.
//!
//! It belongs to the call, so it lives as long as the thread inside the plugin, even if the caller
//! has given up.

use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use vistafs_cgroup::{Cgroup, Version};
use vistafs_container::Container;
use vistafs_host::Host;
use vistafs_plugin_abi as abi;
use vistafs_view::{Asker, Context, Errno, Policy, Request};

use crate::plugin::Loaded;

/// Longer than any reasonable explanation.
const LONGEST: usize = 1000;

/// The caller, its container, and the host.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) loaded: &'static Loaded,
    pub(crate) asker: Asker,
    pub(crate) container: Option<Arc<Container>>,
    pub(crate) host: Arc<Host>,
    pub(crate) policy: Policy,
    explained: Mutex<Option<String>>,
    name: OnceLock<Vec<u8>>,
}

impl Scene {
    pub(crate) fn of_context(loaded: &'static Loaded, cx: &Context<'_>) -> Self {
        let nobody = Asker {
            tid: 0,
            uid: 0,
            gid: 0,
        };
        Self {
            loaded,
            asker: cx.asker().unwrap_or(nobody),
            container: Some(Arc::clone(cx.shared_container())),
            host: Arc::clone(cx.shared_host()),
            policy: cx.policy(),
            explained: Mutex::default(),
            name: OnceLock::new(),
        }
    }

    pub(crate) fn of_request(loaded: &'static Loaded, request: &Request<'_>) -> Self {
        Self {
            loaded,
            asker: request.asker(),
            container: request.container().map(Arc::clone),
            host: Arc::clone(request.host()),
            policy: request.policy(),
            explained: Mutex::default(),
            name: OnceLock::new(),
        }
    }

    /// Only [`Scene::of`] may dereference it.
    pub(crate) fn as_context(&self) -> *const abi::Context {
        std::ptr::from_ref(self).cast()
    }

    /// The inverse of [`Scene::as_context`].
    ///
    /// # Safety
    /// The pointer is null or from `as_context`, and still valid.
    pub(crate) unsafe fn of<'s>(context: *const abi::Context) -> Result<&'s Self, Errno> {
        // SAFETY: what the caller promises.
        unsafe { context.cast::<Self>().as_ref() }.ok_or(Errno::FAULT)
    }

    /// The container; ENOENT: the caller sees the host's values.
    pub(crate) fn container(&self) -> Result<&Arc<Container>, Errno> {
        self.container.as_ref().ok_or(Errno::NOENT)
    }

    /// Name of the container.
    pub(crate) fn name(&self) -> &[u8] {
        self.name.get_or_init(|| {
            let path = self.container.as_ref().map(|container| container.path());
            path.map_or_else(Vec::new, |path| path.as_os_str().as_bytes().to_vec())
        })
    }

    /// The container's cgroup in the hierarchy of a controller.
    pub(crate) fn cgroup(&self, controller: &str) -> Result<&Arc<Cgroup>, Errno> {
        let located = self.container()?.cgroups();
        let v1 = located
            .iter()
            .find(|cgroup| cgroup.hierarchy().has_controller(controller));
        let v2 = || {
            located
                .iter()
                .find(|cgroup| cgroup.version() == Version::V2)
        };
        v1.or_else(v2).ok_or(Errno::NODEV)
    }

    /// Explanation of the failure of the call.
    pub(crate) fn explain(&self, why: &[u8]) {
        let why = why.get(..LONGEST).unwrap_or(why);
        let why = String::from_utf8_lossy(why)
            .trim_end()
            .escape_debug()
            .to_string();
        *self.explained.lock() = Some(why);
    }

    pub(crate) fn explained(&self) -> Option<String> {
        self.explained.lock().take()
    }
}
