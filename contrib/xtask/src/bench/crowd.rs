//! Many idle processes on the host.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// Memory of one process, at most, in KiB: measured 135 on Linux 6.18.
const KIB_EACH: u64 = 256;

const SCRIPT: &str = include_str!("../../../../tests/src/crowd.sh");

/// Processes that are idle until this is dropped.
pub(super) struct Crowd {
    shell: Child,
}

impl Crowd {
    /// Starts the processes if the memory suffices; returns when all of them run.
    pub(super) fn new(processes: u64) -> Result<Self> {
        let pids = number("/proc/sys/kernel/pid_max")?;
        if processes + 2000 > pids {
            bail!("{processes} processes are too many: kernel.pid_max is {pids}");
        }
        let free = available_kib()?;
        if processes * KIB_EACH > free {
            bail!("{processes} processes are too many for {free} KiB of memory");
        }
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, &processes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("running sh")?;
        let output = shell.stdout.take().context("no pipe")?;
        // One line for each hundred.
        let hundreds = usize::try_from(processes.div_ceil(100))?;
        if BufReader::new(output).lines().take(hundreds).count() < hundreds {
            bail!("{processes} processes could not be started");
        }
        let used = free.saturating_sub(available_kib()?);
        println!("{processes} processes take {} MiB", used / 1024);
        Ok(Self { shell })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Its exit status does not matter.
        let _ = self.shell.wait();
    }
}

fn number(path: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    Ok(text.trim().parse()?)
}

fn available_kib() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.context("no MemAvailable")?.parse()?)
}
