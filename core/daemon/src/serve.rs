//! A mount that is being served.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use fuser::{Session, SessionACL};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use vistafs_dispatch::VistaFs;

use crate::config::Config;
use crate::engine::Engine;
use crate::fuse_mount::FuseMount;

/// A served mount. Unmounts at drop; its threads end when the last user of the mount is gone, or
/// with the process.
#[derive(Debug)]
pub(crate) struct Serving {
    _mount: FuseMount,
}

impl Serving {
    /// Mounts and serves in background threads; the mount answers when this returns. `at_end` is
    /// called when serving ends by itself: somebody else has unmounted it.
    pub(crate) fn start(
        mount_point: &Path,
        config: &Config,
        at_end: impl FnOnce() + Send + 'static,
    ) -> anyhow::Result<Self> {
        raise_open_files_limit();
        let engine = Engine::start(config)?;
        let (mut mount, device) = FuseMount::new(mount_point)?;
        serve(device, &engine, config.threads(), at_end)?;
        mount.recognise()?;
        Ok(Self { _mount: mount })
    }
}

fn serve(
    device: OwnedFd,
    engine: &Engine,
    threads: usize,
    at_end: impl FnOnce() + Send + 'static,
) -> anyhow::Result<()> {
    let mut config = fuser::Config::default();
    config.n_threads = Some(threads);
    config.acl = SessionACL::All;
    // One shared descriptor: clones would lose requests when a worker dies.
    config.clone_fd = false;
    let file_system = VistaFs::new(Arc::clone(&engine.dispatcher));
    let session = Session::from_fd(file_system, device, SessionACL::All, config)
        .context("the kernel did not answer on /dev/fuse")?;
    let run = move || {
        if let Err(error) = session.run() {
            log::error!("serving ended: {error}");
        }
        at_end();
    };
    std::thread::Builder::new()
        .name("serve".into())
        .spawn(run)
        .context("cannot start a thread")?;
    Ok(())
}

/// Kernel files of each container are kept open.
fn raise_open_files_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(errno) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        log::warn!("cannot raise the limit of open files to {hard}: {errno}");
    }
}
