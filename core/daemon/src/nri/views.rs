//! Answering the runtime.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vistafs_nri::Plugin;
use vistafs_nri::messages::{
    ConfigureRequest, Container, ContainerAdjustment, ContainerState, PodSandbox,
};

use super::args::NriArgs;
use super::changes::Changes;
use super::policy::Policy;
use super::probe::Probe;
use super::running::{Running, Target};
use crate::bindings;
use vistafs_config::Config;

/// Containers that were created without views and have not started. A container that is created while the
/// list is full, as by a runtime that starts nothing, has none.
const MOST_WAITING: usize = 4096;

/// The plugin.
#[derive(Debug)]
pub(super) struct Views {
    name: String,
    mount: PathBuf,
    policy: Policy,
    changes: Changes,
    probe: Probe,
    running: Running,
    // By their IDs.
    waiting: BTreeSet<String>,
    is_configured: bool,
}

impl Views {
    pub(super) fn new(
        args: &NriArgs,
        config: &Config,
        config_file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mount = args.mount.path()?;
        let bindings = bindings::all(config)?;
        Ok(Self {
            name: format!("{}-{}", args.index, args.name),
            policy: Policy {
                namespaces: config.nri().namespaces.clone(),
            },
            changes: Changes::new(args, &mount, config_file, &bindings)?,
            probe: Probe::new(mount.clone())?,
            running: Running::new(mount.clone(), &bindings)?,
            mount,
            waiting: BTreeSet::new(),
            is_configured: false,
        })
    }

    /// Whether the runtime has accepted the plugin since the last call.
    pub(super) fn take_configured(&mut self) -> bool {
        std::mem::take(&mut self.is_configured)
    }

    fn wait(&mut self, container: &Container) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.insert(container.id.clone());
        }
    }
}

impl Plugin for Views {
    fn configured(&mut self, runtime: &ConfigureRequest) {
        self.is_configured = true;
        let (name, version) = (&runtime.runtime_name, &runtime.runtime_version);
        log::info!(
            "registered with {name} {version} as NRI plugin {}",
            self.name
        );
    }

    fn synchronize(&mut self, containers: Vec<(Option<PodSandbox>, Container)>) {
        self.waiting.clear();
        let count = containers.len();
        let mut targets = Vec::new();
        for (pod, container) in containers {
            let pod = pod.unwrap_or_default();
            if self.policy.refusal(&pod, &container).is_some() {
                continue;
            }
            match container.state() {
                ContainerState::Running | ContainerState::Paused if container.pid != 0 => {
                    targets.extend(target(&pod, &container));
                }
                ContainerState::Stopped => {}
                _ => self.wait(&container),
            }
        }
        log::info!(
            "the runtime has {count} containers; {} of them run and get the views",
            targets.len()
        );
        self.running.attach(targets);
    }

    fn create(&mut self, pod: &PodSandbox, container: &Container) -> ContainerAdjustment {
        let name = name(pod, container);
        if let Some(why) = self.policy.refusal(pod, container) {
            log::debug!("container {name} gets no views: {why}");
            return ContainerAdjustment::default();
        }
        if !self.probe.is_serving() {
            log::warn!(
                "container {name} is created without views: vistafs does not answer at {} \
                 (systemctl status vistafs)",
                self.mount.display()
            );
            self.wait(container);
            return ContainerAdjustment::default();
        }
        log::debug!("container {name} gets the views");
        self.changes.of(container)
    }

    fn started(&mut self, pod: &PodSandbox, container: &Container) {
        if self.waiting.remove(&container.id) && container.pid != 0 {
            self.running
                .attach(target(pod, container).into_iter().collect());
        }
    }
}

fn target(pod: &PodSandbox, container: &Container) -> Option<Target> {
    Target::new(container.pid, name(pod, container))
}

fn name(pod: &PodSandbox, container: &Container) -> String {
    format!("{}/{}/{}", pod.namespace, pod.name, container.name)
}
