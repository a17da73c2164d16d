//! The thread that places views in running containers.
//!
//! Entering a container's namespaces may take seconds if the container makes it slow, and the runtime waits
//! for an answer of the plugin. So that work has a thread of its own, which does one container after the other.
//! While vistafs does not answer, containers wait for it there.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use vistafs_attach::Binding;
use vistafs_attach::attach::{self, Outcome, Row, Selector, Wanted};
use vistafs_attach::oci;

/// Orders that wait. A runtime starts fewer containers than this while one order is carried out.
const MOST_ORDERS: usize = 1024;

/// How often a mount is tried that does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// A running container.
#[derive(Debug)]
pub(super) struct Target {
    pid: u32,
    // Its mount namespace: the process may end, and another one get its number, before its turn.
    namespace: u64,
    name: String,
}

impl Target {
    /// A container by its first process, in the pid namespace of vistafs, and its name in messages. `None`
    /// if it has ended.
    pub(super) fn new(pid: u32, name: String) -> Option<Self> {
        let namespace = namespace(pid)?;
        Some(Self {
            pid,
            namespace,
            name,
        })
    }

    fn is_running(&self) -> bool {
        namespace(self.pid) == Some(self.namespace)
    }
}

fn namespace(pid: u32) -> Option<u64> {
    let file = std::fs::metadata(format!("/proc/{pid}/ns/mnt")).ok()?;
    Some(file.ino())
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
        if targets.is_empty() {
            return;
        }
        if let Err(error) = self.orders.try_send(targets) {
            log::warn!(
                "running containers were left without views: {error} (vistafs attach --all places them)"
            );
        }
    }
}

fn work(mount: &Path, views: &[&str], ordered: &Receiver<Vec<Target>>) {
    for targets in ordered {
        wait(mount, targets.len());
        let placed = targets.iter().filter(|target| place(mount, views, target));
        let (placed, all) = (placed.count(), targets.len());
        log::info!("placed views in {placed} of {all} running containers");
    }
}

/// Waits until vistafs serves.
fn wait(mount: &Path, count: usize) {
    let mut is_reported = false;
    while !oci::is_serving(mount) {
        if !is_reported {
            log::warn!(
                "running containers without views: {count}; vistafs does not answer at {} (systemctl status \
                 vistafs)",
                mount.display()
            );
        }
        is_reported = true;
        thread::sleep(AGAIN);
    }
}

/// Places the views in a container; whether any was placed.
fn place(mount: &Path, views: &[&str], target: &Target) -> bool {
    let Target { pid, name, .. } = target;
    let wanted = Wanted {
        of: Selector::Pids(&[*pid]),
        views,
        detach: false,
        is_dry_run: false,
    };
    if !target.is_running() {
        log::debug!("container {name} has ended");
        return false;
    }
    match attach::attach(mount, &wanted) {
        Ok(rows) => {
            report(name, &rows);
            rows.iter().any(|row| row.outcome == Outcome::Attached)
        }
        Err(error) => {
            log::warn!(
                "container {name} keeps the host's files: {} (vistafs attach --pid {pid})",
                error.line()
            );
            false
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_another_namespace_is_another_container() {
        let own = Target::new(std::process::id(), "own".to_owned()).unwrap();
        assert!(own.is_running());
        let reused = Target {
            namespace: own.namespace + 1,
            ..own
        };
        assert!(!reused.is_running());
        assert!(Target::new(u32::MAX, "none".to_owned()).is_none());
    }
}
