//! Lists the mount namespaces: those of all threads, as each thread may have its own.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use crate::error::{Context as _, Result};
use vistafs_text::pid_cgroup;

/// Maximum number of recorded threads of a namespace: one of them will still exist later.
const TRIED: usize = 4;

/// A mount namespace and some of its threads.
#[derive(Debug)]
pub(crate) struct MountNamespace {
    /// Its inode number.
    pub(crate) inode: u64,
    /// Some of its threads, in the order of their IDs.
    pub(crate) pids: Vec<u32>,
}

impl MountNamespace {
    /// Adds a thread. A few are enough to find one that still exists later.
    pub(crate) fn add(&mut self, pid: u32) {
        if self.pids.len() < TRIED {
            self.pids.push(pid);
        }
    }

    /// Returns its name: the longest cgroup path of its first process, as runtimes put their
    /// names there.
    pub(crate) fn container(&self) -> String {
        let first = self.pids.first().copied().unwrap_or_default();
        container_of(first)
    }
}

/// Returns the longest cgroup path of a process.
pub(crate) fn container_of(pid: u32) -> String {
    // An ended process has none.
    let text = std::fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let paths = pid_cgroup::memberships(&text).flatten();
    let longest = paths.map(|one| one.path).max_by_key(|path| path.len());
    crate::protocol::shown(longest.unwrap_or(b"?"))
}

/// Returns all mount namespaces, by their first thread.
pub(crate) fn all() -> std::io::Result<Vec<MountNamespace>> {
    // Processes may end meanwhile.
    let mut threads: Vec<u32> = numbers("/proc")?
        .into_iter()
        .flat_map(|pid| numbers(&format!("/proc/{pid}/task")).unwrap_or_default())
        .collect();
    threads.sort_unstable();
    let found = threads
        .iter()
        .filter_map(|tid| Some((*tid, inode(*tid).ok()?)));
    Ok(by_inode(found))
}

/// Returns the numeric entries of a directory.
pub(crate) fn numbers(directory: &str) -> std::io::Result<Vec<u32>> {
    let entries = std::fs::read_dir(directory)?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect())
}

/// Returns the mount namespaces of some processes.
pub(crate) fn of(pids: &[u32]) -> Result<Vec<MountNamespace>> {
    let found: Vec<(u32, u64)> = pids
        .iter()
        .map(|pid| {
            Ok((
                *pid,
                inode(*pid).with_context(|| {
                    format!("no process {pid} (its number is the one that the host has for it)")
                })?,
            ))
        })
        .collect::<Result<_>>()?;
    Ok(by_inode(found.into_iter()))
}

fn inode(pid: u32) -> std::io::Result<u64> {
    inode_of(&pid.to_string(), "mnt")
}

/// Returns the inode number of a namespace of a process, or of `self`.
pub(crate) fn inode_of(process: &str, kind: &str) -> std::io::Result<u64> {
    Ok(std::fs::metadata(format!("/proc/{process}/ns/{kind}"))?.ino())
}

fn by_inode(processes: impl Iterator<Item = (u32, u64)>) -> Vec<MountNamespace> {
    let mut found: BTreeMap<u64, MountNamespace> = BTreeMap::new();
    for (pid, inode) in processes {
        let entry = found.entry(inode).or_insert_with(|| MountNamespace {
            inode,
            pids: Vec::new(),
        });
        entry.add(pid);
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by_key(|namespace| namespace.pids.first().copied());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_is_among_them() {
        let own = std::fs::metadata("/proc/self/ns/mnt").unwrap().ino();
        let found = all().unwrap();
        let found: Vec<_> = found.iter().filter(|one| one.inode == own).collect();
        assert_eq!(found.len(), 1);
        assert!(!found[0].pids.is_empty() && found[0].pids.len() <= TRIED);
    }

    #[test]
    fn who_is_not_there_has_no_name() {
        assert_eq!(container_of(0), "?");
        let text = of(&[0]).unwrap_err().to_string();
        assert!(text.starts_with("no process 0 "), "{text}");
    }
}
