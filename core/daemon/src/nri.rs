//! `vistafs nri`: an NRI plugin, by which containerd and CRI-O give the views to each container.
//!
//! The runtime asks about each container before it creates it, and the plugin adds the hook of
//! `vistafs oci-hook`, or bind mounts. Containers that were created without the plugin get their views as
//! `vistafs attach` places them: at each connection, and when they start.
//!
//! A lost connection is made again, so the runtime and vistafs may restart in any order. While vistafs does
//! not answer, containers are created without views, and get them when it answers: a hook that waits for it would
//! keep them from starting.
//!
//! | file | owns |
//! |---|---|
//! | `args.rs` | the command line |
//! | `policy.rs` | which containers get the views |
//! | `changes.rs` | the hook or the mounts for a container |
//! | `views.rs` | answering the runtime |
//! | `probe.rs` | whether vistafs answers, within a time limit |
//! | `running.rs` | the thread that places views in running containers |

mod args;
mod changes;
mod policy;
mod probe;
mod running;
mod views;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use vistafs_nri::{Identity, serve};

pub(crate) use args::NriArgs;
use views::Views;
use vistafs_config::Config;
use vistafs_supervisor::error_text::in_one_line;

/// The first wait after a lost connection. Each failure doubles it.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Serves until a signal ends the process.
pub(crate) fn nri(
    args: &NriArgs,
    config: &Config,
    config_file: Option<&Path>,
) -> anyhow::Result<u8> {
    let identity = Identity {
        name: args.name.clone(),
        index: args.index.clone(),
    };
    let mut views = Views::new(args, config, config_file)?;
    let mut wait = FIRST;
    let mut reported = String::new();
    loop {
        let ended = connect(&args.socket)
            .and_then(|stream| Ok(serve(&stream, &identity, &mut views)?))
            .map_or_else(
                |error| in_one_line(&error),
                |()| "the runtime closed it".to_owned(),
            );
        if views.take_configured() {
            wait = FIRST;
            reported.clear();
        }
        // A cause that repeats is logged once.
        if reported != ended {
            let socket = args.socket.display();
            log::warn!("no connection to the runtime at {socket}: {ended}; retrying");
            reported = ended;
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(LONGEST);
    }
}

/// Connects to a runtime of root: its answers name processes whose namespaces are entered.
fn connect(socket: &Path) -> anyhow::Result<UnixStream> {
    let stream = UnixStream::connect(socket).with_context(|| {
        "cannot connect (start the runtime; containerd 1.7 listens with disable = false in \
         [plugins.\"io.containerd.nri.v1.nri\"], CRI-O with enable_nri = true in [crio.nri])"
    })?;
    let peer = rustix::net::sockopt::socket_peercred(&stream)
        .context("cannot find the user that listens there")?;
    let (owner, own) = (peer.uid, rustix::process::geteuid());
    if !owner.is_root() && owner != own {
        bail!(
            "user {} listens there, not root (chown root the directory of the socket)",
            owner.as_raw()
        );
    }
    Ok(stream)
}
