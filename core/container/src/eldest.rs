//! Finds the start time of a container, and its eldest process, which replaces a missing init.

use std::ops::ControlFlow;
use std::time::Duration;

use vistafs_cgroup::{Located, Tasks};
use vistafs_host::{Host, HostError, NamespaceKey, Process};

use crate::budgets;

/// Returns the eldest process in the cgroups, optionally only of the namespaces `of`, and its start
/// since boot. Returns `None` at the root of a hierarchy, where every process of the host would
/// have to be checked. Checks only the first [`budgets::PROCESSES_LOOKED_AT`] processes that the
/// kernel lists, usually the elder ones.
pub(crate) fn eldest(
    host: &Host,
    located: &Located,
    of: Option<NamespaceKey>,
) -> Option<(Process, Duration)> {
    let consider = |pid: u32| -> Result<Option<(Process, Duration)>, HostError> {
        let process = Process::open(host, pid)?;
        let start = process.start(host)?;
        let fits = match of {
            Some(key) => process.namespaces()? == key,
            None => true,
        };
        Ok(fits.then_some((process, start)))
    };
    let cgroup = located.most_telling().filter(|cgroup| !cgroup.is_root())?;
    let mut eldest: Option<(Process, Duration)> = None;
    let mut left = budgets::PROCESSES_LOOKED_AT;
    let listed = Tasks::new(cgroup).processes(&mut |pid| {
        left -= 1;
        // Skips processes that end meanwhile.
        if let Ok(Some(found)) = consider(pid)
            && eldest.as_ref().is_none_or(|known| found.1 < known.1)
        {
            eldest = Some(found);
        }
        if left > 0 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    if let Err(error) = listed {
        log::debug!(
            "cannot list the processes of {}: {error}",
            cgroup.path().display()
        );
    }
    eldest
}

/// Returns the start of a process's outermost ancestor in the same cgroup namespace (or of the
/// process): if the process is in a nested sandbox, that is the container's own init.
pub(crate) fn outermost_start(
    host: &Host,
    key: NamespaceKey,
    process: &Process,
) -> Result<Duration, HostError> {
    let mut start = process.start(host)?;
    let mut parent = process.parent()?;
    let mut left = budgets::ANCESTORS_LOOKED_AT;
    // The chain ends at an ancestor that exits meanwhile or whose namespaces are not readable.
    while parent > 1
        && left > 0
        && let Ok(ancestor) = Process::open(host, parent)
        && ancestor
            .namespaces()
            .is_ok_and(|namespaces| namespaces.cgroup == key.cgroup)
    {
        left -= 1;
        start = ancestor.start(host)?;
        parent = ancestor.parent()?;
    }
    Ok(start)
}
