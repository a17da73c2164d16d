//! A host that is a directory, its container, and the contents of the views.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use vistafs_cgroup::Hierarchies;
use vistafs_container::Container;
use vistafs_host::{FixedFacts, Host};
use vistafs_view::{
    Asker, NodeKind, Policy, Provider, Registry, Request, Selection, ViewError, look_up,
};
use vistafs_views as _;

use crate::listing;

/// `container.toml`: which cgroup is the container, and the facts that are in no file of the host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// Its path, the same in every hierarchy.
    pub(crate) cgroup: PathBuf,
    /// Start time of the container: USER_HZ ticks since boot.
    pub(crate) start_ticks: u64,
    /// CLOCK_BOOTTIME at the capture, ns.
    pub(crate) boottime_ns: u64,
    /// USER_HZ.
    pub(crate) clk_tck: u64,
    /// Bytes.
    pub(crate) page_size: u64,
}

impl Facts {
    pub(crate) fn read(root: &Path) -> Self {
        let text = std::fs::read_to_string(root.join("container.toml")).unwrap();
        toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", root.display()))
    }

    pub(crate) fn start(&self) -> Duration {
        Duration::from_nanos(self.start_ticks * 1_000_000_000 / self.clk_tck)
    }

    pub(crate) fn age(&self) -> Duration {
        Duration::from_nanos(self.boottime_ns) - self.start()
    }
}

/// Every view, also those that are off by default, except the cgroup tree. That one opens the kernel's own
/// directories by file handle, and a captured host has none.
fn all_views() -> Registry {
    let registry = Registry::collect(&Selection::default()).unwrap();
    let names = registry.all().iter().map(|view| view.spec.name.to_owned());
    let selection = Selection {
        enable: names.collect(),
        disable: vec!["cgroup".into()],
        ..Selection::default()
    };
    Registry::collect(&selection).unwrap()
}

/// A captured host with its container.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) root: PathBuf,
    pub(crate) facts: Facts,
    pub(crate) host: Arc<Host>,
    pub(crate) container: Arc<Container>,
    registry: Registry,
    hierarchies: Arc<Hierarchies>,
    pub(crate) policy: Policy,
}

impl Captured {
    /// Opens the host below `root`, with the container of its `container.toml`.
    pub(crate) fn open(root: &Path) -> Self {
        Self::of(root, Facts::read(root))
    }

    /// Opens the host below `root` with these facts.
    pub(crate) fn of(root: &Path, facts: Facts) -> Self {
        let fixed = FixedFacts {
            boottime: Duration::from_nanos(facts.boottime_ns),
            clk_tck: facts.clk_tck,
            page_size: facts.page_size,
        };
        let host = Arc::new(Host::captured(root, fixed).unwrap());
        let mountinfo = std::fs::read(root.join("proc/self/mountinfo")).unwrap();
        let hierarchies = Hierarchies::discover(&mountinfo, root).unwrap();
        let located = hierarchies.locate_path(&facts.cgroup).unwrap();
        let container = Container::new(&hierarchies, located, facts.start(), Default::default());
        Self {
            container: Arc::new(container),
            root: root.to_owned(),
            facts,
            registry: all_views().on(&host),
            host,
            hierarchies: Arc::new(hierarchies),
            policy: Policy::default(),
        }
    }

    /// The paths of all views whose files the host has, also of those that are off by default.
    pub(crate) fn views(&self) -> Vec<&'static str> {
        self.registry.serving().map(|v| v.spec.path).collect()
    }

    /// Renders the view at `path`: a file (also one in a tree), or the [`listing`](crate::listing) of a whole
    /// tree.
    pub(crate) fn try_show(&self, path: &str) -> Result<Vec<u8>, ViewError> {
        let (view, below) = self.registry.resolve(path).unwrap();
        let mut scratch = Vec::new();
        let mut request = self.request(&mut scratch);
        let mut out = Vec::new();
        match &view.provider {
            Provider::File(view) => {
                let mut cx = request.context().unwrap();
                view.render(&mut cx, &mut out)?;
            }
            Provider::Tree(tree) if below.is_empty() => {
                let of_host = self.root.join(view.spec.path);
                listing::push(&**tree, &mut request, &of_host, &mut out)?;
            }
            Provider::Tree(tree) => {
                let node = look_up(&**tree, &mut request, Path::new(below))?;
                match node.kind {
                    NodeKind::Link => tree.read_link(&mut request, node.id, &mut out)?,
                    _ => tree.read(&mut request, node.id, &mut out)?,
                }
            }
            other => panic!("{other:?}"),
        }
        Ok(out)
    }

    pub(crate) fn request<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Request<'a> {
        let asker = Asker {
            tid: 1,
            uid: 0,
            gid: 0,
        };
        Request::new(
            asker,
            Some(&self.container),
            (&self.host, &self.hierarchies),
            self.policy,
            scratch,
        )
    }

    /// Like [`try_show`](Self::try_show); an error fails the test.
    pub(crate) fn show(&self, path: &str) -> String {
        let shown = self.try_show(path);
        let shown = shown.unwrap_or_else(|e| panic!("{}, {path}: {e}", self.root.display()));
        String::from_utf8(shown).unwrap()
    }

    /// The host's file at `path`.
    pub(crate) fn host_file(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap()
    }
}

/// The workspace's directory `tests/`.
pub(crate) fn tests_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The workspace's directory.
pub(crate) fn workspace() -> PathBuf {
    tests_dir().parent().unwrap().to_owned()
}

/// The names of the captured hosts, sorted; there is at least one.
pub(crate) fn hosts() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(tests_dir().join("fixtures"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("container.toml").is_file())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        // The name of an incomplete capture begins with a dot.
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "tests/fixtures has no captured host");
    names
}

/// The captured host of that name.
pub(crate) fn fixture(name: &str) -> Captured {
    Captured::open(&tests_dir().join("fixtures").join(name))
}

/// Every captured host.
pub(crate) fn fixtures() -> impl Iterator<Item = (String, Captured)> {
    hosts().into_iter().map(|name| {
        let host = fixture(&name);
        (name, host)
    })
}

/// The value of a field of a meminfo text.
pub(crate) fn meminfo_field(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find(|l| l.split(':').next() == Some(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The columns of each `cpu` line of a stat text, with the label.
pub(crate) fn cpu_lines(text: &str) -> Vec<(String, Vec<u64>)> {
    text.lines()
        .filter(|line| line.starts_with("cpu"))
        .map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap().to_owned();
            (name, words.map(|w| w.parse().unwrap()).collect())
        })
        .collect()
}

/// The members of a CPU list such as `0-3,8`.
pub(crate) fn cpu_list(text: &str) -> Vec<u32> {
    let mut all = Vec::new();
    for part in text.trim().split(',').filter(|p| !p.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse::<u32>().unwrap()..=last.parse().unwrap());
    }
    all
}
