//! The process in a container that executes read jobs and reports the latency of each read.
//!
//! It first bind-mounts its source over a file in its own mount namespace, as runtimes do: the path
//! is then short, and no name is looked up below the mount.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount, mount_bind};

use crate::job::{Done, Job, Length};
use crate::plan::Way;

/// Larger than any of the files.
const ROOM: usize = 256 << 10;

/// Executes jobs from standard input until it ends. `files`: an empty directory.
pub(crate) fn read(files: &Path) -> Result<()> {
    mount("none", files, "tmpfs", MountFlags::empty(), None).context("mounting a tmpfs")?;
    for (kind, name) in [("proc", "kernel-proc"), ("sysfs", "kernel-sys")] {
        let target = files.join(name);
        fs::create_dir(&target)?;
        mount(kind, &target, kind, MountFlags::empty(), None)
            .with_context(|| format!("mounting {kind}"))?;
    }
    let mut bound = Bound {
        files,
        known: HashMap::new(),
    };
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.lines() {
        let line = line?;
        let answer = match line.split_once(' ') {
            Some(("copy", path)) => bound.copy(path).map(|()| "copied\n".into()),
            Some(("crowd", threads)) => crowd(threads).map(|()| "crowded\n".into()),
            _ => Job::parse(&line).and_then(|job| bound.run(&job).map(|done| done.line())),
        };
        let answer = answer.unwrap_or_else(|error| format!("failed: {error:#}\n"));
        output.write_all(answer.as_bytes())?;
        output.flush()?;
    }
    Ok(())
}

/// Starts threads that sleep until this process ends.
fn crowd(threads: &str) -> Result<()> {
    for _ in 0..threads.parse()? {
        let thread = thread::Builder::new().stack_size(16 << 10);
        thread.spawn(|| {
            loop {
                thread::park();
            }
        })?;
    }
    Ok(())
}

/// Files that were bind-mounted.
struct Bound<'f> {
    files: &'f Path,
    known: HashMap<String, PathBuf>,
}

impl Bound<'_> {
    fn path(&mut self, source: &str) -> Result<PathBuf> {
        if let Some(known) = self.known.get(source) {
            return Ok(known.clone());
        }
        let own = match source.strip_prefix("kernel/") {
            Some(path) => self.files.join(format!("kernel-{path}")),
            None => {
                let own = self.files.join(self.known.len().to_string());
                fs::write(&own, "")?;
                mount_bind(source, &own).with_context(|| format!("binding {source}"))?;
                own
            }
        };
        self.known.insert(source.to_owned(), own.clone());
        Ok(own)
    }

    /// Copies a file; `words` is `FROM TO`.
    fn copy(&mut self, words: &str) -> Result<()> {
        let (from, to) = words.split_once(' ').context("copy FROM TO")?;
        let path = self.path(from)?;
        fs::write(to, fs::read(path)?).with_context(|| format!("writing {to}"))
    }

    fn run(&mut self, job: &Job) -> Result<Done> {
        let path = self.path(&job.path)?;
        let started = Instant::now();
        let mut each = Vec::new();
        if job.readers <= 1 {
            each = reads(&path, job)?;
        } else {
            let read = || reads(&path, job);
            let all = thread::scope(|scope| {
                let threads: Vec<_> = (0..job.readers).map(|_| scope.spawn(read)).collect();
                let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
                ends.collect::<Vec<_>>()
            });
            for one in all {
                each.append(&mut one.unwrap_or_else(|_| Ok(Vec::new()))?);
            }
        }
        Ok(Done {
            elapsed: nanos(started),
            each,
        })
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn reads(path: &Path, job: &Job) -> Result<Vec<u64>> {
    let mut text = vec![0; ROOM];
    let mut each = Vec::with_capacity(8192);
    let kept = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let begun = Instant::now();
    loop {
        let ended = match job.length {
            Length::Time(time) => begun.elapsed() >= time,
            Length::Reads(reads) => each.len() as u64 >= reads,
        };
        if ended {
            return Ok(each);
        }
        let started = Instant::now();
        let got = match job.way {
            Way::Kept => kept.read_at(&mut text, 0)?,
            Way::Open => File::open(path)?.read(&mut text)?,
        };
        each.push(nanos(started));
        black_box((got, &text));
    }
}
