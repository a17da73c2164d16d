//! A made-up host with a container, to test the views of a plugin without vistafs.
//!
//! The host is a temporary directory: it has the files that a test writes, four CPUs and no more, and has
//! been up for 100 s. Its container is in the cgroup `/box/app`, and began when the host was up for 40 s.
//!
//! ```
//! # use vistafs_plugin_testing::MadeUp;
//! # fn of(view: &dyn vistafs_view::View) {
//! let host = MadeUp::v2();
//! host.set_memory("8192", 4096);
//! assert_eq!(host.show(view).unwrap(), "4096 of 8192\n");
//! # }
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "in tests a panic is the report"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use vistafs_cgroup::Hierarchies;
use vistafs_container::Container;
use vistafs_host::{FixedFacts, Host};
use vistafs_view::{Asker, Policy, Request, TreeView, View, ViewError, look_up};

/// Where the container is in each hierarchy.
const CGROUP: &str = "/box/app";

/// A host, and a container on it.
#[derive(Debug)]
pub struct MadeUp {
    dir: TempDir,
    controllers: Vec<&'static str>,
}

impl MadeUp {
    /// A host with cgroup v2.
    #[must_use]
    pub fn v2() -> Self {
        Self::v1(&[])
    }

    /// A host with these controllers in hierarchies of v1, and the others in one of v2.
    #[must_use]
    pub fn v1(controllers: &[&'static str]) -> Self {
        let host = Self {
            dir: tempfile::tempdir().unwrap(),
            controllers: controllers.to_vec(),
        };
        let mut mounts = String::new();
        for (number, controller) in (31..).zip(&host.controllers) {
            mounts += &format!(
                "{number} 1 0:{number} / /sys/fs/cgroup/{controller} rw - cgroup cgroup rw,{controller}\n"
            );
            host.write_cgroup(controller, "cgroup.procs", "");
        }
        mounts += "30 1 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        host.write_cgroup("unified", "cgroup.procs", "");
        host.write("proc/self/mountinfo", &mounts);
        host.write("sys/devices/system/cpu/online", "0-3\n");
        host
    }

    /// Its root directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file of the host, by its path below `/`.
    pub fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Writes a file of the container's cgroup in the hierarchy of a controller, by its v1 name.
    pub fn write_cgroup(&self, controller: &str, name: &str, text: impl AsRef<[u8]>) {
        let is_v1 = self.controllers.contains(&controller);
        let mount = if is_v1 { controller } else { "unified" };
        let top = PathBuf::from("sys/fs/cgroup").join(mount);
        self.write(top.join(&CGROUP[1..]).join(name), text);
    }

    /// Sets the container's memory limit, in bytes as the kernel writes it, and its use, bytes.
    pub fn set_memory(&self, limit: &str, usage: u64) {
        let names = if self.controllers.contains(&"memory") {
            ["memory.limit_in_bytes", "memory.usage_in_bytes"]
        } else {
            ["memory.max", "memory.current"]
        };
        for (name, value) in names.iter().zip([limit, &usage.to_string()]) {
            self.write_cgroup("memory", name, format!("{value}\n"));
        }
        self.write_cgroup("memory", "memory.stat", "");
    }

    /// The contents of a view of one file for the container.
    ///
    /// # Errors
    /// The view's.
    pub fn show(&self, view: &dyn View) -> Result<String, ViewError> {
        self.request(true, |request| {
            let mut out = Vec::new();
            view.render(&mut request.context().unwrap(), &mut out)?;
            Ok(String::from_utf8(out).unwrap())
        })
    }

    /// Its contents for processes on the host; `None`: the host's own file.
    ///
    /// # Errors
    /// The view's.
    pub fn show_on_host(&self, view: &dyn View) -> Option<Result<String, ViewError>> {
        self.request(false, |request| {
            let mut out = Vec::new();
            let rendered = view.render_on_host(request, &mut out)?;
            Some(rendered.map(|()| String::from_utf8(out).unwrap()))
        })
    }

    /// The names in a directory of a tree, as the container sees them, sorted; `""` is the top.
    ///
    /// # Errors
    /// The view's, also for a path that the container does not find.
    pub fn list(&self, tree: &dyn TreeView, path: &str) -> Result<Vec<String>, ViewError> {
        self.request(true, |request| {
            let node = look_up(tree, request, Path::new(path))?;
            let mut names = Vec::new();
            tree.list(request, node.id, &mut |name, _, _| {
                names.push(name.to_str().unwrap().to_owned());
            })?;
            names.sort();
            Ok(names)
        })
    }

    /// The contents of a file of a tree for the container.
    ///
    /// # Errors
    /// The view's, also for a path that the container does not find.
    pub fn read(&self, tree: &dyn TreeView, path: &str) -> Result<String, ViewError> {
        self.request(true, |request| {
            let node = look_up(tree, request, Path::new(path))?;
            let mut out = Vec::new();
            tree.read(request, node.id, &mut out)?;
            Ok(String::from_utf8(out).unwrap())
        })
    }

    /// Has root make a request, in the container or on the host.
    pub fn request<T>(&self, contained: bool, ask: impl FnOnce(&mut Request<'_>) -> T) -> T {
        let facts = FixedFacts {
            boottime: Duration::from_secs(100),
            clk_tck: 100,
            page_size: 4096,
        };
        let host = Arc::new(Host::captured(self.root(), facts).unwrap());
        let mounts = std::fs::read(self.root().join("proc/self/mountinfo")).unwrap();
        let hierarchies = Arc::new(Hierarchies::discover(&mounts, self.root()).unwrap());
        let located = hierarchies.locate_path(Path::new(CGROUP)).unwrap();
        let start = Duration::from_secs(40);
        let container = Container::new(&hierarchies, located, start, Default::default());
        let container = contained.then(|| Arc::new(container));
        let asker = Asker {
            tid: 1,
            uid: 0,
            gid: 0,
        };
        let mut scratch = Vec::new();
        ask(&mut Request::new(
            asker,
            container.as_ref(),
            (&host, &hierarchies),
            Policy::default(),
            &mut scratch,
        ))
    }
}
