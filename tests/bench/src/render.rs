//! One rendering of a view from a captured host, between two stops: for who counts its instructions
//! (`tests/bench/tests/instructions.rs`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Signal, getpid, kill_process};
use serde::Deserialize;
use vistafs_cgroup::Hierarchies;
use vistafs_container::Container;
use vistafs_host::{FixedFacts, Host};
use vistafs_view::{Context, Policy, Provider, Registry, Selection, View};
use vistafs_views as _;

use crate::allocations;

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
struct Captured {
    host: Arc<Host>,
    container: Arc<Container>,
    registry: Registry,
}

impl Captured {
    fn open(root: &Path) -> Result<Self> {
        let facts = std::fs::read_to_string(root.join("container.toml"))
            .with_context(|| format!("{} is no captured host", root.display()))?;
        let facts: Facts = toml::from_str(&facts)?;
        let fixed = FixedFacts {
            boottime: Duration::from_nanos(facts.boottime_ns),
            clk_tck: facts.clk_tck,
            page_size: facts.page_size,
        };
        let host = Arc::new(Host::captured(root, fixed)?);
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

    fn render(&self, view: &dyn View, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        let mut cx = Context::new(&self.container, &self.host, Policy::default(), scratch);
        Ok(view.render(&mut cx, out)?)
    }
}

/// Renders a few times, stops, renders once more, stops, and prints how often that asked for memory.
pub(crate) fn render(root: &Path, path: &str) -> Result<()> {
    let captured = Captured::open(root)?;
    let mut serving = captured.registry.serving();
    let view = serving.find(|view| view.spec.path == path);
    let view = view.with_context(|| format!("no view is at {path}"))?;
    let Provider::File(view) = &view.provider else {
        bail!("{path} is no file");
    };
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        captured.render(&**view, &mut scratch, &mut out)?;
    }
    let stop = || kill_process(getpid(), Signal::STOP);
    stop()?;
    let before = allocations::count();
    captured.render(&**view, &mut scratch, &mut out)?;
    let allocated = allocations::count() - before;
    stop()?;
    println!("{allocated}");
    Ok(())
}
