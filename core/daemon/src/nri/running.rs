//! The thread that places views in running containers.
//!
//! Entering a container's namespaces may take seconds if the container makes it slow, and the runtime waits
//! for an answer of the plugin. So that work has a thread of its own, which does one container after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::Context as _;
use vistafs_attach::Binding;
use vistafs_attach::attach::{self, Outcome, Row, Selector, Wanted};

/// Orders that wait. A runtime starts fewer containers than this while one order is carried out.
const MOST_ORDERS: usize = 1024;

/// A running container.
#[derive(Debug)]
pub(super) struct Target {
    /// Its first process, in the pid namespace of vistafs.
    pub(super) pid: u32,
    /// Its name in messages.
    pub(super) name: String,
}

/// The thread.
#[derive(Debug)]
pub(super) struct Running {
    orders: SyncSender<Vec<Target>>,
}

impl Running {
    /// Places the views of this mount.
    pub(super) fn new(mount: PathBuf, bindings: &[Binding]) -> anyhow::Result<Self> {
        let views: Vec<&'static str> = bindings.iter().map(|binding| binding.path).collect();
        let (orders, ordered) = sync_channel(MOST_ORDERS);
        let named = thread::Builder::new().name("attach".to_owned());
        named
            .spawn(move || work(&mount, &views, &ordered))
            .context("cannot start a thread")?;
        Ok(Self { orders })
    }

    /// Places the views in these containers, some time.
    pub(super) fn attach(&self, targets: Vec<Target>) {
        if let Err(error) = self.orders.try_send(targets) {
            log::warn!(
                "running containers were left without views: {error} (vistafs attach --all places them)"
            );
        }
    }
}

fn work(mount: &Path, views: &[&str], ordered: &Receiver<Vec<Target>>) {
    for targets in ordered {
        let mut placed = 0;
        for Target { pid, name } in &targets {
            let wanted = Wanted {
                of: Selector::Pids(&[*pid]),
                views,
                detach: false,
                is_dry_run: false,
            };
            match attach::attach(mount, &wanted) {
                Ok(rows) => {
                    placed += usize::from(rows.iter().any(|row| row.outcome == Outcome::Attached));
                    report(name, &rows);
                }
                Err(_) if !Path::new(&format!("/proc/{pid}")).exists() => {
                    log::debug!("container {name} has ended");
                }
                Err(error) => log::warn!(
                    "container {name} keeps the host's files: {} (vistafs attach --pid {pid})",
                    error.line()
                ),
            }
        }
        log::info!(
            "placed views in {placed} of {} running containers",
            targets.len()
        );
    }
}

/// Reports what was left out, each reason once.
fn report(name: &str, rows: &[Row]) {
    let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.outcome == Outcome::Left) {
        let paths = left.entry(row.why.as_deref().unwrap_or_default());
        paths
            .or_default()
            .push(row.path.as_deref().unwrap_or("all views"));
    }
    for (why, paths) in left {
        log::warn!("container {name}: left out {}: {why}", paths.join(" "));
    }
}
