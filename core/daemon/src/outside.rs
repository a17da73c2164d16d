//! The registry of all configured views: built-in ones, custom files and plugins.

use anyhow::{Context as _, bail};
use vistafs_view::{Origin, OutsideViews, Registry, Selection, Status};

use crate::plugins::{self, Loader};
use vistafs_config::Config;

/// Returns the registry of this configuration, on any host, for a command.
pub(crate) fn registry(config: &Config) -> anyhow::Result<Registry> {
    registry_with(config, config.selection(), Loader::COMMAND)
}

/// Returns a registry with another selection of views, for any process.
pub(crate) fn registry_with(
    config: &Config,
    selection: &Selection,
    loader: Loader<'_>,
) -> anyhow::Result<Registry> {
    check_files(config).context("the configuration cannot be used")?;
    Registry::with_outside(selection, views(config, selection, loader))
        .map_err(|error| config.located(&error))
        .context("the configuration cannot be used")
}

/// Returns the views that are not compiled in. Failures are logged, and do not affect other views.
fn views(config: &Config, selection: &Selection, loader: Loader<'_>) -> OutsideViews {
    let mut outside = plugins::views(config, selection, loader);
    outside.views.extend_from_slice(config.files());
    outside
}

/// Custom files that conflict with each other or with a built-in view are errors in the configuration.
/// Conflicts with a plugin are not: plugins come and go without a change of the configuration.
fn check_files(config: &Config) -> anyhow::Result<()> {
    if config.files().is_empty() {
        return Ok(());
    }
    let built_in = Registry::collect(&Selection::default())?;
    let is_ours = |name: &String| {
        let files = config.files().iter().map(|file| file.spec.name);
        let built_in = built_in.all().iter().map(|view| view.spec.name);
        files.chain(built_in).any(|known| known == name)
    };
    let is_a_file = |path: &String| config.files().iter().any(|file| file.spec.path == path);
    let asked = config.selection();
    let selection = Selection {
        enable: asked
            .enable
            .iter()
            .filter(|name| is_ours(name))
            .cloned()
            .collect(),
        disable: asked
            .disable
            .iter()
            .filter(|name| is_ours(name))
            .cloned()
            .collect(),
        replace: asked
            .replace
            .iter()
            .filter(|path| is_a_file(path))
            .cloned()
            .collect(),
        ..Selection::default()
    };
    let files = OutsideViews {
        views: config.files().to_vec(),
        refused: Vec::new(),
    };
    let registry =
        Registry::with_outside(&selection, files).map_err(|error| config.located(&error))?;
    for view in registry.all() {
        if let (Origin::Configuration { file, line }, Status::Refused(why)) =
            (&view.origin, &view.status)
        {
            bail!(
                "{}: line {line}: [[file]] {}: {why}",
                file.display(),
                view.spec.path
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
