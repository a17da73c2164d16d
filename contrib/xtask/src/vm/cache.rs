//! The cache of built images, and when they are rebuilt.
//!
//! An image is in a directory named after the hash of its recipe: a changed recipe is another image, and an
//! old checkout still finds its own. Old directories are not removed, since another checkout may be booting
//! from one. The whole cache can be deleted at any time.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run;

/// `$VISTAFS_VM_CACHE`, or the user's cache directory: never in the source tree, which `cargo clean` and `git
/// clean` would empty.
fn dir() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("VISTAFS_VM_CACHE") {
        return Ok(dir.into());
    }
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let home = env::var_os("HOME").context("neither VISTAFS_VM_CACHE nor HOME is set")?;
            Path::new(&home).join(".cache")
        }
    };
    Ok(base.join("vistafs/vm"))
}

/// The directory that `build` fills from `recipe`; built if it does not exist.
///
/// Two processes may build the same image at the same time, each under its own name. The last one to rename
/// finds the other's result and uses that. A second thread waits for the first.
pub(super) fn built(
    name: &str,
    recipe: &[&str],
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    let lock = lock_of(name);
    let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = dir()?;
    let done = dir.join(format!("{name}-{:016x}", hasher.finish()));
    if done.is_dir() {
        return Ok(done);
    }
    if !run::is_root() {
        bail!("the {name} image is not built, and only root can build one");
    }
    let started = Instant::now();
    run::progress(&format!("vm: building {}", done.display()));
    let work = dir.join(format!(".building-{name}-{}", process::id()));
    fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
    let outcome = build(&work).and_then(|()| match fs::rename(&work, &done) {
        Err(_) if done.is_dir() => Ok(()),
        other => other.with_context(|| format!("renaming to {}", done.display())),
    });
    if work.is_dir() {
        fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))?;
    }
    outcome.with_context(|| format!("building the {name} image"))?;
    run::progress(&format!("vm: {name} built in {:.1?}", started.elapsed()));
    Ok(done)
}

/// Held while this process builds the image of that name.
fn lock_of(name: &str) -> Arc<Mutex<()>> {
    static LOCKS: Mutex<BTreeMap<String, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(locks.entry(name.to_owned()).or_default())
}

#[cfg(test)]
mod tests {
    use super::lock_of;

    #[test]
    fn one_name_is_one_lock() {
        let root = lock_of("root");
        let _held = root.lock();
        assert!(lock_of("root").try_lock().is_err());
        assert!(lock_of("hosts").try_lock().is_ok());
    }
}
