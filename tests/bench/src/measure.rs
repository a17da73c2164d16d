//! The interleaved rounds.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::calls;
use crate::container::Container;
use crate::figures::{median, quantile};
use crate::job::{Done, Job, Length};
use crate::neighbours::{self, Beside};
use crate::plan::{FILES, File, Server, Way};
use crate::server::Mounted;
use crate::used::{self, Held};

/// How long to wait until servers must have dropped all state of ended containers.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// Reads per container if many containers read one after the other.
const READS_IN_TURN: u64 = 10;

/// The scope of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Targets,
    Quick,
    Neighbours,
}

/// The measured cases, and the number and duration of their slices.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scope: Scope,
    pub(crate) rounds: usize,
    pub(crate) slice: Duration,
    pub(crate) readers: Vec<usize>,
    /// Numbers of containers to spread readers over.
    pub(crate) containers: Vec<usize>,
    /// Names of files; empty: all.
    pub(crate) only: Vec<String>,
}

impl Plan {
    pub(crate) fn new(scope: Scope) -> Self {
        let (rounds, millis) = match scope {
            Scope::All => (7, 20),
            Scope::Targets | Scope::Neighbours => (15, 20),
            Scope::Quick => (3, 10),
        };
        Self {
            scope,
            rounds,
            slice: Duration::from_millis(millis),
            readers: match scope {
                Scope::All => vec![1, 2, 4, 16],
                _ => vec![1],
            },
            containers: match scope {
                Scope::All => vec![1, 100, 1000],
                _ => Vec::new(),
            },
            only: Vec::new(),
        }
    }

    fn files(&self) -> Vec<File> {
        let wanted = |file: &&File| match self.scope {
            Scope::Quick if self.only.is_empty() => ["meminfo", "uptime"].contains(&file.name),
            _ => self.only.is_empty() || self.only.iter().any(|name| name == file.name),
        };
        FILES.iter().filter(wanted).copied().collect()
    }
}

/// The case of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct What {
    pub(crate) server: Server,
    pub(crate) file: File,
    pub(crate) way: Way,
    /// Concurrent readers.
    pub(crate) readers: usize,
    /// `Some`: the readers are in this many containers and read in turns.
    pub(crate) spread: Option<usize>,
}

/// Medians of the slices; times in ns.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) what: What,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) per_second: u64,
    /// CPU time of the server per read.
    pub(crate) cpu: u64,
    /// System calls of the server per read, in hundredths.
    pub(crate) calls: Option<u64>,
}

/// Memory usage of a server at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) server: Server,
    pub(crate) when: String,
    pub(crate) held: Held,
}

/// All results of a run.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) neighbours: Vec<Beside>,
}

/// The servers, in a working directory that is removed on drop.
struct Bench {
    servers: Vec<(Server, Option<Mounted>)>,
    containers: Vec<Container>,
    work: PathBuf,
    cpu: String,
}

/// Runs the plan.
pub(crate) fn run(
    plan: &Plan,
    vistafs: &Path,
    before: Option<&Path>,
    config: &str,
) -> Result<Results> {
    if plan.scope == Scope::Neighbours {
        return Ok(Results {
            neighbours: neighbours::run(vistafs, plan.rounds)?,
            ..Results::default()
        });
    }
    let files = plan.files();
    if files.is_empty() {
        bail!("there is no such file; --file takes the names of the tables");
    }
    let mut bench = Bench::start(vistafs, before, config, &files)?;
    let mut results = Results::default();
    bench.weigh("at the start", &mut results)?;
    let singles = files.iter().flat_map(|file| {
        let ways = Way::ALL.iter();
        ways.flat_map(|way| {
            plan.readers
                .iter()
                .map(|readers| (*file, *way, *readers, None))
        })
    });
    let singles: Vec<_> = singles.collect();
    bench.rounds(plan, &singles, &mut results)?;
    if plan.scope == Scope::All {
        bench.count_calls(&mut results)?;
    }
    if !plan.containers.is_empty() {
        bench.spread(plan, &files, &mut results)?;
    }
    drop(bench);
    if plan.scope == Scope::All {
        results.neighbours = neighbours::run(vistafs, plan.rounds)?;
    }
    Ok(results)
}

impl Bench {
    fn start(vistafs: &Path, before: Option<&Path>, config: &str, files: &[File]) -> Result<Self> {
        let work = std::env::temp_dir().join(format!("vistafs-bench-{}", std::process::id()));
        let texts = work.join("texts");
        fs::create_dir(&work).with_context(|| format!("creating {}", work.display()))?;
        fs::create_dir(work.join("files"))?;
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let cpu = (cpus - 1).to_string();
        let cpu = cpu.as_str();
        let mut bench = Self {
            servers: Vec::new(),
            containers: Vec::new(),
            work: work.clone(),
            cpu: cpu.to_owned(),
        };
        let own = work.join("config.toml");
        fs::write(&own, config)?;
        let own = own.to_str().context("a path that is not UTF-8")?;
        let arguments = ["mount", "--no-repair", "--config", own];
        let mounted = Mounted::start(vistafs, &arguments, work.join("vistafs"), cpu)?;
        bench
            .containers
            .push(Container::start(&work.join("files"), cpu)?);
        for file in files {
            let text = texts.join(file.path);
            fs::create_dir_all(text.parent().context("a file is in a directory")?)?;
            let from = mounted.path(file);
            let from = from.with_context(|| format!("vistafs does not serve {}", file.path))?;
            bench.containers[0].copy(&from, &text)?;
        }
        bench.servers.push((Server::Vistafs, Some(mounted)));
        if let Some(before) = before {
            let mounted = Mounted::start(before, &arguments, work.join("before"), cpu)?;
            bench.servers.push((Server::Before, Some(mounted)));
        }
        let bench_program = std::env::current_exe()?;
        let texts = texts.to_str().context("a path that is not UTF-8")?;
        let null = Mounted::start(&bench_program, &["null", texts], work.join("null"), cpu)?;
        bench.servers.push((Server::Null, Some(null)));
        // Not the PID file of an lxcfs that serves this machine.
        let pid_file = work.join("lxcfs.pid");
        let pid_file = pid_file.to_str().context("a path that is not UTF-8")?;
        let arguments = ["-f", "-p", pid_file];
        match Mounted::start(Path::new("lxcfs"), &arguments, work.join("lxcfs"), cpu) {
            Ok(lxcfs) => bench.servers.push((Server::Lxcfs, Some(lxcfs))),
            Err(error) => eprintln!("without lxcfs: {error:#}"),
        }
        bench.servers.push((Server::Kernel, None));
        // A new container, because the old one does not have the mounts of the other servers.
        bench.containers[0] = Container::start(&work.join("files"), cpu)?;
        Ok(bench)
    }

    fn rounds(
        &mut self,
        plan: &Plan,
        wanted: &[(File, Way, usize, Option<usize>)],
        results: &mut Results,
    ) -> Result<()> {
        let mut slices: Vec<(What, Job, Vec<u32>, Slices)> = Vec::new();
        for &(file, way, readers, spread) in wanted {
            for (server, mounted) in &self.servers {
                let (path, pids) = match mounted {
                    None => (Some(format!("kernel/{}", file.path)), Vec::new()),
                    Some(mounted) => (mounted.path(&file), used::processes(mounted.pid())),
                };
                let Some(path) = path else { continue };
                let what = What {
                    server: *server,
                    file,
                    way,
                    readers,
                    spread,
                };
                let job = Job {
                    // Bind mounts of the kernel's files are below proc and sys.
                    path,
                    way,
                    readers,
                    length: match spread {
                        None => Length::Time(plan.slice),
                        Some(_) => Length::Reads(READS_IN_TURN),
                    },
                };
                slices.push((what, job, pids, Slices::default()));
            }
        }
        let turns = self.containers.len();
        // The first round warms up.
        for round in 0..=plan.rounds {
            // The case that follows a slow warm-up must change from round to round.
            let mut order: Vec<usize> = (0..slices.len()).collect();
            order.sort_by_key(|index| scrambled(*index, round));
            for index in order {
                let (what, job, pids, slices) = &mut slices[index];
                let before = used::cpu_time(pids);
                let done = match what.spread {
                    None => self.containers[0].run(job)?,
                    Some(among) => {
                        let mut all = Done::default();
                        for turn in 0..turns {
                            let mut done = self.containers[turn % among.min(turns)].run(job)?;
                            all.elapsed += done.elapsed;
                            all.each.append(&mut done.each);
                        }
                        all
                    }
                };
                let cpu = used::cpu_time(pids).saturating_sub(before);
                if round > 0 {
                    slices.add(done, cpu);
                }
            }
        }
        let rows = slices
            .into_iter()
            .map(|(what, _, _, slices)| slices.row(what));
        results.rows.extend(rows);
        Ok(())
    }

    fn count_calls(&mut self, results: &mut Results) -> Result<()> {
        for row in &mut results.rows {
            if row.what.readers != 1 || row.what.spread.is_some() {
                continue;
            }
            let served = self.servers.iter().find(|(s, _)| *s == row.what.server);
            let Some((_, Some(mounted))) = served else {
                continue;
            };
            let job = Job {
                path: mounted.path(&row.what.file).context("a file has gone")?,
                way: row.what.way,
                readers: 1,
                length: Length::Reads(1),
            };
            let pids = used::processes(mounted.pid());
            row.calls = calls::per_read(&mut self.containers[0], &job, &pids, &self.work)?;
        }
        Ok(())
    }

    /// Measures readers in many containers, and the memory that servers hold for them.
    fn spread(&mut self, plan: &Plan, files: &[File], results: &mut Results) -> Result<()> {
        let most = plan.containers.iter().copied().max().unwrap_or(1);
        self.weigh("with 1 container that was read", results)?;
        while self.containers.len() < most {
            let next = Container::start(&self.work.join("files"), &self.cpu)?;
            self.containers.push(next);
        }
        let named = |name: &&File| ["meminfo", "uptime", "stat"].contains(&name.name);
        let mut wanted = Vec::new();
        for file in files.iter().filter(named) {
            for way in Way::ALL {
                let among = plan.containers.iter();
                wanted.extend(among.map(|among| (*file, way, 1, Some(*among))));
            }
        }
        self.rounds(plan, &wanted, results)?;
        self.weigh(&format!("with {most} containers"), results)?;
        self.containers.truncate(1);
        sleep(FORGOTTEN_AFTER);
        self.weigh("60 s after all but one have ended", results)
    }

    fn weigh(&self, when: &str, results: &mut Results) -> Result<()> {
        for (server, mounted) in &self.servers {
            if let Some(mounted) = mounted {
                results.memory.push(Memory {
                    server: *server,
                    when: when.to_owned(),
                    held: used::held(&used::processes(mounted.pid()))?,
                });
            }
        }
        Ok(())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Containers hold mounts of the servers.
        self.containers.clear();
        self.servers.clear();
        if let Err(error) = fs::remove_dir_all(&self.work) {
            eprintln!("{} is left: {error}", self.work.display());
        }
    }
}

/// Returns a sort key that changes the order in each round, the same in each run.
fn scrambled(index: usize, round: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (index, round).hash(&mut hasher);
    hasher.finish()
}

/// Results of the slices of one row.
#[derive(Debug, Default)]
struct Slices {
    p50: Vec<u64>,
    p99: Vec<u64>,
    p999: Vec<u64>,
    per_second: Vec<u64>,
    cpu: Vec<u64>,
}

impl Slices {
    fn add(&mut self, mut done: Done, cpu: u64) {
        let reads = done.each.len() as u64;
        self.p50.push(median(&mut done.each));
        self.p99.push(quantile(&mut done.each, 990));
        self.p999.push(quantile(&mut done.each, 999));
        let per_second = reads.saturating_mul(1_000_000_000) / done.elapsed.max(1);
        self.per_second.push(per_second);
        self.cpu.push(cpu / reads.max(1));
    }

    fn row(mut self, what: What) -> Row {
        Row {
            what,
            p50: median(&mut self.p50),
            p99: median(&mut self.p99),
            p999: median(&mut self.p999),
            per_second: median(&mut self.per_second),
            cpu: median(&mut self.cpu),
            calls: None,
        }
    }
}
