//! Views of plugins: loading them, and what is told of that to whom.
//!
//! A plugin may end whoever loads it. A worker says beforehand which file it comes to, and its supervisor
//! leaves that out of what the next worker loads, until the file is another
//! (`core/daemon/src/supervise/plugins.rs`). A command has each file tried by another process first.
//!
//! A program that is built without plugins, or is static and so cannot load anything, loads none.

#[cfg(any(not(feature = "plugins"), target_feature = "crt-static"))]
#[path = "plugins/disabled.rs"]
mod imp;
#[cfg(all(feature = "plugins", not(target_feature = "crt-static")))]
#[path = "plugins/enabled.rs"]
mod imp;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::link::Link;

pub(crate) use imp::{try_plugin, views};

/// A file of a plugin, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginFile {
    /// Its path.
    pub(crate) path: String,
    /// Another one when the file is another, or was changed.
    pub(crate) mark: String,
}

/// A file that is not to be loaded as long as it is what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOut {
    /// Which.
    pub(crate) file: PluginFile,
    /// For `vistafs views`.
    pub(crate) why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = &self.why;
        write!(
            f,
            "left out: {why}; when it is mended or taken away, vistafs reload"
        )
    }
}

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
