//! Serves: in this process with a new mount, or on an inherited device.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use fuser::Session;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use vistafs_dispatch::VistaFs;

use crate::adopt;
use crate::engine::Engine;
use vistafs_config::Config;
use vistafs_supervisor::fuse_init;
use vistafs_supervisor::fuse_mount::FuseMount;

/// A served mount. It is unmounted on drop; its threads exit when the mount has no users any more, or with the
/// process.
#[derive(Debug)]
pub(crate) struct Serving {
    _mount: FuseMount,
}

impl Serving {
    /// Mounts and serves in background threads; the mount can be used when this returns.
    pub(crate) fn start(mount_point: &Path, config: &Config) -> anyhow::Result<Self> {
        raise_open_files_limit();
        let engine = Engine::start(config)?;
        let (mount, device) = FuseMount::new(mount_point)?;
        let init = fuse_init::read_init(&device)?;
        let (session, _) = session(&device, &init, &engine, config.threads())?;
        drop(device);
        serve(session, || {})?;
        Ok(Self { _mount: mount })
    }
}

/// A session that does not read yet, and its reply to FUSE_INIT.
pub(crate) fn session(
    device: &OwnedFd,
    init: &[u8],
    engine: &Engine,
    threads: usize,
) -> anyhow::Result<(Session<VistaFs>, Vec<u8>)> {
    let file_system = VistaFs::new(Arc::clone(&engine.dispatcher));
    adopt::session(file_system, device, init, threads)
}

/// Serves in background threads. `at_end` is called when serving ends by itself: the file system is not
/// mounted any more, or the connection was aborted.
pub(crate) fn serve(
    session: Session<VistaFs>,
    at_end: impl FnOnce() + Send + 'static,
) -> anyhow::Result<()> {
    let run = move || {
        if let Err(error) = session.run() {
            log::error!("serving ended: {error} (the supervisor starts another worker)");
        }
        at_end();
    };
    std::thread::Builder::new()
        .name("serve".into())
        .spawn(run)
        .context("cannot start a thread")?;
    Ok(())
}

/// The kernel's default maximum for a process: some 20 for each of 50,000 containers.
const OPEN_FILES: u64 = 1 << 20;

/// Raises the limit: kernel files of each container stay open.
pub(crate) fn raise_open_files_limit() {
    // Above the hard limit it needs CAP_SYS_RESOURCE, and fs.nr_open may be lower.
    if setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES).is_ok() {
        return;
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(errno) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        log::warn!(
            "cannot raise the limit of open files to {hard}: {errno} (set LimitNOFILE=1048576 in the \
             unit; without it files of many containers are opened for each reading)"
        );
    }
}
