//! A captured host and its container.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use vistafs_cgroup::Hierarchies;
use vistafs_container::Container;
use vistafs_host::{FixedFacts, Host};
use vistafs_view::{Context, Policy, Provider, Registry, Selection, View};
use vistafs_views as _;

/// The state of the caches that a measurement uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmth {
    /// Each file is read and parsed again, as for a view's first reader within a TTL.
    Cold,
    /// Host files and memory usage are cached, as for later readers.
    Warm,
}

impl Warmth {
    fn ttl(self) -> Duration {
        match self {
            Self::Cold => Duration::ZERO,
            // Longer than any measurement.
            Self::Warm => Duration::from_secs(24 * 3600),
        }
    }
}

/// Returns the directory of the captured hosts.
#[must_use]
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// `container.toml` of a captured host.
#[derive(Debug, Deserialize)]
struct Facts {
    cgroup: PathBuf,
    start_ticks: u64,
    boottime_ns: u64,
    clk_tck: u64,
    page_size: u64,
}

/// A captured host and its container.
#[derive(Debug)]
pub struct Captured {
    host: Arc<Host>,
    container: Arc<Container>,
    registry: Registry,
}

impl Captured {
    /// Opens the captured host below `root`.
    ///
    /// # Errors
    /// If `root` is not a captured host.
    pub fn open(root: &Path, warmth: Warmth) -> Result<Self> {
        let facts = std::fs::read_to_string(root.join("container.toml"))
            .with_context(|| format!("{} is not a captured host", root.display()))?;
        let facts: Facts = toml::from_str(&facts)?;
        let fixed = FixedFacts {
            boottime: Duration::from_nanos(facts.boottime_ns),
            clk_tck: facts.clk_tck,
            page_size: facts.page_size,
        };
        let host = Arc::new(Host::captured(root, fixed)?.with_ttl(warmth.ttl()));
        let mountinfo = std::fs::read(root.join("proc/self/mountinfo"))?;
        let hierarchies = Hierarchies::discover(&mountinfo, root)?;
        let located = hierarchies.locate_path(&facts.cgroup)?;
        let ticks = facts.clk_tck.max(1);
        let start = Duration::from_nanos(facts.start_ticks * 1_000_000_000 / ticks);
        let container = Container::new(&hierarchies, located, start, Default::default());
        let names = Registry::collect(&Selection::default())?;
        let names = names.all().iter().map(|view| view.spec.name.to_owned());
        let selection = Selection {
            enable: names.collect(),
            disable: vec!["cgroup".into()],
            ..Selection::default()
        };
        let registry = Registry::collect(&selection)?;
        Ok(Self {
            container: Arc::new(container),
            registry: registry.on(&host),
            host,
        })
    }

    /// Returns the view at a path.
    ///
    /// # Errors
    /// If the path has no file view.
    pub fn view(&self, path: &str) -> Result<Arc<dyn View>> {
        let mut serving = self.registry.serving();
        let view = serving.find(|view| view.spec.path == path);
        let view = view.with_context(|| format!("no view is at {path}"))?;
        match &view.provider {
            Provider::File(view) => Ok(Arc::clone(view)),
            _ => bail!("{path} is not a file"),
        }
    }

    /// Returns the paths of all file views.
    #[must_use]
    pub fn files(&self) -> Vec<&'static str> {
        let serving = self.registry.serving();
        let files = serving.filter(|view| matches!(view.provider, Provider::File(_)));
        files.map(|view| view.spec.path).collect()
    }

    /// Renders a view into `out`.
    ///
    /// # Errors
    /// The view's error.
    pub fn render(&self, view: &dyn View, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        let mut cx = Context::new(&self.container, &self.host, Policy::default(), scratch);
        Ok(view.render(&mut cx, out)?)
    }
}
