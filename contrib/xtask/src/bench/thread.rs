//! Resource use of threads, from their directories in `/proc`.

use std::fs;
use std::ops::Sub;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// CPU time and counters since a thread's start.
#[derive(Clone, Copy, Default)]
pub(super) struct Used {
    pub(super) cpu_ns: u64,
    /// Context switches, voluntary and involuntary.
    pub(super) switches: u64,
    /// Calls of read(2) and similar system calls.
    pub(super) reads: u64,
}

impl Sub for Used {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            switches: self.switches.saturating_sub(earlier.switches),
            reads: self.reads.saturating_sub(earlier.reads),
        }
    }
}

/// The threads of a process, or those with this name.
pub(super) fn threads(pid: u32, name: Option<&str>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).context("vistafs has ended")? {
        let dir = entry?.path();
        // A thread that ends in the meantime has no name.
        let comm = fs::read_to_string(dir.join("comm")).unwrap_or_default();
        if name.is_none_or(|name| comm.trim_end() == name) {
            found.push(dir);
        }
    }
    Ok(found)
}

/// The total of some threads.
pub(super) fn used(threads: &[PathBuf]) -> Result<Used> {
    let mut sum = Used::default();
    for thread in threads {
        let read = |file: &str| {
            let path = thread.join(file);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        let scheduled = read("schedstat")?;
        let nanoseconds = scheduled.split_whitespace().next();
        sum.cpu_ns += nanoseconds
            .context("no time in schedstat")?
            .parse::<u64>()?;
        let status = read("status")?;
        for key in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
            sum.switches += field(&status, key, thread)?;
        }
        sum.reads += field(&read("io")?, "syscr:", thread)?;
    }
    Ok(sum)
}

fn field(text: &str, key: &str, thread: &Path) -> Result<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    let value = value.with_context(|| format!("{}: no {key}", thread.display()))?;
    Ok(value.trim().parse()?)
}
