//! Finds the real runtime.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The default runtimes, in order of preference.
const NAMES: [&str; 2] = ["runc", "crun"];

/// Returns the configured runtime, or the first of runc and crun in PATH. Links to vistafs are skipped:
/// it would execute itself for ever.
pub(super) fn find(configured: Option<&Path>) -> anyhow::Result<PathBuf> {
    let own = std::fs::metadata("/proc/self/exe")
        .context("cannot look at /proc/self/exe (is /proc mounted?)")?;
    let is_own = |path: &Path| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()))
    };
    if let Some(path) = configured {
        if is_own(path) {
            bail!(
                "[runtime] path is {}, which is vistafs itself (name the real runtime)",
                path.display()
            );
        }
        return Ok(path.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        .find(|path| {
            rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
                && path.is_file()
                && !is_own(path)
        })
        .context("no runc and no crun is on PATH (install one, or set [runtime] path in the configuration)")
}
