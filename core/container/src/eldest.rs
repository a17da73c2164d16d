//! When a container began, and who stands in for an init where it has none of its own: its eldest
//! process.

use std::ops::ControlFlow;
use std::time::Duration;

use vistafs_cgroup::{Located, Tasks};
use vistafs_host::{Host, HostError, NamespaceKey, Process};

use crate::budgets;

/// The eldest process in the cgroups, of certain namespaces if so asked, and its start since boot.
/// At the root of a hierarchy there is none: all of the host's would have to be looked at. Of a container with
/// many processes only the first that the kernel lists are looked at, which are its elder ones as a rule.
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
        // Those that end meanwhile are none.
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

/// The start of the first of a process's ancestors, itself included, that is in its cgroup
/// namespace: of the container's own init, where the process is one of a sandbox inside it.
pub(crate) fn outermost_start(
    host: &Host,
    key: NamespaceKey,
    process: &Process,
) -> Result<Duration, HostError> {
    let mut start = process.start(host)?;
    let mut parent = process.parent()?;
    let mut left = budgets::ANCESTORS_LOOKED_AT;
    // One that ends meanwhile, or hides its namespaces, is the end of the chain.
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
