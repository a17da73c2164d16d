//! What the readers of one container do to another one that reads its own files.
//!
//! A crowded container has 16 readers of a file that takes long, its neighbour has one reader of
//! `proc/meminfo`. Readers and servers may use all CPUs, as on a machine that is used. So the crowd takes
//! CPU time from the neighbour whoever serves it, and what counts is how much longer the neighbour waits
//! than beside a crowd that reads the same from the kernel's own file.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::container::Container;
use crate::figures::{hundredths, median, quantile};
use crate::job::{Job, Length};
use crate::plan::{FILES, Way};
use crate::server::Mounted;

const READERS: usize = 16;
/// A list of so many threads takes vistafs and the kernel long.
const THREADS: usize = 4000;
/// Longer than most of a time slice of the kernel's, so that a slice has reads that waited for one.
const SLICE: Duration = Duration::from_millis(250);
/// The crowd begins earlier than the neighbour, and ends later.
const MARGIN: Duration = Duration::from_millis(50);
/// What a neighbour may wait at most, of what it waits elsewhere, in hundredths.
pub(crate) const TARGET: u64 = 200;

/// One that waits longer than a slice.
const CONFIG: &str = "[[file]]\npath = \"proc/sleeper\"\ncommand = [\"/bin/sleep\", \"1\"]\n\
     user = \"nobody\"\ntimeout_ms = 4000\ncache_ms = 100\n";

/// How long the neighbour's reads took, ns, by what its neighbours read; medians of slices.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    pub(crate) crowd: &'static str,
    pub(crate) alone: Waited,
    /// Of the kernel's own file; none: it has no such file.
    pub(crate) kernel: Option<Waited>,
    pub(crate) vistafs: Waited,
}

impl Beside {
    /// What it waits more for a crowd on vistafs than for one elsewhere, in hundredths.
    pub(crate) fn ratio(&self) -> u64 {
        let elsewhere = self.kernel.unwrap_or(self.alone);
        hundredths(self.vistafs.p99, elsewhere.p99)
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waited {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

/// Measures all crowds, in turns.
pub(crate) fn run(vistafs: &Path, rounds: usize) -> Result<Vec<Beside>> {
    let work = Work::new()?;
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let cpus = format!("0-{}", cpus - 1);
    let config = work.0.join("config.toml");
    fs::write(&config, CONFIG)?;
    let config = config.to_str().context("a path that is no text")?;
    let arguments = ["mount", "--no-repair", "--config", config];
    let mounted = Mounted::start(vistafs, &arguments, work.0.join("vistafs"), &cpus)?;
    let files = work.0.join("files");
    let mut crowd = Container::start(&files, &cpus)?;
    let mut neighbour = Container::start(&files, &cpus)?;
    crowd.crowd(THREADS)?;

    let path = |below: &str| {
        let path = mounted.mount_point().join(below);
        path.to_string_lossy().into_owned()
    };
    let listed = crowd.threads()?;
    let below = listed.strip_prefix("/sys/fs")?;
    let rows = [
        (
            "list of threads",
            path(&below.to_string_lossy()),
            Some(listed.to_string_lossy().into_owned()),
        ),
        (
            "loadavg",
            path("proc/loadavg"),
            Some("kernel/proc/loadavg".into()),
        ),
        ("command that sleeps", path("proc/sleeper"), None),
    ];
    let own = FILES.iter().find(|file| file.name == "meminfo");
    let own = Job {
        path: path(own.context("no meminfo")?.path),
        way: Way::Open,
        readers: 1,
        length: Length::Time(SLICE),
    };
    let mut slices: Vec<[Slices; 3]> = rows.iter().map(|_| Default::default()).collect();
    // The first one warms up.
    for round in 0..=rounds {
        for ((_, vistafs, kernel), slices) in rows.iter().zip(&mut slices) {
            let settings = [None, kernel.as_ref(), Some(vistafs)];
            for turn in 0..settings.len() {
                let setting = (turn + round) % settings.len();
                if setting == 1 && kernel.is_none() {
                    continue;
                }
                let each = beside(&mut crowd, settings[setting], &mut neighbour, &own)?;
                if round > 0 {
                    slices[setting].add(each);
                }
            }
        }
    }
    let besides = rows.iter().zip(slices);
    Ok(besides
        .map(|((crowd, _, kernel), [alone, of_kernel, vistafs])| Beside {
            crowd,
            alone: alone.waited(),
            kernel: kernel.as_ref().map(|_| of_kernel.waited()),
            vistafs: vistafs.waited(),
        })
        .collect())
}

/// How long each of the neighbour's reads took while the crowd read a file, if any.
fn beside(
    crowd: &mut Container,
    file: Option<&String>,
    neighbour: &mut Container,
    own: &Job,
) -> Result<Vec<u64>> {
    let Some(file) = file else {
        return Ok(neighbour.run(own)?.each);
    };
    let job = Job {
        path: file.clone(),
        way: Way::Open,
        readers: READERS,
        length: Length::Time(SLICE + 2 * MARGIN),
    };
    thread::scope(|scope| {
        let reading = scope.spawn(|| crowd.run(&job));
        thread::sleep(MARGIN);
        let done = neighbour.run(own);
        let read = reading.join().ok().context("a thread has panicked")?;
        read.context("the crowd")?;
        Ok(done?.each)
    })
}

#[derive(Debug, Default)]
struct Slices {
    p50: Vec<u64>,
    p99: Vec<u64>,
}

impl Slices {
    fn add(&mut self, mut each: Vec<u64>) {
        self.p50.push(median(&mut each));
        self.p99.push(quantile(&mut each, 990));
    }

    fn waited(mut self) -> Waited {
        Waited {
            p50: median(&mut self.p50),
            p99: median(&mut self.p99),
        }
    }
}

/// A directory; removed at drop.
struct Work(PathBuf);

impl Work {
    fn new() -> Result<Self> {
        let work = std::env::temp_dir().join(format!("vistafs-beside-{}", std::process::id()));
        fs::create_dir_all(work.join("files"))
            .with_context(|| format!("creating {}", work.display()))?;
        Ok(Self(work))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left: {error}", self.0.display());
        }
    }
}
