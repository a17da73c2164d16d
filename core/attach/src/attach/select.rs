//! Selects mount namespaces.
//!
//! A mount namespace is a container's if a process in it has another pid namespace than the host's
//! and another mount namespace than the host's. Containers can make as many of both as they like, so
//! what `--all` works on is bounded, and containers of the host come before what is nested in them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use vistafs_text::pid_cgroup;

use super::row::{Outcome, Row};
use crate::error::{Context as _, Result, bail};
use crate::namespaces::{self, MountNamespace};
use crate::work::Report as _;

/// Mount namespaces of one pid namespace; services in a container have some of their own.
const MOST_PER_PID_NAMESPACE: usize = 32;

/// Mount namespaces of a host.
const MOST: usize = 16_384;

/// A selection of containers.
#[derive(Debug, Clone, Copy)]
pub enum Selector<'s> {
    /// The mount namespaces of these processes.
    Pids(&'s [u32]),
    /// Those of all processes in this cgroup and below it, by its path in any hierarchy.
    Cgroup(&'s Path),
    /// All containers of the host.
    All,
}

/// The selected namespaces.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) namespaces: Vec<MountNamespace>,
    /// Numbers beyond the limits.
    pub(super) left: Vec<Row>,
}

/// A process of a container.
struct Process {
    pid: u32,
    mounts: u64,
    pids: u64,
}

impl Selector<'_> {
    pub(super) fn select(self) -> Result<Selected> {
        if let Self::Pids(pids) = self {
            let namespaces = namespaces::of(pids)?;
            return Ok(Selected {
                namespaces,
                left: Vec::new(),
            });
        }
        let host = Process::of("self").context("cannot read /proc/self/ns")?;
        let mut numbers =
            namespaces::numbers("/proc").context("cannot look for processes in /proc")?;
        numbers.sort_unstable();
        let mut found = Vec::new();
        for pid in numbers {
            // Processes may end meanwhile.
            let Ok(process) = Process::of(&pid.to_string()) else {
                continue;
            };
            let is_wanted = match self {
                Self::Cgroup(path) => is_below(pid, path),
                _ => process.pids != host.pids,
            };
            if is_wanted && process.mounts != host.mounts {
                found.push(Process { pid, ..process });
            }
        }
        if let Self::Cgroup(path) = self
            && found.is_empty()
        {
            bail!(
                "no process with a mount namespace of its own is in the cgroup {} (see /proc/PID/cgroup)",
                path.display()
            );
        }
        Ok(bounded(&found, depth))
    }
}

impl Process {
    fn of(pid: &str) -> std::io::Result<Self> {
        Ok(Self {
            pid: 0,
            mounts: namespaces::inode_of(pid, "mnt")?,
            pids: namespaces::inode_of(pid, "pid")?,
        })
    }
}

fn is_below(pid: u32, wanted: &Path) -> bool {
    let text = std::fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    pid_cgroup::memberships(&text)
        .flatten()
        .any(|one| Path::new(std::ffi::OsStr::from_bytes(one.path)).starts_with(wanted))
}

/// Returns the number of pid namespaces in which a process has an ID: 1 on the host.
fn depth(pid: u32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    line.map_or(usize::MAX, |numbers| numbers.split_whitespace().count())
}

/// Selects each mount namespace once, within the limits. Processes are in the order of their IDs.
fn bounded(processes: &[Process], depth: impl Fn(u32) -> usize) -> Selected {
    let mut by_mounts: BTreeMap<u64, MountNamespace> = BTreeMap::new();
    // The mount namespaces of each pid namespace, in the order of their first processes.
    let mut by_pids: BTreeMap<u64, (u32, Vec<u64>)> = BTreeMap::new();
    for process in processes {
        match by_mounts.entry(process.mounts) {
            Entry::Occupied(mut known) => known.get_mut().add(process.pid),
            Entry::Vacant(new) => {
                let mut namespace = MountNamespace {
                    inode: process.mounts,
                    pids: Vec::new(),
                };
                namespace.add(process.pid);
                new.insert(namespace);
                let container = by_pids.entry(process.pids);
                let (_, mounts) = container.or_insert_with(|| (process.pid, Vec::new()));
                mounts.push(process.mounts);
            }
        }
    }
    let mut containers: Vec<_> = by_pids.into_values().collect();
    containers.sort_by_cached_key(|(first, _)| (depth(*first), *first));
    let mut selected = Selected::default();
    let mut beyond = None;
    let mut count = 0;
    for (_, mounts) in containers {
        let (taken, rest) = mounts.split_at(mounts.len().min(MOST_PER_PID_NAMESPACE));
        let mut namespaces = taken.iter().filter_map(|inode| by_mounts.remove(inode));
        for namespace in &mut namespaces {
            if selected.namespaces.len() < MOST {
                selected.namespaces.push(namespace);
            } else {
                count += 1;
                beyond.get_or_insert(namespace);
            }
        }
        if let Some(first) = rest.first().and_then(|inode| by_mounts.remove(inode)) {
            let why = format!(
                "{} more mount namespaces of this container are left (vistafs attach --pid PID)",
                rest.len()
            );
            selected.left.push(left(&first, why));
        }
    }
    if let Some(first) = beyond {
        let why = format!("{count} more mount namespaces of the host are left: {MOST} at most");
        selected.left.push(left(&first, why));
    }
    selected.left.truncate(MOST);
    selected
}

fn left(namespace: &MountNamespace, why: String) -> Row {
    Row {
        outcome: Outcome::Left,
        ..Row::of_namespace(namespace, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, mounts: u64, pids: u64) -> Process {
        Process { pid, mounts, pids }
    }

    #[test]
    fn each_namespace_is_selected_once() {
        let processes = [
            process(5, 50, 500),
            process(6, 50, 500),
            process(7, 51, 500),
            process(8, 60, 600),
        ];
        // The container of process 5 is nested.
        let selected = bounded(&processes, |pid| if pid == 5 { 3 } else { 2 });
        let inodes: Vec<u64> = selected.namespaces.iter().map(|one| one.inode).collect();
        assert_eq!(inodes, [60, 50, 51]);
        assert_eq!(selected.namespaces[1].pids, [5, 6]);
        assert!(selected.left.is_empty());
    }

    #[test]
    fn a_container_with_many_namespaces_delays_no_other() {
        let mut processes: Vec<Process> = (0..40_000).map(|n| process(n, n.into(), 1)).collect();
        processes.push(process(50_000, 50_000, 2));
        let selected = bounded(&processes, |_| 2);
        assert_eq!(selected.namespaces.len(), MOST_PER_PID_NAMESPACE + 1);
        assert_eq!(selected.left.len(), 1);
        // The same with as many pid namespaces.
        let mut processes: Vec<Process> = (0..40_000)
            .map(|n| process(n, n.into(), n.into()))
            .collect();
        processes.push(process(50_000, 50_000, 50_000));
        let selected = bounded(&processes, |pid| if pid == 50_000 { 2 } else { 3 });
        assert_eq!(selected.namespaces.len(), MOST);
        assert_eq!(selected.namespaces[0].inode, 50_000);
        let why = selected.left[0].why.as_deref().unwrap();
        assert!(why.starts_with("23617 more mount namespaces"), "{why}");
    }
}
