//! Writes limits, to v1 or v2.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use vistafs_cgroup::Version;
use vistafs_text::CpuSet;

use super::Place;
use crate::run::amount::CPU_PERIOD;
use crate::run::args::Limits;

/// Sets every given limit, or reports the one that this machine cannot set.
pub(super) fn apply(limits: &Limits, places: &[Place]) -> Result<()> {
    if let Some(bytes) = limits.memory {
        memory(places, bytes, limits.memory_swap)?;
    }
    if let Some(quota) = limits.cpu_quota {
        cpu(places, quota)?;
    }
    if let Some(cpus) = &limits.cpuset {
        cpuset(places, cpus)?;
    }
    Ok(())
}

fn memory(places: &[Place], bytes: u64, with_swap: Option<u64>) -> Result<()> {
    let place = place_of(places, "memory", "--memory")?;
    let (limit, swap_limit, swap) = match place.version {
        Version::V1 => (
            "memory.limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            with_swap,
        ),
        Version::V2 => (
            "memory.max",
            "memory.swap.max",
            with_swap.map(|total| total.saturating_sub(bytes)),
        ),
    };
    set(&place.own, limit, &bytes.to_string(), "--memory")?;
    if let Some(swap) = swap {
        let path = place.own.join(swap_limit);
        ensure!(
            path.exists(),
            "--memory-swap needs a kernel that accounts for swap: {} does not exist; \
             boot with swapaccount=1",
            path.display()
        );
        set(&place.own, swap_limit, &swap.to_string(), "--memory-swap")?;
    }
    Ok(())
}

fn cpu(places: &[Place], quota: u64) -> Result<()> {
    let place = place_of(places, "cpu", "--cpus")?;
    match place.version {
        Version::V1 => {
            let period = CPU_PERIOD.to_string();
            set(&place.own, "cpu.cfs_period_us", &period, "--cpus")?;
            set(&place.own, "cpu.cfs_quota_us", &quota.to_string(), "--cpus")
        }
        Version::V2 => {
            let both = format!("{quota} {CPU_PERIOD}");
            set(&place.own, "cpu.max", &both, "--cpus")
        }
    }
}

fn cpuset(places: &[Place], cpus: &CpuSet) -> Result<()> {
    let place = place_of(places, "cpuset", "--cpuset")?;
    let effective = match place.version {
        Version::V1 => "cpuset.effective_cpus",
        Version::V2 => "cpuset.cpus.effective",
    };
    // The kernel's behaviour differs: v1 refuses with EACCES, v2 uses the available CPUs.
    let path = place.parent.join(effective);
    let text = fs::read(&path).with_context(|| path.display().to_string())?;
    let here = CpuSet::parse(&text).with_context(|| path.display().to_string())?;
    ensure!(
        cpus.intersection(&here) == *cpus,
        "--cpuset {cpus}: the CPUs to choose from are {here}"
    );
    set(&place.own, "cpuset.cpus", &cpus.to_string(), "--cpuset")
}

/// Finds a controller: v1 before v2, as a machine has it in one of them only.
fn place_of<'p>(places: &'p [Place], controller: &str, option: &str) -> Result<&'p Place> {
    let v2 = places.iter().find(|place| place.version == Version::V2);
    let v2_has_it = |place: &&Place| {
        let list = fs::read_to_string(place.own.join("cgroup.controllers"));
        list.is_ok_and(|list| list.split_whitespace().any(|one| one == controller))
    };
    if let Some(place) = places.iter().find(|place| place.has(controller)) {
        return Ok(place);
    }
    if let Some(place) = v2.filter(v2_has_it) {
        return Ok(place);
    }
    let looked_at = v2.map_or_else(
        || "and no unified hierarchy is".to_owned(),
        |place| format!("nor is it in {}/cgroup.controllers", place.root.display()),
    );
    bail!(
        "{option} needs the cgroup controller `{controller}`: it is not mounted, {looked_at}; \
         if /proc/cmdline has cgroup_disable={controller}, boot without it"
    )
}

fn set(cgroup: &Path, file: &str, value: &str, option: &str) -> Result<()> {
    let path: PathBuf = cgroup.join(file);
    ensure!(
        path.exists(),
        "{option} needs a kernel that has {file}: {} does not exist",
        path.display()
    );
    fs::write(&path, value).with_context(|| {
        format!(
            "{option}: writing {value} to {} (a cgroup above may allow less)",
            path.display()
        )
    })
}
