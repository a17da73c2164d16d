//! Reads and replaces config.json, in the bundle or beside it.
//!
//! A read-only bundle gets a copy: a directory below [`COPIES`] with the changed config.json, an
//! absolute path to the root file system (runc refuses a link), and links to the other files of the
//! bundle, because mount sources may be relative to it. The name is a hash of the bundle's path, so there is one copy per bundle. Copies whose
//! bundle is gone are removed when the next one is created.

use std::fs::{DirBuilder, File};
use std::hash::Hasher as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::value::RawValue;

/// The directory of copies on a host; for other users it is below `XDG_RUNTIME_DIR`.
const COPIES: &str = "vistafs/bundles";
/// The link in a copy to the bundle.
const ORIGINAL: &str = "original";
const CONFIG: &str = "config.json";
/// Maximum number of links: engines put a few files into a bundle.
const MOST_LINKS: usize = 1024;
/// Maximum length in bytes: configurations have some ten thousand.
const LARGEST: u64 = 16 << 20;

/// The bundle to pass to the runtime.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// The bundle itself.
    InPlace,
    /// This copy.
    Copy(PathBuf),
}

/// Reads the configuration of a bundle; returns the file and its text.
pub(super) fn read(bundle: &Path, config: Option<&Path>) -> anyhow::Result<(PathBuf, String)> {
    let file = bundle.join(config.unwrap_or(Path::new(CONFIG)));
    let shown = file.display().to_string();
    let mut text = String::new();
    let opened =
        File::open(&file).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
    opened.with_context(|| format!("cannot read {shown}"))?;
    if text.len() as u64 > LARGEST {
        bail!("{shown} is longer than {LARGEST} bytes");
    }
    Ok((file, text))
}

/// Makes the runtime read `changed` instead of the contents of `file`.
pub(super) fn replace(bundle: &Path, file: &Path, changed: &str) -> anyhow::Result<Changed> {
    match in_place(file, changed) {
        Ok(()) => Ok(Changed::InPlace),
        Err(error) if is_named_elsewhere(bundle, file) => {
            Err(error).with_context(|| format!("cannot replace {}", file.display()))
        }
        Err(error) => {
            log::debug!("cannot replace {}: {error}", file.display());
            copy(bundle, changed).map(Changed::Copy)
        }
    }
}

/// A copy would not have the file of crun's `--config`.
fn is_named_elsewhere(bundle: &Path, file: &Path) -> bool {
    file != bundle.join(CONFIG)
}

/// Replaces the file atomically, with its owner and mode.
fn in_place(file: &Path, changed: &str) -> std::io::Result<()> {
    let old = std::fs::symlink_metadata(file)?;
    if !old.is_file() {
        // Replacing a symbolic link would not change its target.
        return Err(ErrorKind::InvalidInput.into());
    }
    let name = format!(".{}.vistafs-{}", CONFIG, std::process::id());
    let new = file.with_file_name(name);
    let made = File::options()
        .write(true)
        .create_new(true)
        .mode(old.mode() & 0o7777)
        .open(&new)
        .and_then(|mut to| {
            to.write_all(changed.as_bytes())?;
            std::os::unix::fs::fchown(&to, Some(old.uid()), Some(old.gid()))?;
            to.set_permissions(old.permissions())
        })
        .and_then(|()| std::fs::rename(&new, file));
    if made.is_err() {
        // It may not have been created.
        let _ = std::fs::remove_file(&new);
    }
    made
}

fn copy(bundle: &Path, changed: &str) -> anyhow::Result<PathBuf> {
    let changed = with_absolute_root(bundle, changed)?;
    let run = match rustix::process::geteuid().is_root() {
        true => Some("/run".into()),
        false => std::env::var_os("XDG_RUNTIME_DIR"),
    };
    let copies = PathBuf::from(run.context("XDG_RUNTIME_DIR is not set")?).join(COPIES);
    let mut builder = DirBuilder::new();
    let private = builder.recursive(true).mode(0o700);
    private
        .create(&copies)
        .with_context(|| format!("cannot make {}", copies.display()))?;
    sweep(&copies);
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(bundle.as_os_str().as_bytes());
    let own = copies.join(format!("{:016x}", hasher.finish()));
    let made = private.create(&own).and_then(|()| {
        match std::os::unix::fs::symlink(bundle, own.join(ORIGINAL)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }?;
        link_all(bundle, &own)?;
        let new = own.join(format!(".{CONFIG}-{}", std::process::id()));
        std::fs::write(&new, changed)?;
        std::fs::rename(&new, own.join(CONFIG))
    });
    made.with_context(|| format!("cannot make a second bundle in {}", own.display()))?;
    Ok(own)
}

/// Creates links to the other files of a bundle.
fn link_all(bundle: &Path, own: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(bundle)?.take(MOST_LINKS) {
        let entry = entry?;
        let name = entry.file_name();
        if name == CONFIG || name == ORIGINAL {
            continue;
        }
        match std::os::unix::fs::symlink(entry.path(), own.join(name)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes copies whose bundles are gone.
fn sweep(copies: &Path) {
    for entry in std::fs::read_dir(copies).into_iter().flatten().flatten() {
        let own = entry.path();
        let original = std::fs::read_link(own.join(ORIGINAL));
        let is_gone = original.is_ok_and(|original| {
            let found = std::fs::symlink_metadata(original);
            found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
        });
        if is_gone {
            // Another process may be removing it.
            let _ = std::fs::remove_dir_all(own);
        }
    }
}

#[derive(serde::Deserialize)]
struct WithRoot<'t> {
    #[serde(borrow)]
    root: Root<'t>,
}

#[derive(serde::Deserialize)]
struct Root<'t> {
    #[serde(borrow)]
    path: &'t RawValue,
}

/// Returns the text with an absolute path to the root file system.
fn with_absolute_root(bundle: &Path, changed: &str) -> anyhow::Result<String> {
    let parsed: WithRoot<'_> = serde_json::from_str(changed)
        .with_context(|| format!("the configuration in {} has no root", bundle.display()))?;
    let raw = parsed.root.path.get();
    let path: String = serde_json::from_str(raw).context("root.path is not a string")?;
    let absolute = bundle.join(path);
    let absolute = absolute
        .to_str()
        .context("the path of the bundle is not UTF-8")?;
    let at = raw.as_ptr().addr() - changed.as_ptr().addr();
    let mut new = changed.to_owned();
    new.replace_range(
        at..at + raw.len(),
        &serde_json::Value::from(absolute).to_string(),
    );
    Ok(new)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_configuration_is_replaced_whole() {
        let bundle = tempfile::tempdir().unwrap();
        let file = bundle.path().join(CONFIG);
        std::fs::write(&file, "{}").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        let (found, text) = read(bundle.path(), None).unwrap();
        assert_eq!((&found, &*text), (&file, "{}"));
        let changed = replace(bundle.path(), &file, "{ }").unwrap();
        assert_eq!(changed, Changed::InPlace);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{ }");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(std::fs::read_dir(bundle.path()).unwrap().count(), 1);
        assert!(read(&bundle.path().join("none"), None).is_err());
    }

    #[test]
    fn roots_of_second_bundles() {
        let text = r#"{"x":1, "root": {"readonly":true, "path" : "rootfs"}}"#;
        let new = with_absolute_root(Path::new("/b \"c\""), text).unwrap();
        let expected = text.replace("\"rootfs\"", r#""/b \"c\"/rootfs""#);
        assert_eq!(new, expected);
        let text = r#"{"root":{"path":"/r"}}"#;
        assert_eq!(with_absolute_root(Path::new("/b"), text).unwrap(), text);
        assert!(with_absolute_root(Path::new("/b"), "{}").is_err());
    }
}
