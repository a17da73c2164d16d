//! The cost for a container of reading its files on vistafs, on its page-cache tree, on lxcfs and on the
//! kernel's /proc, in one run. A fifth file system, whose contents are always in the page cache and which
//! gets only OPEN and RELEASE, gives the minimum cost of an open that sends a request.
//!
//! All of it runs on one CPU: a round trip to another CPU would measure the time to wake that one.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::program::{FAST_BENCH, FAST_DAEMON};
use crate::work_dir::WorkDir;

const FILES: [&str; 7] = [
    "meminfo",
    "stat",
    "uptime",
    "loadavg",
    "cpuinfo",
    "swaps",
    "diskstats",
];
const SERVERS: [&str; 5] = ["vistafs", "hot", "asked", "lxcfs", "kernel"];
const LIMIT: &str = "268435456";

/// A container that reads its files in turns from vistafs, its page-cache tree, lxcfs (if it is installed) and /proc.
#[derive(Args)]
pub(crate) struct PageCacheArgs {
    /// How often each is measured; the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Milliseconds of each measurement.
    #[arg(long, default_value_t = 60)]
    slice: u64,
    /// How long a text may be kept; 0: never.
    #[arg(long, default_value_t = 50)]
    ttl_ms: u32,
    /// Inside of the container: where the files are.
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
}

impl PageCacheArgs {
    pub(super) fn run(&self) -> Result<()> {
        if let Some(files) = &self.inside {
            return self.measure(files);
        }
        let work = WorkDir::new()?;
        let cgroup = Cgroup::new()?;
        for dir in SERVERS {
            fs::create_dir_all(work.path.join("files").join(dir))?;
        }
        let config = work.path.join("config.toml");
        fs::write(&config, format!("[page_cache]\nttl_ms = {}\n", self.ttl_ms))?;
        let daemon = FAST_DAEMON.build()?;
        let daemon = daemon.to_str().context("a path that is not UTF-8")?;
        let config = config.to_str().context("a path that is not UTF-8")?;
        let arguments = ["mount", "--no-repair", "--config", config];
        let vistafs = Server::start(daemon, &arguments, work.path.join("vistafs"))?;
        let arguments = ["mount", "--page-cache", "--no-repair", "--config", config];
        let hot = Server::start(daemon, &arguments, work.path.join("hot"))?;
        let texts = work.path.join("texts");
        fs::create_dir_all(texts.join("proc"))?;
        for file in FILES {
            let mut text = fs::read(Path::new("/proc").join(file))?;
            // At most the size that can be page-cached.
            text.truncate(4096);
            fs::write(texts.join("proc").join(file), text)?;
        }
        let bench = FAST_BENCH.build()?;
        let bench = bench.to_str().context("a path that is not UTF-8")?;
        let texts = texts.to_str().context("a path that is not UTF-8")?;
        let arguments = ["null", "--kept", texts];
        let asked = Server::start(bench, &arguments, work.path.join("asked"))?;
        let lxcfs = Server::start("lxcfs", &["-f"], work.path.join("lxcfs"));
        if let Err(error) = &lxcfs {
            eprintln!("without lxcfs: {error:#}");
        }
        let status = Command::new("taskset")
            .args(["-c", "0", "sh", "-c", SCRIPT])
            .arg(std::env::current_exe()?)
            .args([self.rounds.to_string(), self.slice.to_string()])
            .env("WORK", &work.path)
            .env("CGROUP", &cgroup.0)
            .env("FILES", FILES.join(" "))
            .status()?;
        if !status.success() {
            bail!("the container has failed: {status}");
        }
        drop((lxcfs, asked, hot, vistafs));
        work.remove();
        Ok(())
    }

    fn measure(&self, files: &Path) -> Result<()> {
        let slice = Duration::from_millis(self.slice);
        let mut rows = Vec::new();
        for file in FILES {
            for server in SERVERS {
                let path = files.join(server).join(file);
                if path.metadata().is_ok_and(|found| found.len() > 0) || server == "kernel" {
                    rows.push(Row::new(file, server, path)?);
                }
            }
        }
        for _ in 0..self.rounds {
            for row in &mut rows {
                row.measure(slice)?;
            }
        }
        let medians: Vec<_> = rows.iter_mut().map(Row::medians).collect();
        let of = |file: &str, server: &str| {
            let found = medians.iter().find(|m| (m.0, m.1) == (file, server));
            found.map(|m| (m.2, m.3))
        };
        println!(
            "ns for each, medians of {} x {} ms; TTL {} ms",
            self.rounds, self.slice, self.ttl_ms
        );
        let (kernel_kept, kernel_open) = of("meminfo", "kernel").context("no /proc/meminfo")?;
        let told = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
        let to = |own: Option<u64>, other: Option<u64>| {
            own.zip(other)
                .map_or("-".into(), |(own, other)| ratio(own, other))
        };
        println!(
            "\nA kept descriptor:\n\n\
             | file | vistafs | hot | lxcfs | kernel | vistafs of the kernel's meminfo \
             | hot of that |\n|---|---|---|---|---|---|---|"
        );
        for file in FILES {
            let kept = |server| of(file, server).map(|row| row.0);
            let [vistafs, hot, lxcfs, kernel] = ["vistafs", "hot", "lxcfs", "kernel"].map(kept);
            println!(
                "| {file} | {} | {} | {} | {} | {} | {} |",
                told(vistafs),
                told(hot),
                told(lxcfs),
                told(kernel),
                to(vistafs, Some(kernel_kept)),
                to(hot, Some(kernel_kept)),
            );
        }
        println!(
            "\nopen+read+close; asked: OPEN and RELEASE of a text that never changes:\n\n\
             | file | vistafs | asked | hot | lxcfs | kernel | vistafs of the kernel's meminfo \
             | hot of the kernel's own | lxcfs / vistafs | lxcfs / asked | lxcfs / hot |\n\
             |---|---|---|---|---|---|---|---|---|---|---|"
        );
        for file in FILES {
            let open = |server| of(file, server).map(|row| row.1);
            let [vistafs, hot, asked, lxcfs, kernel] = SERVERS.map(open);
            println!(
                "| {file} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                told(vistafs),
                told(asked),
                told(hot),
                told(lxcfs),
                told(kernel),
                to(vistafs, Some(kernel_open)),
                to(hot, kernel),
                to(lxcfs, vistafs),
                to(lxcfs, asked),
                to(lxcfs, hot),
            );
        }
        Ok(())
    }
}

/// `$0` is this program.
const SCRIPT: &str = r#"
echo $$ > "$CGROUP/cgroup.procs" || exit 1
exec unshare -mCpf --propagation private sh -c '
mount -t proc proc /proc || exit 1
for server in vistafs/self hot/self asked lxcfs; do for file in $FILES; do
    [ -s "$WORK/$server/proc/$file" ] || continue
    : > "$WORK/files/${server%/self}/$file"
    mount --bind "$WORK/$server/proc/$file" "$WORK/files/${server%/self}/$file" || exit 1
done; done
mount -t proc proc "$WORK/files/kernel"
"$0" bench page-cache --inside "$WORK/files" --rounds "$1" --slice "$2"
' "$0" "$@"
"#;

/// In hundredths, without floating point.
fn ratio(of: u64, to: u64) -> String {
    let hundredths = of.saturating_mul(100) / to.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

struct Row {
    file: &'static str,
    server: &'static str,
    path: PathBuf,
    kept: File,
    preads: Vec<u64>,
    opens: Vec<u64>,
}

impl Row {
    fn new(file: &'static str, server: &'static str, path: PathBuf) -> Result<Self> {
        let kept = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        Ok(Self {
            file,
            server,
            path,
            kept,
            preads: Vec::new(),
            opens: Vec::new(),
        })
    }

    fn measure(&mut self, slice: Duration) -> Result<()> {
        let mut text = vec![0; 64 << 10];
        self.preads.push(each(slice, || {
            let got = self.kept.read_at(&mut text, 0)?;
            if got == 0 && self.file != "swaps" {
                bail!("{} is empty", self.path.display());
            }
            black_box(&text);
            Ok(())
        })?);
        self.opens.push(each(slice, || {
            let mut file = File::open(&self.path)?;
            black_box(file.read(&mut text)?);
            Ok(())
        })?);
        Ok(())
    }

    fn medians(&mut self) -> (&'static str, &'static str, u64, u64) {
        let median = |values: &mut Vec<u64>| {
            values.sort_unstable();
            values.get(values.len() / 2).copied().unwrap_or(0)
        };
        let (kept, open) = (median(&mut self.preads), median(&mut self.opens));
        (self.file, self.server, kept, open)
    }
}

/// Nanoseconds per call.
fn each(slice: Duration, mut call: impl FnMut() -> Result<()>) -> Result<u64> {
    let started = Instant::now();
    let mut calls = 0_u64;
    while started.elapsed() < slice {
        for _ in 0..16 {
            call()?;
        }
        calls += 16;
    }
    let ns = u64::try_from(started.elapsed().as_nanos())?;
    Ok(ns / calls.max(1))
}

/// A cgroup with a memory limit for the container.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Result<Self> {
        let places = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        for (root, file) in places {
            let path = Path::new(root).join("vistafs-bench");
            if fs::create_dir(&path).is_ok() {
                let cgroup = Self(path);
                if fs::write(cgroup.0.join(file), LIMIT).is_ok() {
                    return Ok(cgroup);
                }
            }
        }
        bail!("no cgroup with a memory limit can be made (is vistafs-bench there already?)");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        eprintln!("{} is left", self.0.display());
    }
}

/// A file server on the same CPU; stopped on drop.
struct Server {
    child: Child,
    mount_point: PathBuf,
}

impl Server {
    fn start(program: &str, arguments: &[&str], mount_point: PathBuf) -> Result<Self> {
        fs::create_dir(&mount_point)?;
        let child = Command::new("taskset")
            .args(["-c", "0", program])
            .args(arguments)
            .arg(&mount_point)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("running taskset")?;
        let mut server = Self { child, mount_point };
        for _ in 0..500 {
            // Not one of its files: the container must be the first to look one up.
            let is_there = |name| fs::symlink_metadata(server.mount_point.join(name)).is_ok();
            if is_there("proc") || is_there("self") {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("{program} has ended: {status}");
            }
            sleep(Duration::from_millis(10));
        }
        bail!("{program} does not serve");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both exit when they are unmounted.
        let unmounted = Command::new("umount")
            .arg("-l")
            .arg(&self.mount_point)
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_two_decimals() {
        assert_eq!(ratio(700, 100), "7.00");
        assert_eq!(ratio(1, 3), "0.33");
        assert_eq!(ratio(1, 0), "1.00");
    }
}
