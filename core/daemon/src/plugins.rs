//! Views of plugins: loading them, and what is told of that to whom.
//!
//! A plugin may end whoever loads it. A worker says beforehand which file it comes to, and its supervisor
//! leaves that out of what the next worker loads, until the file is another
//! (`core/supervisor/src/plugins.rs`). A command has each file tried by another process first.
//!
//! A program that is built without plugins, or is static and so cannot load anything, loads none.

#[cfg(any(not(feature = "plugins"), target_feature = "crt-static"))]
#[path = "plugins/disabled.rs"]
mod imp;
#[cfg(all(feature = "plugins", not(target_feature = "crt-static")))]
#[path = "plugins/enabled.rs"]
mod imp;

use vistafs_supervisor::link::Link;
use vistafs_supervisor::plugins::LeftOut;

pub(crate) use imp::{try_plugin, views};

/// Who loads plugins.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    any(not(feature = "plugins"), target_feature = "crt-static"),
    allow(dead_code, reason = "who would load, whatever is built")
)]
pub(crate) enum Loader<'l> {
    /// A worker.
    Worker {
        /// To whoever starts the next one.
        link: &'l Link,
        /// What has ended workers before.
        left_out: &'l [LeftOut],
    },
    /// A command, beside or without a mount.
    Command {
        /// What has ended workers, as far as is known.
        left_out: &'l [LeftOut],
    },
    /// The process that tries a file for a command.
    Trial,
}

impl Loader<'_> {
    /// A command that knows of no worker.
    pub(crate) const COMMAND: Self = Self::Command { left_out: &[] };
}
