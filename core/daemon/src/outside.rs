//! All views that the configuration asks for: the built-in ones, and those from outside.

use anyhow::Context as _;
use vistafs_view::{OutsideViews, Registry};

use crate::config::Config;

/// The registry of this configuration, on any host.
pub(crate) fn registry(config: &Config) -> anyhow::Result<Registry> {
    Registry::with_outside(config.selection(), views(config))
        .map_err(|error| config.located(&error))
        .context("the configuration cannot be used")
}

/// The views that are not compiled in. What cannot be made is told, and does not stop the rest.
fn views(_config: &Config) -> OutsideViews {
    OutsideViews::default()
}
