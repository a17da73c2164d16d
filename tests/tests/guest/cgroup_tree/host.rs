//! The host's side: the kernel's cgroup trees around the container.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vistafs_cgroup::{Hierarchies, Hierarchy, Version};
use vistafs_tests::cgroup::hierarchies;

/// The container's cgroup, as on the page.
pub(crate) const CONTAINER: &str = "guests/box";

/// Cgroups that do not belong to the container.
const BESIDE: &[&str] = &["beside", "guests/beside", "guests/beside/deeper"];

/// The hierarchies, with other cgroups beside the container's; removed on drop.
pub(crate) struct Host {
    hierarchies: Hierarchies,
}

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self {
            hierarchies: hierarchies(),
        };
        for root in host.roots() {
            for name in BESIDE {
                std::fs::create_dir_all(root.join(name)).unwrap();
            }
        }
        host
    }

    pub(crate) fn hierarchies(&self) -> impl Iterator<Item = &Hierarchy> {
        self.hierarchies.all().iter().map(AsRef::as_ref)
    }

    fn roots(&self) -> Vec<PathBuf> {
        self.hierarchies()
            .map(|hierarchy| hierarchy.root().path().to_owned())
            .collect()
    }

    /// Whether the only hierarchy is v2.
    pub(crate) fn is_v2(&self) -> bool {
        self.hierarchies()
            .all(|hierarchy| hierarchy.version() == Version::V2)
    }

    /// The path of a hierarchy in the container.
    pub(crate) fn inside(&self, hierarchy: &Hierarchy) -> PathBuf {
        if self.is_v2() {
            return "/sys/fs/cgroup".into();
        }
        let name = hierarchy.name().trim_start_matches("name=");
        Path::new("/sys/fs/cgroup").join(name)
    }

    /// The hierarchy of a controller.
    pub(crate) fn hierarchy_of(&self, controller: &str) -> &Hierarchy {
        let index = self.hierarchies.index_of(controller).unwrap();
        &self.hierarchies.all()[index]
    }

    /// All cgroups of the container in one hierarchy; the container's own is the empty path.
    pub(crate) fn cgroups(&self, hierarchy: &Hierarchy) -> BTreeSet<PathBuf> {
        let top = hierarchy.root().path().join(CONTAINER);
        let mut found = BTreeSet::new();
        let mut todo = vec![PathBuf::new()];
        while let Some(path) = todo.pop() {
            let Ok(entries) = std::fs::read_dir(top.join(&path)) else {
                // Removed in the meantime.
                continue;
            };
            let entries = entries.filter_map(Result::ok);
            let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            todo.extend(dirs.map(|dir| path.join(dir.file_name())));
            found.insert(path);
        }
        found
    }

    /// The container's cgroups with a matching name, as paths in the kernel's trees.
    pub(crate) fn named(&self, is_it: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let in_one = |hierarchy| {
            let cgroups = self.cgroups(hierarchy).into_iter();
            let fits =
                cgroups.filter(|path| path.file_name().is_some_and(|n| is_it(n.to_str().unwrap())));
            let top = hierarchy.root().path().join(CONTAINER);
            fits.map(move |path| top.join(path)).collect::<Vec<_>>()
        };
        self.hierarchies().flat_map(in_one).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for root in self.roots() {
            for name in BESIDE.iter().rev() {
                let _ = std::fs::remove_dir(root.join(name));
            }
            let _ = std::fs::remove_dir(root.join("guests"));
            let _ = std::fs::remove_dir(root.join("guests.monitor"));
        }
    }
}
