//! A cgroup and all cgroups below it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// Returns the names of the child cgroups; none if it is gone.
pub(super) fn children(cgroup: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(cgroup).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name())
        .collect()
}

/// Removes it; a missing one is no error. EBUSY: it has processes.
pub(super) fn remove(cgroup: &Path) -> Result<(), Errno> {
    for child in children(cgroup) {
        remove(&cgroup.join(child))?;
    }
    match rustix::fs::rmdir(cgroup) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Thaws it: on v1 a frozen process does not even die of SIGKILL.
pub(super) fn thaw(cgroup: &Path) {
    let state = cgroup.join("freezer.state");
    if fs::write(state, "THAWED").is_ok() {
        for child in children(cgroup) {
            thaw(&cgroup.join(child));
        }
    }
}

/// Kills every process in it.
pub(super) fn kill_all(cgroup: &Path) {
    thaw(cgroup);
    // Linux 5.14 and later, v2: kills all at once, even a fork bomb.
    if fs::write(cgroup.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let mut pids = Vec::new();
    collect(cgroup, &mut pids);
    for pid in pids {
        // An ended process need not be killed.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

fn collect(cgroup: &Path, pids: &mut Vec<Pid>) {
    pids.extend(processes(cgroup));
    for child in children(cgroup) {
        collect(&cgroup.join(child), pids);
    }
}

/// Returns the processes in it, without those of child cgroups.
pub(super) fn processes(cgroup: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let numbers = text.lines().filter_map(|line| line.parse().ok());
    // Zero is a process outside this pid namespace. kill(2) would take it for the caller's group.
    numbers
        .filter(|number| *number > 0)
        .filter_map(Pid::from_raw)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_removed_from_the_leaves() {
        let tmp = tempfile::tempdir().unwrap();
        let top = tmp.path().join("top");
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::create_dir_all(top.join("d")).unwrap();
        assert_eq!(children(&top).len(), 2);
        assert_eq!(remove(&top), Ok(()));
        assert!(!top.exists());
        assert_eq!(remove(&top), Ok(()));
        assert!(children(&top).is_empty());
    }

    #[test]
    fn processes_that_cannot_be_seen_are_left_alone() {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir(tmp.path().join("sub")).unwrap();
        fs::write(tmp.path().join("cgroup.procs"), "0\n12\n").unwrap();
        fs::write(tmp.path().join("sub/cgroup.procs"), "0\n13\n-1\n").unwrap();
        let mut pids = Vec::new();
        collect(tmp.path(), &mut pids);
        let numbers: Vec<i32> = pids.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
        assert_eq!(numbers, [12, 13]);
    }
}
