//! Measures CPU time and memory of a server's process and its descendants.

use std::fs;

use anyhow::{Context, Result};

/// Returns the IDs of a server's process and its descendants.
pub(crate) fn processes(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        for task in tasks(pid) {
            let children = fs::read_to_string(format!("{task}/children")).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|c| c.parse::<u32>().ok()),
            );
        }
    }
    found
}

fn tasks(pid: u32) -> Vec<String> {
    let all = fs::read_dir(format!("/proc/{pid}/task"));
    let entries = all.into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path().to_string_lossy().into_owned())
        .collect()
}

/// Returns the CPU time of all their live threads, in ns.
pub(crate) fn cpu_time(pids: &[u32]) -> u64 {
    let tasks = pids.iter().flat_map(|pid| tasks(*pid));
    let ran = |task: String| {
        let text = fs::read_to_string(format!("{task}/schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    tasks.filter_map(ran).sum()
}

/// Memory and descriptors of the processes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    /// Largest resident set of one process, in KiB.
    pub(crate) resident: u64,
    /// Proportional set size in KiB: memory shared by the processes counts once.
    pub(crate) proportional: u64,
    pub(crate) descriptors: u64,
}

pub(crate) fn held(pids: &[u32]) -> Result<Held> {
    let mut held = Held::default();
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .context("a server has ended")?;
        held.resident = held.resident.max(kib(&text, "Rss:"));
        held.proportional += kib(&text, "Pss:");
        held.descriptors += fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
    }
    Ok(held)
}

fn kib(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let own = processes(std::process::id());
        assert_eq!(own.first(), Some(&std::process::id()));
        assert!(cpu_time(&own) > 0);
        let held = held(&own[..1]).unwrap();
        assert!(held.resident > 0 && held.descriptors > 0);
    }
}
