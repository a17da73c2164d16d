//! Makes a captured host with any number of CPUs: each CPU is a copy of the first.
//!
//! The container may use all of them, without a quota.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Copies the captured host `from` to `to`, with CPUs 0 to `cpus` - 1.
///
/// # Errors
/// If a file cannot be read or written.
pub fn make(from: &Path, to: &Path, cpus: usize) -> Result<()> {
    copy(from, to, cpus).with_context(|| format!("making {} of {}", to.display(), from.display()))
}

fn copy(from: &Path, to: &Path, cpus: usize) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&path, &target, cpus)?;
        } else if kind.is_file() {
            let text = fs::read(&path)?;
            let name = entry.file_name();
            let in_system = path
                .to_string_lossy()
                .contains("/devices/system/cpu/online");
            let remade = std::str::from_utf8(&text)
                .ok()
                .and_then(|text| remade(&name.to_string_lossy(), in_system, text, cpus));
            fs::write(target, remade.map_or(text, String::into_bytes))?;
        }
    }
    Ok(())
}

/// Returns the contents for `cpus` CPUs; `None`: they do not depend on the number.
fn remade(name: &str, in_system: bool, text: &str, cpus: usize) -> Option<String> {
    let list = format!("0-{}\n", cpus - 1);
    let each = |line: &dyn Fn(usize) -> String| (0..cpus).map(line).collect::<String>();
    Some(match name {
        "cpuset.cpus" | "cpuset.effective_cpus" | "cpuset.cpus.effective" => list,
        "online" if in_system => list,
        "cpu.max" => "max 100000\n".to_owned(),
        "cpu.cfs_quota_us" => "-1\n".to_owned(),
        "cpuacct.usage_percpu" => each(&|cpu| format!("{} ", 10_000_000 + cpu)) + "\n",
        "cpuacct.usage_all" => {
            let lines = each(&|cpu| format!("{cpu} 8000000 1000000\n"));
            "cpu user system\n".to_owned() + &lines
        }
        "cpuinfo" => {
            let block = text.split_inclusive("\n\n").next()?;
            let (_, rest) = block.split_once('\n')?;
            each(&|cpu| format!("processor\t: {cpu}\n{rest}"))
        }
        "stat" if text.starts_with("cpu ") => {
            let (sum, _) = text.split_once('\n')?;
            let (_, columns) = sum.split_once("  ")?;
            let others = text.lines().filter(|line| !line.starts_with("cpu"));
            let others: String = others.map(|line| format!("{line}\n")).collect();
            format!("{sum}\n") + &each(&|cpu| format!("cpu{cpu} {columns}\n")) + &others
        }
        "softirqs" | "interrupts" => {
            let heading = each(&|cpu| format!("{:>11}", format!("CPU{cpu}")));
            let rows = text.lines().skip(1).map(|line| {
                let (label, _) = line.split_once(':').unwrap_or((line, ""));
                format!("{label}:{}\n", "          1".repeat(cpus))
            });
            format!("     {heading}\n") + &rows.collect::<String>()
        }
        "schedstat" => {
            let mut lines = text.lines();
            let heading = [lines.next()?, lines.next()?].join("\n");
            let (_, columns) = lines.next()?.split_once(' ')?;
            let domain = lines.next()?;
            format!("{heading}\n") + &each(&|cpu| format!("cpu{cpu} {columns}\n{domain}\n"))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::captured::{Captured, Warmth, fixtures};

    use super::*;

    #[test]
    fn each_cpu_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        for host in ["debian12-v1", "debian12-v2"] {
            let root = directory.path().join(host);
            make(&fixtures().join(host), &root, 200).unwrap();
            let captured = Captured::open(&root, Warmth::Warm).unwrap();
            let lines = |file: &str, word: &str| {
                let mut out = Vec::new();
                let view = captured.view(file).unwrap();
                captured.render(&*view, &mut Vec::new(), &mut out).unwrap();
                let text = String::from_utf8(out).unwrap();
                let lines = text.lines().map(|line| line.matches(word).count());
                lines.sum::<usize>()
            };
            assert_eq!(lines("proc/cpuinfo", "processor\t:"), 200);
            assert_eq!(lines("proc/stat", "cpu"), 201);
            assert_eq!(lines("proc/softirqs", "CPU"), 200);
            assert_eq!(lines("proc/interrupts", "CPU"), 200);
            assert_eq!(lines("proc/schedstat", "cpu"), 200);
        }
    }
}
