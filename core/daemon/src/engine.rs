//! Combines all parts: host, hierarchies, containers, registry, dispatcher.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use vistafs_cgroup::Hierarchies;
use vistafs_container::Containers;
use vistafs_dispatch::Dispatcher;
use vistafs_handover::Handover;
use vistafs_host::Host;
use vistafs_view::Registry;

use crate::lxcfs::AsLxcfs;
use crate::outside;
use crate::plugins::Loader;
use vistafs_config::Config;
use vistafs_supervisor::link::PutAside;

/// The serving engine, with or without a mount.
pub(crate) struct Engine {
    pub(crate) containers: Arc<Containers>,
    pub(crate) registry: Registry,
    pub(crate) dispatcher: Arc<Dispatcher>,
}

impl Engine {
    /// Creates it for this machine.
    pub(crate) fn start(config: &Config) -> anyhow::Result<Self> {
        let nothing = (&[][..], None);
        Self::take_over(config, &AsLxcfs::default(), false, nothing, Loader::COMMAND)
    }

    /// Creates it for a mount that earlier workers have served, with the disabled views and the shared
    /// memory.
    pub(crate) fn take_over(
        config: &Config,
        as_lxcfs: &AsLxcfs,
        page_cache: bool,
        (put_aside, handover): (&[PutAside], Option<Arc<Handover>>),
        loader: Loader<'_>,
    ) -> anyhow::Result<Self> {
        let (mut selection, mut policy) = (config.selection().clone(), config.policy());
        as_lxcfs.lay_over(&mut selection, &mut policy);
        let registry = outside::registry_with(config, &selection, loader)?;
        let host = Arc::new(Host::running(config.host_ttl())?);
        let mut registry = registry.on(&host);
        for view in put_aside {
            registry.put_aside(&view.name, &view.why);
        }
        let hierarchies = hierarchies()?;
        if hierarchies.all().is_empty() {
            log::warn!(
                "no cgroup hierarchy is mounted: containers have no limits that could be shown"
            );
        }
        let containers = Containers::with_handover(host, Arc::new(hierarchies), handover)?;
        let dispatcher = Dispatcher::new(Arc::clone(&containers), &registry, policy)
            .with_ttl(config.page_cache_ttl());
        let dispatcher = if page_cache {
            dispatcher.without_open()
        } else {
            dispatcher
        };
        dispatcher.pass_views(as_lxcfs.passing());
        Ok(Self {
            containers,
            registry,
            dispatcher: Arc::new(dispatcher),
        })
    }
}

/// Returns the mounted hierarchies.
pub(crate) fn hierarchies() -> anyhow::Result<Hierarchies> {
    const MOUNTS: &str = "/proc/self/mountinfo";
    let text = std::fs::read(MOUNTS)
        .with_context(|| format!("cannot read {MOUNTS} (is /proc mounted?)"))?;
    Ok(Hierarchies::discover(&text, Path::new("/"))?)
}
