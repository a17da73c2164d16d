//! `vistafs attach` and `vistafs detach`: views in running containers, without a restart.
//!
//! | process | what it does |
//! |---|---|
//! | `vistafs attach` | selects mount namespaces, gives one after the other to a worker, reports |
//! | `vistafs attach-worker` | enters them, places or removes views; may be stopped at any time |
//!
//! | file | owns |
//! |---|---|
//! | `attach/select.rs` | which mount namespaces are meant, and how many at most |
//! | `attach/inside.rs` | what the worker does |
//! | `attach/row.rs` | the report |
//!
//! # Rules
//! - A view is placed only over the kernel's own file of its path, in a proc or sysfs of the
//!   container. A file that something else covers already is left alone.
//! - A place is reached through file systems of the kernel alone, is held by descriptor, and is
//!   identified by the number of its mount. Links are not followed.
//! - The view is the shared file of the mount, which shows each caller its own container. So a mount
//!   in the wrong place never shows another container's values.
//! - A view inherits the restrictions of the mount below it (`ro`, `nosuid`, …), receives no mounts
//!   and passes none on.
//! - Where the mount below passes mounts on to a mount of the host, nothing is placed.

mod inside;
mod row;
mod select;

use std::path::Path;

use crate::error::Result;
use crate::live::Live;
use crate::work::Work;

pub use inside::work;
pub use row::{Outcome, Row};
pub use select::Selector;

/// The operation on the views of the selected containers.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// The containers.
    pub of: Selector<'w>,
    /// The paths of the views, as `proc/meminfo`.
    pub views: &'w [&'w str],
    /// Remove views, instead of placing them.
    pub detach: bool,
    /// Only report what would be done.
    pub is_dry_run: bool,
}

/// Places or removes views of `mount`; what was done, one row for each view.
///
/// # Errors
/// When `mount` is not a live mount of vistafs, a selected process does not exist, or /proc cannot be
/// read. A failure with one container is a row.
pub fn attach(mount: &Path, wanted: &Wanted<'_>) -> Result<Vec<Row>> {
    // Reported once, and not by a worker for each namespace.
    Live::open(mount)?;
    let selected = wanted.of.select()?;
    let mut words = vec!["attach-worker".into(), "--mount".into(), mount.into()];
    if wanted.detach {
        words.push("--detach".into());
    }
    if wanted.is_dry_run {
        words.push("--dry-run".into());
    }
    let views = wanted.views.iter().map(|path| (*path).to_owned()).collect();
    let mut work = Work::new(words, views);
    for namespace in &selected.namespaces {
        work.on(namespace)?;
    }
    let mut rows = work.end();
    rows.extend(selected.left);
    Ok(rows)
}
