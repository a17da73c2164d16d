//! The cost of sampling a container's load, with and without processes outside.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::crowd::Crowd;
use super::thread::{Used, threads, used};
use crate::program::FAST_DAEMON;
use crate::work_dir::WorkDir;

const SAMPLER: &str = "load-sampler";
/// How long vistafs samples after the last reading in this benchmark.
const IDLE_SECONDS: u64 = 5;

/// One container that reads /proc/loadavg every second, without and with idle processes outside.
#[derive(Args)]
pub(crate) struct LoadavgArgs {
    /// Idle processes outside of the container.
    #[arg(long, default_value_t = 20_000)]
    processes: u64,
    /// Threads in the container.
    #[arg(long, default_value_t = 20)]
    threads: u32,
    /// How long each row is measured.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

impl LoadavgArgs {
    pub(super) fn run(&self) -> Result<()> {
        let work = WorkDir::new()?;
        let mut container = Container::start(&work.path, self.threads)?;
        let span = Duration::from_secs(self.seconds);
        let mut rows = Vec::new();
        let asked = |rows: &mut Vec<_>, container: &mut Container, outside| -> Result<()> {
            let sampler = container.sampler()?;
            let row = measure(span, || used(&sampler))?;
            rows.push(("the sampler", outside, "every second", row));
            Ok(())
        };
        asked(&mut rows, &mut container, 0)?;
        let crowd = Crowd::new(self.processes)?;
        asked(&mut rows, &mut container, self.processes)?;
        container.stop_asking()?;
        let row = measure(span, || used(&threads(container.pid(), None)?))?;
        rows.push(("all of vistafs", self.processes, "no more", row));
        if !threads(container.pid(), Some(SAMPLER))?.is_empty() {
            bail!("the sampler is still there");
        }
        drop(crowd);
        container.end()?;
        work.remove();

        println!(
            "\n{} threads in the container, {} s each\n\n\
             | measured | processes outside | asked | CPU time | of one CPU | switches | reads |\n\
             |---|---|---|---|---|---|---|",
            self.threads, self.seconds
        );
        for (what, outside, asked, row) in rows {
            let share = percent(row.cpu_ns, span);
            println!(
                "| {what} | {outside} | {asked} | {} µs | {share} % | {} | {} |",
                row.cpu_ns / 1000,
                row.switches,
                row.reads
            );
        }
        Ok(())
    }
}

/// In thousandths of a percent, without floating point.
fn percent(cpu_ns: u64, of: Duration) -> String {
    let thousandths = u128::from(cpu_ns) * 100_000 / of.as_nanos().max(1);
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

fn measure(span: Duration, used: impl Fn() -> Result<Used>) -> Result<Used> {
    let before = used()?;
    sleep(span);
    Ok(used()? - before)
}

/// `vistafs run` with a shell that reads its load.
struct Container {
    child: Child,
}

impl Container {
    fn start(work: &Path, threads: u32) -> Result<Self> {
        let config = work.join("config.toml");
        fs::write(
            &config,
            format!("[view.loadavg]\nidle_seconds = {IDLE_SECONDS}\n"),
        )?;
        let script = "i=0; while [ $i -lt $0 ]; do sleep 1000000 & i=$((i+1)); done\n\
             while sleep 1; do cat /proc/loadavg >/dev/null; done & asking=$!\n\
             read _; kill $asking; read _";
        let child = Command::new(FAST_DAEMON.build()?)
            .arg("run")
            .arg("--config")
            .arg(&config)
            .args(["--", "sh", "-c", script, &threads.to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .context("running vistafs")?;
        Ok(Self { child })
    }

    /// The server's process.
    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the sampling thread once it runs.
    fn sampler(&mut self) -> Result<Vec<std::path::PathBuf>> {
        self.wait_for(|found| !found.is_empty())
    }

    /// Stops reading; returns when the sampler has ended.
    fn stop_asking(&mut self) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("no pipe")?;
        stdin.write_all(b"\n")?;
        self.wait_for(<[_]>::is_empty).map(|_| ())
    }

    fn wait_for(
        &mut self,
        condition: impl Fn(&[std::path::PathBuf]) -> bool,
    ) -> Result<Vec<std::path::PathBuf>> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(IDLE_SECONDS + 30) {
            let found = threads(self.pid(), Some(SAMPLER))?;
            if condition(&found) {
                return Ok(found);
            }
            sleep(Duration::from_millis(100));
        }
        bail!("the sampler does not start, or does not end");
    }

    fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_three_decimals() {
        let of = Duration::from_secs(1);
        assert_eq!(percent(10_000_000, of), "1.000");
        assert_eq!(percent(12_345, of), "0.001");
        assert_eq!(percent(1_500_000_000, of), "150.000");
    }
}
