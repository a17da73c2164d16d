//! The general sections: their keys, defaults and meaning.

use std::num::NonZeroU8;
use std::path::PathBuf;

use vistafs_attach::DEFAULT_MOUNT;
use vistafs_container::CpuPolicy;
use vistafs_view::Policy;

use super::reader::Reader;
use super::setting::{TextSize, Timeout, Ttl};

/// `[cpus]` and `[memory]`: settings of all views.
pub(super) fn policy(reader: &mut Reader<'_>) -> Policy {
    let default = Policy::default();
    let mut memory = reader.section("memory");
    let swap = memory.get(
        "swap",
        default.swap,
        "show swap to containers, in every view",
    );
    memory.end();
    let mut cpus = reader.section("cpus");
    let quota = cpus.get(
        "quota",
        default.cpus.quota,
        "a CPU quota reduces the number of visible CPUs",
    );
    let renumber = cpus.get(
        "renumber",
        default.cpus.renumber,
        "show the visible CPUs as 0, 1, 2, ...",
    );
    cpus.end();
    Policy {
        cpus: CpuPolicy { quota, renumber },
        swap,
    }
}

/// `[host]`.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) ttl_ms: u64,
}

impl Host {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("host");
        section.renamed("epoch_ms", "ttl_ms");
        let ttl_ms = section.get(
            "ttl_ms",
            20,
            "how long containers share the contents of a host file; 0: read it at every request",
        );
        section.end();
        Self { ttl_ms }
    }
}

/// `[page_cache]`.
#[derive(Debug)]
pub(super) struct PageCache {
    pub(super) ttl_ms: Ttl,
}

impl PageCache {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        reader.renamed("pinned", "[page_cache], and its `window_ms` is `ttl_ms`");
        let mut section = reader.section("page_cache");
        let ttl_ms = section.get(
            "ttl_ms",
            Ttl::default(),
            "how long the kernel may serve a container's own files from its page cache; 0: never",
        );
        section.end();
        Self { ttl_ms }
    }
}

/// `[fuse]`.
#[derive(Debug)]
pub(super) struct Fuse {
    pub(super) threads: Option<NonZeroU8>,
}

impl Fuse {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("fuse");
        let sample = NonZeroU8::MIN.saturating_add(3);
        let threads = section.optional(
            "threads",
            &sample,
            "serving threads; absent: one per CPU, 2 to 8",
        );
        section.end();
        Self { threads }
    }
}

/// `[worker]`.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) stuck_seconds: u32,
}

impl Worker {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("worker");
        let stuck_seconds = section.get(
            "stuck_seconds",
            10,
            "restart the worker if a request makes no progress for longer; 0: never",
        );
        section.end();
        Self { stuck_seconds }
    }
}

/// `[plugins]`.
#[derive(Debug)]
pub(super) struct Plugins {
    pub(super) timeout_ms: Timeout,
    pub(super) max_bytes: TextSize,
}

impl Plugins {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("plugins");
        let timeout_ms = section.get(
            "timeout_ms",
            Timeout::new(1000),
            "a plugin's view fails after this time; at most a quarter of stuck_seconds",
        );
        let max_bytes = section.get(
            "max_bytes",
            TextSize::new(1 << 20),
            "a plugin's view with longer contents fails",
        );
        section.end();
        Self {
            timeout_ms,
            max_bytes,
        }
    }
}

/// `[runtime]`: for `vistafs oci-runtime`.
#[derive(Debug)]
pub struct Runtime {
    /// The OCI runtime to execute; `None`: runc, else crun, in PATH.
    pub path: Option<PathBuf>,
    /// The mount point of vistafs.
    pub mount: PathBuf,
    /// Whether a container must not start without views.
    pub required: bool,
}

impl Runtime {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("runtime");
        let path = section.optional(
            "path",
            &PathBuf::from("/usr/sbin/runc"),
            "the runtime that vistafs oci-runtime executes; absent: runc or crun, the first in PATH",
        );
        let mount = section.get(
            "mount",
            PathBuf::from(DEFAULT_MOUNT),
            "the mount point of vistafs",
        );
        let required = section.get(
            "required",
            false,
            "refuse to create containers while vistafs is not serving",
        );
        section.end();
        Self {
            path,
            mount,
            required,
        }
    }
}

/// `[nri]`: for `vistafs nri`.
#[derive(Debug)]
pub struct Nri {
    /// Kubernetes namespaces; empty: all.
    pub namespaces: Vec<String>,
}

impl Nri {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("nri");
        let namespaces = section.get(
            "namespaces",
            Vec::new(),
            "Kubernetes namespaces to whose pods vistafs nri adds the views; empty: all",
        );
        section.end();
        Self { namespaces }
    }
}
