//! Mounts views in a container that an OCI runtime is creating.
//!
//! The hook has the kind `createContainer`: it runs in the container's mount namespace when /proc and /sys are mounted
//! below the root file system and the container's program has not started. So the look-ups
//! of the views come from inside the container, and no other namespace gets the mounts.
//! The specification: github.com/opencontainers/runtime-spec, runtime.md and config.md.
//!
//! The root file system is not trusted: no link in it is followed, and only files of the kernel's own
//! proc and sysfs are covered.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::error::{Context as _, Result, bail};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, StatFs, fstatfs, statfs};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};
use serde::Deserialize;

use crate::binding::{Binding, OWN};

/// The annotation by which a container opts in or out, if the hook applies to all.
pub const ANNOTATION: &str = "dev.vistafs";

/// The state that a runtime passes to its hooks on standard input.
#[derive(Debug, Deserialize)]
pub struct State {
    /// The directory with the container's config.json.
    pub bundle: PathBuf,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl State {
    /// Parses the state of a container.
    ///
    /// # Errors
    /// When it is not such a state.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let state: Self = serde_json::from_slice(text).context(
            "standard input is not the state of a container (runtimes run this as a hook)",
        )?;
        if !state.bundle.is_absolute() {
            bail!(
                "the bundle {} is not an absolute path",
                state.bundle.display()
            );
        }
        Ok(state)
    }

    /// The container has opted out.
    pub fn opts_out(&self) -> bool {
        let value = self.annotations.get(ANNOTATION);
        value.is_some_and(|value| is_opt_out(value))
    }
}

/// Returns whether a value of the annotation `dev.vistafs` opts out.
#[must_use]
pub fn is_opt_out(value: &str) -> bool {
    matches!(value, "false" | "0" | "no" | "off")
}

/// Returns whether a mount of vistafs serves there.
#[must_use]
pub fn is_serving(mount: &Path) -> bool {
    is_of(statfs(mount), &[FUSE]).unwrap_or(false)
}

#[derive(Deserialize)]
struct BundleConfig {
    root: Root,
}

#[derive(Deserialize)]
struct Root {
    path: PathBuf,
}

/// Returns the root file system of a bundle.
pub fn open_root(bundle: &Path) -> Result<OwnedFd> {
    let file = bundle.join("config.json");
    let text = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let config: BundleConfig = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not a valid container configuration", file.display()))?;
    open_directory(&bundle.join(config.root.path))
}

/// Returns the root file system at the path that a runtime passes.
pub fn open_directory(root: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(root, flags, Mode::empty())
        .with_context(|| format!("cannot open the root file system {}", root.display()))
}

/// The directories from which views are bound.
#[derive(Debug)]
pub struct Sources {
    mount: PathBuf,
    // The first one that has a view is used. In each, the container's own files come before the shared
    // ones.
    places: Vec<PathBuf>,
}

impl Sources {
    /// Uses a mount, and for the files that it has a mount of the page-cache tree, if there is one.
    pub fn new(mount: &Path, page_cache: Option<&Path>) -> Result<Self> {
        let is_mounted = |tree: &Path| is_of(statfs(tree), &[FUSE]).unwrap_or(false);
        if let Some(tree) = page_cache.filter(|tree| !is_mounted(tree)) {
            bail!(
                "{0} is not a mount of vistafs (vistafs mount --page-cache {0})",
                tree.display()
            );
        }
        let own = page_cache.into_iter().chain([mount]);
        let mut places: Vec<PathBuf> = own.map(|mount| mount.join(OWN)).collect();
        places.push(mount.to_owned());
        let mount = mount.to_owned();
        Ok(Self { mount, places })
    }

    /// Returns a detached copy of the mount of one view. The caller must be in the container, because it looks the view up.
    fn open(&self, binding: Binding) -> Result<OwnedFd> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mut opened = Err(Errno::NOENT);
        let mut source = PathBuf::new();
        for place in &self.places {
            source = binding.source(place);
            opened = rustix::mount::open_tree(CWD, &source, flags);
            if !matches!(opened, Err(Errno::NOENT)) {
                break;
            }
        }
        let source = source.display();
        let tree = opened.with_context(|| {
            format!(
                "cannot bind {source} (is vistafs mounted at {}? systemctl status vistafs)",
                self.mount.display()
            )
        })?;
        if !is_of(fstatfs(&tree), &[FUSE])? {
            bail!("{source} is not a file of vistafs (start it: systemctl start vistafs)");
        }
        Ok(tree)
    }
}

/// Covers the kernel's files below `root` with views. Views without a kernel file are omitted.
pub fn bind_all(sources: &Sources, root: &OwnedFd, bindings: &[Binding]) -> Result<()> {
    for binding in bindings {
        let Some(target) = open_target(root, binding.path)? else {
            log::debug!("the container has no /{}", binding.path);
            continue;
        };
        let tree = sources.open(*binding)?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&tree, c"", &target, c"", flags)
            .with_context(|| format!("cannot mount on the container's /{}", binding.path))?;
    }
    Ok(())
}

/// File system types, statfs(2).
const PROC: u64 = 0x9fa0;
const SYSFS: u64 = 0x6265_6572;
const FUSE: u64 = 0x6573_5546;

/// Opens the file to cover. `None`: it is missing, or covered already.
fn open_target(root: &OwnedFd, path: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let target = match rustix::fs::openat2(root, path, flags, Mode::empty(), how) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        opened => opened.with_context(|| format!("cannot open the container's /{path}"))?,
    };
    if is_of(fstatfs(&target), &[FUSE])? {
        return Ok(None);
    }
    if !is_of(fstatfs(&target), &[PROC, SYSFS])? {
        bail!("the container's /{path} is not the kernel's");
    }
    Ok(Some(target))
}

fn is_of(found: rustix::io::Result<StatFs>, types: &[u64]) -> Result<bool> {
    let found = found.context("cannot find the type of a file system")?;
    Ok(u64::try_from(found.f_type).is_ok_and(|found| types.contains(&found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_containers() {
        let state = State::parse(br#"{"ociVersion": "1.0.2", "bundle": "/b"}"#).unwrap();
        assert_eq!(state.bundle, Path::new("/b"));
        assert!(!state.opts_out());
        let with = |value: &str| {
            let text =
                format!(r#"{{"bundle": "/b", "annotations": {{"dev.vistafs": "{value}"}}}}"#);
            State::parse(text.as_bytes()).unwrap().opts_out()
        };
        assert!(with("false") && with("0") && !with("true") && !with(""));
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"bundle": "b"}"#,
            r#"{"bundle": 1}"#,
            "\u{0}",
        ] {
            assert!(State::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_root_file_system_leads_nowhere_else() {
        let bundle = tempfile::tempdir().unwrap();
        let root = bundle.path().join("rootfs");
        std::fs::create_dir(&root).unwrap();
        assert!(open_root(bundle.path()).is_err(), "no config.json");
        let config = bundle.path().join("config.json");
        std::fs::write(&config, r#"{"root": {"path": "rootfs"}}"#).unwrap();
        let opened = open_root(bundle.path()).unwrap();
        assert!(open_target(&opened, "proc/meminfo").unwrap().is_none());
        // The image's own file of that name is not covered.
        std::fs::create_dir(root.join("proc")).unwrap();
        std::fs::write(root.join("proc/meminfo"), "").unwrap();
        assert!(open_target(&opened, "proc/meminfo").is_err());
        std::fs::remove_dir_all(root.join("proc")).unwrap();
        std::os::unix::fs::symlink("/proc", root.join("proc")).unwrap();
        assert!(open_target(&opened, "proc/meminfo").is_err());
    }
}
