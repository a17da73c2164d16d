//! Loads the views of plugins.
//!
//! Loading a plugin may end the process. A worker reports each file before it loads it, and after a crash the
//! supervisor makes the next worker skip it, until the file changes
//! (`core/supervisor/src/plugins.rs`). A command tests each file in another process first.
//!
//! A program built without plugins, or a static one, which cannot load shared objects, loads none.

#[cfg(any(not(feature = "plugins"), target_feature = "crt-static"))]
#[path = "plugins/disabled.rs"]
mod imp;
#[cfg(all(feature = "plugins", not(target_feature = "crt-static")))]
#[path = "plugins/enabled.rs"]
mod imp;

use vistafs_supervisor::link::Link;
use vistafs_supervisor::plugins::LeftOut;

pub(crate) use imp::{try_plugin, views};

/// The process that loads plugins.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    any(not(feature = "plugins"), target_feature = "crt-static"),
    allow(dead_code, reason = "who would load, whatever is built")
)]
pub(crate) enum Loader<'l> {
    /// A worker.
    Worker {
        /// To the supervisor.
        link: &'l Link,
        /// Files that have ended workers.
        left_out: &'l [LeftOut],
    },
    /// A command, with or without a mount.
    Command {
        /// Files that have ended workers, as far as they are known.
        left_out: &'l [LeftOut],
    },
    /// The process that tests a file for a command.
    Trial,
}

impl Loader<'_> {
    /// A command without a running worker.
    pub(crate) const COMMAND: Self = Self::Command { left_out: &[] };
}
