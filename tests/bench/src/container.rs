//! A process in its own cgroup and namespaces that executes read jobs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::job::{Done, Job};

/// Bytes of memory that a container may use.
const LIMIT: &str = "268435456";

/// Roots for a cgroup with a limit: v1 first, because hybrid hosts have the controllers there.
const PLACES: [(&str, &str); 2] = [
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ("/sys/fs/cgroup", "memory.max"),
];

/// The other v1 hierarchies that views read.
const OTHERS: [&str; 4] = ["cpu", "cpuacct", "cpuset", "blkio"];

/// A container, which ends on drop.
pub(crate) struct Container {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    cgroups: Cgroups,
}

impl Container {
    /// Starts a container, its reader on CPUs `cpus`. `files`: an empty directory, shared by all.
    pub(crate) fn start(files: &Path, cpus: &str) -> Result<Self> {
        let cgroups = Cgroups::new()?;
        let mut script = String::new();
        for dir in &cgroups.0 {
            script += &format!("echo $$ > '{}/cgroup.procs' || exit 1\n", dir.display());
        }
        script += "exec taskset -c \"$1\" unshare -mCpf --propagation private \"$0\" reader \"$2\"";
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe()?)
            .arg(cpus)
            .arg(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("running sh")?;
        Ok(Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().context("no pipe")?),
            child,
            cgroups,
        })
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        let input = self.input.as_mut().context("a container has ended")?;
        input.write_all(line.as_bytes())?;
        let mut answer = String::new();
        if self.output.read_line(&mut answer)? == 0 {
            bail!("a container has ended: {line}");
        }
        Ok(answer)
    }

    /// Copies the file `from`, as the container reads it, to a file on the host.
    pub(crate) fn copy(&mut self, from: &str, to: &Path) -> Result<()> {
        let answer = self.ask(&format!("copy {from} {}\n", to.display()))?;
        if answer != "copied\n" {
            bail!("copying {from}: {}", answer.trim_end());
        }
        Ok(())
    }

    /// Starts threads in the container that sleep as long as it lives.
    pub(crate) fn crowd(&mut self, threads: usize) -> Result<()> {
        let answer = self.ask(&format!("crowd {threads}\n"))?;
        if answer != "crowded\n" {
            bail!("starting {threads} threads: {}", answer.trim_end());
        }
        Ok(())
    }

    /// Returns the kernel's list of its threads.
    pub(crate) fn threads(&self) -> Result<PathBuf> {
        let files = ["tasks", "cgroup.threads"].map(|name| self.cgroups.0[0].join(name));
        let found = files.into_iter().find(|path| path.exists());
        found.context("no list of a cgroup's threads")
    }

    pub(crate) fn run(&mut self, job: &Job) -> Result<Done> {
        Done::parse(&self.ask(&job.line())?)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The reader exits at the end of its input, and its pid namespace with it.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// The cgroups of one container, removed on drop.
struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vistafs-bench-{}-{number}", std::process::id());
        for (root, limit) in PLACES {
            let root = Path::new(root);
            let path = root.join(&name);
            if !root.join("cgroup.procs").exists() || fs::create_dir(&path).is_err() {
                continue;
            }
            let mut made = Self(vec![path.clone()]);
            if fs::write(path.join(limit), LIMIT).is_err() {
                continue;
            }
            for other in OTHERS {
                let other = Path::new("/sys/fs/cgroup").join(other);
                // `cpu` may be a link to `cpu,cpuacct`.
                if other.join("cgroup.procs").exists() && limit != "memory.max" {
                    made.add(&other, &name)?;
                }
            }
            return Ok(made);
        }
        bail!("no cgroup with a memory limit can be made below /sys/fs/cgroup");
    }

    fn add(&mut self, root: &Path, name: &str) -> Result<()> {
        let path = root.join(name);
        if path.exists() {
            return Ok(());
        }
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if root.join(file).exists() {
                fs::write(path.join(file), fs::read(root.join(file))?)?;
            }
        }
        self.0.push(path);
        Ok(())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for path in &self.0 {
            for attempt in 0..100 {
                if fs::remove_dir(path).is_ok() {
                    break;
                }
                if attempt == 99 {
                    eprintln!("{} is left", path.display());
                }
                // The kernel uncharges the last process slightly after its end.
                sleep(Duration::from_millis(10));
            }
        }
    }
}
