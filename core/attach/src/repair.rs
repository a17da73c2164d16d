//! `vistafs repair`: live views over the dead ones of running containers.
//!
//! When everything of vistafs has died, each bind mount of its files answers ENOTCONN for ever, in
//! every mount namespace. With a new mount served, each dead one is covered with the file of the same
//! path in the new one, at the very place, so that containers go on without a restart.
//!
//! | process | what it does |
//! |---|---|
//! | `vistafs repair` | finds the mount namespaces, gives one after the other to a worker, reports |
//! | `vistafs repair-worker` | enters them, finds what is dead, covers it; may be stopped at any time |
//!
//! | file | owns |
//! |---|---|
//! | `repair/inside.rs` | what the worker does |
//! | `repair/look.rs` | which mounts are dead |
//! | `repair/row.rs` | the report |
//!
//! # What a container could try
//! The mounts of a container are what it made of them. So:
//! - What looks like ours by type, source and options counts only if root of this host has mounted
//!   it, by the kernel's own list of FUSE connections. A dead one cannot be asked who it was.
//! - No file system is asked anything on the way to a mount point unless the kernel itself answers for
//!   it. The one question, whether it is dead, is put to what has passed the test above; and by a
//!   worker that is killed when it is silent for too long.
//! - What was found is the mount of that line of mountinfo, by its number, or it is left alone. It is
//!   mounted on by its descriptor: renames, links and mounts that come later lead nowhere else.
//! - A copy of a live view shows what the path of the dead one says, which was bound there by somebody
//!   who could. Only paths below `at/`, and containers' own files, show more than the container itself;
//!   they are mounted again in namespaces of the host's user namespace only, where nobody but root can have mounted a FUSE file
//!   system of root's.
//! - The copies receive no mounts and pass none on.
//!
//! Mount namespaces without a process are not seen.

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

/// What is to be repaired.
#[derive(Debug, Default)]
pub struct Wanted<'w> {
    /// What these processes see; empty: everything.
    pub pids: &'w [u32],
    /// Only tells what would be done.
    pub is_dry_run: bool,
}

/// Covers dead bind mounts with what is below `mount`; what was done, one row for each.
///
/// # Errors
/// When `mount` is not a live mount of vistafs, a process does not exist, or /proc cannot be read.
/// What goes wrong with one container is a row.
pub fn repair(mount: &Path, wanted: &Wanted<'_>) -> Result<Vec<Row>> {
    // Said once, and not by a worker for each namespace.
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

/// Tells the log in a line or two what was done.
pub fn report(rows: &[Row]) {
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let (repaired, left) = (count(Outcome::Repaired), count(Outcome::Left));
    if repaired > 0 {
        log::info!("repaired {repaired} dead views of running containers");
    }
    if left > 0 {
        log::warn!(
            "{left} dead views of running containers are left (vistafs repair tells which, and why)"
        );
    }
}
