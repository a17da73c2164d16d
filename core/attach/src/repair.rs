//! `vistafs repair`: replaces the dead views of running containers.
//!
//! After the supervisor and the worker have died, each bind mount of a view returns ENOTCONN for ever, in
//! every mount namespace. When a new mount serves, the file of the same path in it is mounted over each dead
//! one, so that containers continue without a restart.
//!
//! | process | what it does |
//! |---|---|
//! | `vistafs repair` | lists the mount namespaces, passes them one by one to a worker, reports |
//! | `vistafs repair-worker` | enters them, finds dead mounts, covers them; may be killed at any time |
//!
//! | file | owns |
//! |---|---|
//! | `repair/inside.rs` | the work of the worker |
//! | `repair/look.rs` | finds dead mounts |
//! | `repair/row.rs` | the report |
//!
//! # What a container may try
//! A container controls its own mounts. So:
//! - A mount that looks like one of vistafs by type, source and options counts only if root of this host has mounted it,
//!   according to the kernel's own list of FUSE connections.
//! - On the way to a mount point, no file system is accessed unless the kernel itself implements it.
//!   Only a mount that has passed the test above is accessed, to find out whether it is dead; and by a
//!   worker that is killed if the access takes too long.
//! - A mount is identified by the ID in its line of mountinfo, and is held by descriptor; if the ID differs, it is left
//!   alone. Renames, links and later mounts lead nowhere else.
//! - A copy of a live view shows the path of the dead one, which a process bound that had the right
//!   to. Only paths below `at/`, and containers' own files, show more than the container itself;
//!   they are replaced only in namespaces of the host's user namespace, where only root can have mounted a FUSE file
//!   system of root's.
//! - The copies are private: they receive no mounts and pass none on.
//!
//! Mount namespaces without a process are not found.

mod inside;
mod look;
mod row;

use std::path::Path;

use crate::error::{Context as _, Result};
use crate::live::Live;
use crate::namespaces;
use crate::work::Work;

pub use inside::work;
pub use row::{Outcome, Row};

/// The scope of a repair.
#[derive(Debug, Default)]
pub struct Wanted<'w> {
    /// The processes whose mounts are repaired; empty: all.
    pub pids: &'w [u32],
    /// Only report what would be done.
    pub is_dry_run: bool,
}

/// Covers dead bind mounts with the files below `mount`; returns one row for each.
///
/// # Errors
/// When `mount` is not a live mount of vistafs, a process does not exist, or /proc cannot be read.
/// A failure in one container is a row.
pub fn repair(mount: &Path, wanted: &Wanted<'_>) -> Result<Vec<Row>> {
    // Reported once, not by the worker of each namespace.
    Live::open(mount)?;
    let namespaces = match wanted.pids {
        [] => namespaces::all().context("cannot look for mount namespaces in /proc")?,
        pids => namespaces::of(pids)?,
    };
    let mut words = vec!["repair-worker".into(), "--mount".into(), mount.into()];
    if wanted.is_dry_run {
        words.push("--dry-run".into());
    }
    let mut work = Work::new(words, Vec::new());
    for namespace in namespaces {
        work.on(&namespace)?;
    }
    Ok(work.end())
}

/// Logs a summary in one or two lines.
pub fn report(rows: &[Row]) {
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let (repaired, left) = (count(Outcome::Repaired), count(Outcome::Left));
    if repaired > 0 {
        log::info!("repaired {repaired} dead views of running containers");
    }
    if left > 0 {
        log::warn!(
            "{left} dead views of running containers are left (vistafs repair lists them with the reasons)"
        );
    }
}
