//! A container that only reads, and how long each of its reads takes beside an attack.
//!
//! Two threads of it do the same at the same time: one on the mount that is attacked, one on a second vistafs
//! mount that is not. Delays by the machine (a busy CPU, a stolen one) affect both; the
//! delay of the attacked vistafs only affects the first.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::container::TestContainer;
use crate::role::{EXEC, Running, Start, report};
use crate::vistafs::Mounted;

/// The pause between samples: the victim must not load the machine itself.
const PAUSE: Duration = Duration::from_millis(1);

/// Bind mounts of both vistafs mounts, below a directory that no other process sees.
const BIND: &str = "\
mount -t tmpfs none /mnt || exit 96
for side in attacked control; do
    [ $side = attacked ] && from=$M || from=$CONTROL
    mkdir -p /mnt/$side/cpu && : >/mnt/$side/uptime || exit 95
    mount --bind \"$from/proc/uptime\" /mnt/$side/uptime || exit 94
    mount --bind \"$from/sys/devices/system/cpu\" /mnt/$side/cpu || exit 93
done
";

/// The victim's measurements on one mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// The slowest open, read and close of one file.
    pub worst: Duration,
    /// How many files were read.
    pub reads: u64,
    /// The first error.
    pub error: Option<String>,
}

/// The victim's measurements in one round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Felt {
    /// On the mount that is attacked.
    pub attacked: Side,
    /// On the other one, at the same time.
    pub control: Side,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.3} ms in {} reads",
            self.worst.as_secs_f64() * 1e3,
            self.reads
        )?;
        match &self.error {
            Some(error) => write!(f, ", and {error}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; control {}", self.attacked, self.control)
    }
}

impl Side {
    fn line(&self) -> String {
        let error = self.error.as_deref().unwrap_or_default();
        format!("{} {} {error}", self.worst.as_micros(), self.reads)
    }

    fn parse(line: &str) -> Self {
        let mut words = line.splitn(3, ' ');
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let (worst, reads) = (Duration::from_micros(number()), number());
        let error = words.next().filter(|error| !error.is_empty());
        Self {
            worst,
            reads,
            error: error.map(str::to_owned),
        }
    }
}

/// The role: for each line with a number of milliseconds, one round of that length.
pub fn role(args: &[String], lines: &Receiver<String>) {
    let targets = |side: &str| -> Vec<PathBuf> {
        let base = ["uptime", "cpu/online"].map(|file| Path::new("/mnt").join(side).join(file));
        let more = args.iter().filter_map(|arg| arg.strip_prefix(side));
        base.into_iter()
            .chain(more.map(|path| PathBuf::from(&path[1..])))
            .collect()
    };
    let [attacked, control] = ["attacked", "control"].map(targets);
    report("ready");
    for line in lines {
        let end = Instant::now() + Duration::from_millis(line.parse().unwrap());
        let (attacked, control) = std::thread::scope(|scope| {
            let other = scope.spawn(|| sample(&control, end));
            (sample(&attacked, end), other.join().unwrap())
        });
        report(&attacked.line());
        report(&control.line());
    }
}

fn sample(paths: &[PathBuf], end: Instant) -> Side {
    let mut side = Side::default();
    let mut buffer = vec![0; 4096];
    while Instant::now() < end {
        for path in paths {
            let begun = Instant::now();
            let read = access(path, side.reads, &mut buffer);
            side.worst = side.worst.max(begun.elapsed());
            side.reads += 1;
            if let Err(error) = read {
                let said = || format!("{}: {error}", path.display());
                side.error.get_or_insert_with(said);
            }
        }
        std::thread::sleep(PAUSE);
    }
    side
}

/// Opens, reads and closes a file. If the path ends with `?`: looks up a new name. If it
/// ends with `!`: opens the file for writing, too; whether it may is not asked, but how long the answer takes.
fn access(path: &Path, count: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    let text = path.to_str().unwrap();
    if let Some(stem) = text.strip_suffix('?') {
        return match std::fs::symlink_metadata(format!("{stem}{count}")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(0),
        };
    }
    if let Some(file) = text.strip_suffix('!') {
        let _ = File::options().read(true).write(true).open(file);
        return Ok(0);
    }
    File::open(path)?.read(buffer)
}

/// The victim, seen from outside.
#[derive(Debug)]
pub struct Victim {
    running: Running,
}

impl Victim {
    /// Starts it in a container, which reads on the attacked mount and on the other one. `more`: further files to
    /// read, each as a path below both mounts.
    #[must_use]
    #[track_caller]
    pub fn start(container: &TestContainer<'_>, mounts: [&Mounted; 2], more: &[PathBuf]) -> Self {
        let sides = ["attacked", "control"].into_iter().zip(mounts);
        let arg = |side: &str, mounted: &Mounted, below: &PathBuf| {
            format!("{side}:{}", mounted.root().join(below).display())
        };
        let args =
            sides.flat_map(|(side, mounted)| more.iter().map(move |b| arg(side, mounted, b)));
        let start = Start {
            args: args.collect(),
            script: &format!("{BIND}{EXEC}"),
            env: vec![("CONTROL", mounts[1].root().display().to_string())],
        };
        let mut running = Running::start(container, "victim", start);
        running.expect("ready");
        Self { running }
    }

    /// Begins a round.
    pub fn begin(&mut self, length: Duration) {
        self.running.send(&length.as_millis().to_string());
    }

    /// Measurements of the round. `None`: a read takes longer than that.
    #[must_use]
    #[track_caller]
    pub fn felt_within(&mut self, most: Duration) -> Option<Felt> {
        let attacked = self.running.line_within(most)?;
        // Both lines come at once.
        let control = self.running.line_within(Duration::from_secs(60))?;
        Some(Felt {
            attacked: Side::parse(&attacked),
            control: Side::parse(&control),
        })
    }
}
