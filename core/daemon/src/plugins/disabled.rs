//! The implementation for a program without plugins.

use std::path::Path;

use anyhow::bail;
use vistafs_view::{Origin, OutsideViews, Refusal, Selection};

use super::Loader;
use vistafs_config::Config;

/// Returns no views; logs each existing plugin directory.
pub(crate) fn views(config: &Config, _: &Selection, _: Loader<'_>) -> OutsideViews {
    let there = config.plugin_dirs().iter().filter(|path| path.is_dir());
    OutsideViews {
        views: Vec::new(),
        refused: there
            .map(|path| Refusal {
                origin: Origin::Plugin(path.clone()),
                why: "this vistafs was built without plugins".into(),
                is_told: false,
            })
            .collect(),
    }
}

/// Never called.
pub(crate) fn try_plugin(_: &Path, _: &Config) -> anyhow::Result<u8> {
    bail!("this vistafs was built without plugins")
}
