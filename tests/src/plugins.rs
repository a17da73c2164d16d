//! A directory of plugins, made of those that are built beside the tests.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Where the plugins are: `VISTAFS_PLUGINS`, or where cargo has built them beside the tests.
fn built(name: &str) -> PathBuf {
    let file = format!("libvistafs_test_plugin_{name}.so");
    if let Some(directory) = std::env::var_os("VISTAFS_PLUGINS") {
        return Path::new(&directory).join(file);
    }
    std::env::current_exe().unwrap().with_file_name(file)
}

/// Behaviour of the plugin `odd` while it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as the plugin itself has it")]
pub enum Odd {
    Behaves = b'0' as isize,
    AbortsInConstructor = b'1' as isize,
    IsOfAnotherVersion = b'2' as isize,
    DoesNotWant = b'3' as isize,
    HasBadViews = b'5' as isize,
    AbortsInEntry = b'6' as isize,
}

/// A directory that plugins are loaded from; removed at drop.
#[derive(Debug)]
pub struct Plugins(TempDir);

impl Default for Plugins {
    fn default() -> Self {
        Self::new()
    }
}

impl Plugins {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self(directory)
    }

    /// With plugins that behave.
    #[must_use]
    pub fn with(names: &[&str]) -> Self {
        let plugins = Self::new();
        for name in names {
            plugins.put(name, &format!("{name}.so"));
        }
        plugins
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The line of a configuration that names it.
    #[must_use]
    pub fn config(&self) -> String {
        format!("plugin_dirs = [{:?}]\n", self.path())
    }

    /// Puts a plugin there, as packages are installed: a new file by a new name, which is given the one
    /// that is wanted.
    pub fn put(&self, plugin: &str, name: &str) {
        self.put_bytes(&std::fs::read(built(plugin)).unwrap(), name);
    }

    /// Puts an odd plugin there.
    pub fn put_odd(&self, odd: Odd, name: &str) {
        const MODE: &[u8] = b"VISTAFS-ODD-MODE:";
        let mut bytes = std::fs::read(built("odd")).unwrap();
        let at = bytes.windows(MODE.len()).position(|piece| piece == MODE);
        bytes[at.unwrap() + MODE.len()] = odd as u8;
        self.put_bytes(&bytes, name);
    }

    /// Puts a plugin there that has no entry function: that has another name.
    pub fn put_without_entry(&self, name: &str) {
        const ENTRY: &[u8] = b"\0vistafs_plugin\0";
        let mut bytes = std::fs::read(built("odd")).unwrap();
        let places = bytes.windows(ENTRY.len()).enumerate();
        let places = places.filter(|(_, piece)| *piece == ENTRY);
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at + 1] = b'x';
        }
        self.put_bytes(&bytes, name);
    }

    /// Puts any file there.
    pub fn put_bytes(&self, bytes: &[u8], name: &str) {
        let new = self.file(&format!(".{name}.new"));
        std::fs::write(&new, bytes).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::rename(new, self.file(name)).unwrap();
    }
}
