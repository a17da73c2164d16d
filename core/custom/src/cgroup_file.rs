//! A file of the container's own cgroup.
//!
//! The v1 file where v1 has the controller, else the v2 file: the version is decided per
//! controller. A container without either has no such file.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;
use vistafs_cgroup::Version;
use vistafs_host::Dir;
use vistafs_view::ViewError;

use crate::host_file::{failed, read_all};
use crate::scene::Scene;

/// They contain host process IDs; the view `cgroup` translates them.
const OF_PROCESSES: [&str; 3] = ["cgroup.procs", "cgroup.threads", "tasks"];

/// The file of each version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupFile {
    v1: Option<(String, PathBuf)>,
    v2: Option<PathBuf>,
    max_bytes: usize,
}

impl CgroupFile {
    /// `v1`: `memory/memory.max_usage_in_bytes`; `v2`: `memory.peak`.
    ///
    /// # Errors
    /// An explanation of the invalid name.
    pub fn new(v1: Option<&str>, v2: Option<&str>, max_bytes: usize) -> Result<Self, String> {
        if v1.is_none() && v2.is_none() {
            return Err("names neither a v1 nor a v2 file".into());
        }
        let v1 = v1.map(of_v1).transpose()?;
        let v2 = v2.map(name).transpose()?;
        Ok(Self { v1, v2, max_bytes })
    }

    /// A file with the same name in both versions: `pids.current`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn alike(file: &str, max_bytes: usize) -> Result<Self, String> {
        let (controller, _) = file
            .split_once('.')
            .filter(|(controller, _)| *controller != "cgroup")
            .ok_or(
                "a file called alike in v1 and v2 begins with its controller, such as pids.current",
            )?;
        let v1 = format!("{controller}/{file}");
        Self::new(Some(&v1), Some(file), max_bytes)
    }

    pub(crate) fn render(
        &self,
        scene: &mut Scene<'_, '_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let v1 = self.v1.as_ref().and_then(|(controller, file)| {
            Some((directory(scene, Version::V1, Some(controller))?, file))
        });
        let v2 = || Some((directory(scene, Version::V2, None)?, self.v2.as_ref()?));
        let (directory, file) = v1.or_else(v2).ok_or(ViewError::Answer(Errno::NOENT))?;
        let opened = directory.open_file(file);
        let read = opened.and_then(|opened| read_all(&opened, self.max_bytes, out));
        read.map_err(|errno| failed(errno, &directory.path().join(file)))
    }
}

/// The container's directory in the hierarchy; on the host the hierarchy's root.
fn directory(
    scene: &Scene<'_, '_>,
    version: Version,
    controller: Option<&str>,
) -> Option<Arc<Dir>> {
    let has = |name: &str| controller.is_none_or(|wanted| name.split(',').any(|one| one == wanted));
    match scene {
        Scene::Inside(cx) => {
            let mut own = cx.container().cgroups().iter();
            // The root of a hierarchy does not distinguish the container from the host.
            let found = own.find(|cgroup| {
                cgroup.version() == version && !cgroup.is_root() && has(cgroup.hierarchy().name())
            });
            found.map(|cgroup| Arc::clone(cgroup.own()))
        }
        Scene::Outside(_, hierarchies) => {
            let mut all = hierarchies.all().iter();
            let found = all.find(|one| one.version() == version && has(one.name()));
            found.map(|hierarchy| Arc::clone(hierarchy.root()))
        }
    }
}

fn of_v1(file: &str) -> Result<(String, PathBuf), String> {
    let (controller, file) = file
        .split_once('/')
        .filter(|(controller, _)| !controller.is_empty())
        .ok_or_else(|| {
            format!("v1 file {file:?} is not CONTROLLER/FILE, such as memory/memory.stat")
        })?;
    Ok((controller.to_owned(), name(file)?))
}

fn name(file: &str) -> Result<PathBuf, String> {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if file.is_empty() || file.starts_with('.') || !file.bytes().all(ok) {
        return Err(format!("{file:?} is not the name of a cgroup file"));
    }
    if OF_PROCESSES.contains(&file) {
        return Err(format!(
            "{file} has the host's process numbers; the view cgroup translates them"
        ));
    }
    Ok(PathBuf::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let both = CgroupFile::new(Some("memory/memory.stat"), Some("memory.stat"), 9).unwrap();
        assert_eq!(CgroupFile::alike("memory.stat", 9).unwrap(), both);
        for (v1, v2) in [
            (None, None),
            (Some("memory.stat"), None),
            (Some("/memory.stat"), None),
            (Some("memory/../x"), None),
            (Some("memory/"), None),
            (None, Some("")),
            (None, Some("..")),
            (None, Some("a/b")),
            (None, Some("cgroup.procs")),
            (Some("memory/tasks"), None),
        ] {
            assert!(CgroupFile::new(v1, v2, 9).is_err(), "{v1:?} {v2:?}");
        }
        for file in ["cgroup.stat", "tasks", "x"] {
            assert!(CgroupFile::alike(file, 9).is_err(), "{file}");
        }
    }
}
