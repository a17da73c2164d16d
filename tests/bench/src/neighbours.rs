//! Measures how the readers of one container affect a neighbour that reads its own files.
//!
//! The crowded container has 16 readers, its neighbour has one reader of `proc/meminfo` on vistafs.
//! Readers and servers may use all CPUs, as on a production machine. So the crowd takes CPU time
//! from the neighbour with any server. The result is the neighbour's latency relative to a crowd
//! that reads elsewhere: from the kernel's own file, or from the null file system, which also costs
//! a reader two context switches.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::container::Container;
use crate::figures::{hundredths, median, quantile};
use crate::job::{Job, Length};
use crate::plan::{Server, Way};
use crate::server::Mounted;

const READERS: usize = 16;
const MEMINFO: &str = "proc/meminfo";
/// A list of this many threads takes vistafs and the kernel long.
const THREADS: usize = 4000;
/// Longer than most of the kernel's time slices, so that a slice has reads that waited for one.
const SLICE: Duration = Duration::from_millis(250);
/// The crowd starts earlier than the neighbour and stops later.
const MARGIN: Duration = Duration::from_millis(50);
/// Maximum latency of a neighbour relative to the latency elsewhere, in hundredths.
const TARGET: u64 = 200;

/// A custom file whose command takes longer than a slice.
const CONFIG: &str = "[[file]]\npath = \"proc/sleeper\"\ncommand = [\"/bin/sleep\", \"1\"]\n\
     user = \"nobody\"\ntimeout_ms = 4000\ncache_ms = 100\n";

/// The neighbour's read latency in ns, by the crowd's file; medians of slices.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    pub(crate) crowd: &'static str,
    /// For [`ratio`](Self::ratio); none: the crowd's file is fast.
    pub(crate) target: Option<u64>,
    pub(crate) alone: Waited,
    /// The other server and the latency there; none: the crowd only sleeps.
    pub(crate) elsewhere: Option<(Server, Waited)>,
    pub(crate) vistafs: Waited,
}

impl Beside {
    /// Returns the latency beside a crowd on vistafs, relative to a crowd elsewhere, in hundredths.
    pub(crate) fn ratio(&self) -> u64 {
        let elsewhere = self.elsewhere.map_or(self.alone, |(_, waited)| waited);
        hundredths(self.vistafs.p99, elsewhere.p99)
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waited {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

/// The file of a crowd, and the same file on another server.
struct Crowd {
    reads: &'static str,
    path: String,
    elsewhere: Option<(Server, String)>,
    target: Option<u64>,
}

/// Measures all crowds in turns. `rounds` must be large: a slice has few reads that waited.
pub(crate) fn run(vistafs: &Path, rounds: usize) -> Result<Vec<Beside>> {
    let work = Work::new()?;
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let cpus = format!("0-{}", cpus - 1);
    let config = work.0.join("config.toml");
    fs::write(&config, CONFIG)?;
    let config = config.to_str().context("a path that is not UTF-8")?;
    let arguments = ["mount", "--no-repair", "--config", config];
    let mounted = Mounted::start(vistafs, &arguments, work.0.join("vistafs"), &cpus)?;
    let files = work.0.join("files");
    let texts = work.0.join("texts");
    fs::create_dir_all(texts.join("proc"))?;
    let meminfo = mounted.mount_point().join(MEMINFO);
    Container::start(&files, &cpus)?.copy(&meminfo.to_string_lossy(), &texts.join(MEMINFO))?;
    let bench = std::env::current_exe()?;
    let arguments = ["null", texts.to_str().context("a path that is not UTF-8")?];
    let null = Mounted::start(&bench, &arguments, work.0.join("null"), &cpus)?;
    let of_null = null.mount_point().join(MEMINFO);
    let of_null = of_null.to_string_lossy().into_owned();
    let mut crowded = Container::start(&files, &cpus)?;
    let mut neighbour = Container::start(&files, &cpus)?;
    crowded.crowd(THREADS)?;

    let path = |below: &str| {
        let path = mounted.mount_point().join(below);
        path.to_string_lossy().into_owned()
    };
    let listed = crowded.threads()?;
    let of_vistafs = in_cgroup_tree(mounted.mount_point(), &listed)?;
    let of_kernel = listed.to_string_lossy().into_owned();
    let crowds = [
        Crowd {
            reads: "list of 4000 threads",
            path: of_vistafs.to_string_lossy().into_owned(),
            elsewhere: Some((Server::Kernel, of_kernel)),
            target: Some(TARGET),
        },
        Crowd {
            reads: "command that sleeps",
            path: path("proc/sleeper"),
            elsewhere: None,
            target: Some(TARGET),
        },
        Crowd {
            reads: "meminfo, which is fast",
            path: path(MEMINFO),
            elsewhere: Some((Server::Null, of_null)),
            target: None,
        },
    ];
    let own = Job {
        path: path(MEMINFO),
        way: Way::Open,
        readers: 1,
        length: Length::Time(SLICE),
    };
    let mut slices: Vec<[Slices; 3]> = crowds.iter().map(|_| Default::default()).collect();
    // The first round warms up.
    for round in 0..=rounds {
        for (crowd, slices) in crowds.iter().zip(&mut slices) {
            let elsewhere = crowd.elsewhere.as_ref().map(|(_, path)| path);
            let settings = [None, elsewhere, Some(&crowd.path)];
            for turn in 0..settings.len() {
                let setting = (turn + round) % settings.len();
                if setting == 1 && elsewhere.is_none() {
                    continue;
                }
                let each = beside(&mut crowded, settings[setting], &mut neighbour, &own)?;
                if round > 0 {
                    slices[setting].add(each);
                }
            }
        }
    }
    let waited = |(crowd, slices): (Crowd, [Slices; 3])| {
        let [alone, elsewhere, vistafs] = slices.map(Slices::waited);
        Beside {
            crowd: crowd.reads,
            target: crowd.target,
            alone,
            elsewhere: crowd.elsewhere.map(|(server, _)| (server, elsewhere)),
            vistafs,
        }
    };
    Ok(crowds.into_iter().zip(slices).map(waited).collect())
}

/// Returns the path of a top-level cgroup's file in the cgroup tree of vistafs, in any hierarchy.
fn in_cgroup_tree(mount_point: &Path, file: &Path) -> Result<PathBuf> {
    let name = file.parent().and_then(Path::file_name);
    let below = Path::new(name.context("a cgroup has a name")?)
        .join(file.file_name().context("a file has a name")?);
    for hierarchy in fs::read_dir(mount_point.join("cgroup"))? {
        let path = hierarchy?.path().join(&below);
        if path.exists() {
            return Ok(path);
        }
    }
    bail!("vistafs does not serve {}", file.display())
}

/// Returns the latency of each of the neighbour's reads while the crowd reads a file, if any.
fn beside(
    crowded: &mut Container,
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
        let reading = scope.spawn(|| crowded.run(&job));
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

/// A working directory, removed on drop.
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
