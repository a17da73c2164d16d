//! Prepares a new cgroup for processes and limits.
//!
//! v1: a cpuset without CPUs and memory nodes accepts no process. v2: a cgroup has a controller only if
//! its parent enables it for children.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use vistafs_cgroup::Version;

use super::{Place, make_directory, tree};

/// v2 controllers that views show and limits need. Controllers in use by v1 are not available.
const HANDED_DOWN: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// The cgroup in the root of a container's v2 tree that takes the root's processes.
const EVACUATED: &str = "init";

/// Attempts to move all of them.
const MOST_ROUNDS: usize = 10;

/// Prepares the parent of all containers. Only the `needed` controllers must work.
pub(super) fn prepare_parent(place: &Place, needed: &[&str]) -> Result<()> {
    match place.version {
        Version::V1 if place.has("cpuset") => inherit_cpuset(&place.root, &place.parent),
        Version::V1 => Ok(()),
        Version::V2 => prepare_v2_parent(place, needed),
    }
}

fn prepare_v2_parent(place: &Place, needed: &[&str]) -> Result<()> {
    let offered = offered(&place.root)?;
    let needed = |controller: &str| needed.contains(&controller);
    if is_crowded(&place.root) {
        // Without a limit to set, other processes stay where they are. Enabling a controller would keep
        // processes out of these cgroups.
        if !HANDED_DOWN
            .into_iter()
            .any(|c| needed(c) && is_in(&offered, c))
        {
            return Ok(());
        }
        evacuate(&place.root)?;
    }
    for controller in HANDED_DOWN.into_iter().filter(|c| is_in(&offered, c)) {
        let outcome =
            hand_down(&place.root, controller).and_then(|()| hand_down(&place.parent, controller));
        match outcome {
            Err(error) if needed(controller) => return Err(error),
            Err(error) => log::debug!("{error:#}"),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Returns whether the "no internal processes" rule applies: in a container the root of the tree is an
/// ordinary cgroup for the kernel, and may have the container's processes.
fn is_crowded(root: &Path) -> bool {
    // The kernel's real root has no type, and is exempt.
    root.join("cgroup.type").exists() && !tree::processes(root).is_empty()
}

/// Prepares a container's own cgroup.
pub(super) fn prepare_own(place: &Place) -> Result<()> {
    if place.version == Version::V1 && place.has("cpuset") {
        inherit_cpuset(&place.parent, &place.own)?;
    }
    Ok(())
}

fn inherit_cpuset(from: &Path, to: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (from, to) = (from.join(file), to.join(file));
        let value = fs::read(&from).with_context(|| from.display().to_string())?;
        fs::write(&to, value).with_context(|| format!("writing {}", to.display()))?;
    }
    Ok(())
}

fn offered(root: &Path) -> Result<String> {
    let path = root.join("cgroup.controllers");
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn is_in(list: &str, controller: &str) -> bool {
    list.split_whitespace().any(|one| one == controller)
}

fn hand_down(cgroup: &Path, controller: &str) -> Result<()> {
    let path = cgroup.join("cgroup.subtree_control");
    let at = || format!("enabling {controller} in {}", path.display());
    if is_in(&fs::read_to_string(&path).with_context(at)?, controller) {
        return Ok(());
    }
    fs::write(&path, format!("+{controller}")).with_context(at)
}

/// Moves the processes of a container's root into a child. The limits of the root still apply.
fn evacuate(root: &Path) -> Result<()> {
    let aside = root.join(EVACUATED);
    make_directory(&aside)?;
    let procs = aside.join("cgroup.procs");
    // Again until none is left: they may fork meanwhile.
    for _ in 0..MOST_ROUNDS {
        let pids = tree::processes(root);
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            // An ended process need not be moved.
            if let Err(error) = fs::write(&procs, pid.as_raw_nonzero().to_string()) {
                log::debug!("moving process {pid:?} to {}: {error}", aside.display());
            }
        }
    }
    bail!(
        "limits need a cgroup without processes above them: move those in {}/cgroup.procs into a cgroup below it",
        root.display()
    )
}
