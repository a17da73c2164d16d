//! The attacks: roles that run in a container until the test ends them.
//!
//! Each reports `ready` when it is under way. Errors are part of an attack: what vistafs refuses is tried again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::raw::{self, Lease, set_lease};
use crate::role::{Role, report};
use crate::victim;

/// All roles of the test program.
pub const ROLES: &[Role] = &[
    ("victim", victim::role),
    ("leases", leases),
    ("lease-all", lease_all),
    ("namespaces", namespaces),
    ("readers", readers),
    ("deep", deep),
    ("holders", holders),
    ("listings", listings),
    ("lookers", lookers),
    ("makers", makers),
    ("pages", pages),
];

/// Runs `attack` in as many threads as the first argument says, for ever. Each thread gets its number. The
/// attack is ready when each thread has passed the barrier.
fn in_threads(count: &str, attack: impl Fn(usize, &Barrier) + Sync) {
    let count: usize = count.parse().unwrap();
    let ready = Barrier::new(count + 1);
    std::thread::scope(|scope| {
        for number in 0..count {
            let (attack, ready) = (&attack, &ready);
            let thread = std::thread::Builder::new().stack_size(64 << 10);
            let spawned = thread.spawn_scoped(scope, move || attack(number, ready));
            spawned.unwrap();
        }
        ready.wait();
        report("ready");
    });
    // They keep their resources until the test ends the process.
    std::thread::park();
}

/// For ever. An attack that only gets errors must not keep a CPU to itself.
fn for_ever(mut attack: impl FnMut(u64) -> bool) {
    for round in 0.. {
        if !attack(round) {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

fn read(path: impl AsRef<Path>) -> bool {
    let mut buffer = [0; 4096];
    File::open(path)
        .and_then(|mut file| file.read(&mut buffer))
        .is_ok()
}

/// `LEASE PATH...`: takes leases on files, and holds them until the kernel takes them away (45 s).
fn leases(args: &[String], _: &Receiver<String>) {
    let (kind, paths) = args.split_first().unwrap();
    let kind = if kind == "write" {
        Lease::Write
    } else {
        Lease::Read
    };
    // The signal of a lease that another open breaks would end this process.
    SigSet::from(Signal::SIGIO).thread_block().unwrap();
    let mut held: Vec<Option<File>> = paths.iter().map(|_| None).collect();
    // One that is held is left alone: to ask for it again fails, and drops it, while another open waits for it.
    let take = |held: &mut [Option<File>]| {
        for (path, held) in paths.iter().zip(held) {
            if held.is_none() {
                let file = File::open(path).ok();
                *held = file.filter(|file| set_lease(file, kind).is_ok());
            }
        }
    };
    take(&mut held);
    report("ready");
    for_ever(|_| {
        take(&mut held);
        false
    });
}

/// `DIRECTORY...`: tries to take a write lease on every file below them. Reports each that was
/// granted, and how many it has tried.
fn lease_all(args: &[String], _: &Receiver<String>) {
    SigSet::from(Signal::SIGIO).thread_block().unwrap();
    let mut left: Vec<PathBuf> = args.iter().map(PathBuf::from).collect();
    let mut tried = 0;
    while let Some(path) = left.pop() {
        let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
        for entry in entries {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                left.push(entry.path());
            } else if kind.is_file()
                && let Ok(file) = File::open(entry.path())
            {
                tried += 1;
                if set_lease(&file, Lease::Write).is_ok() {
                    report(&format!("granted {}", entry.path().display()));
                }
            }
        }
    }
    report(&format!("tried {tried}"));
}

/// `THREADS COUNT PROCESSES PATH`: leaves the cgroup namespace and opens a file in a loop, beside `PROCESSES`
/// idle processes. With a COUNT other than 0 each thread does so exactly COUNT times before the attack counts
/// as ready.
fn namespaces(args: &[String], _: &Receiver<String>) {
    let [threads, count, processes, path] = args else {
        panic!("{args:?}");
    };
    let count: u64 = count.parse().unwrap();
    // They end with the container, or at the latest by themselves.
    let mut idle = Command::new("sleep");
    idle.arg("300").stdin(Stdio::null()).stdout(Stdio::null());
    for _ in 0..processes.parse::<u32>().unwrap() {
        drop(idle.spawn().unwrap());
    }
    let leave = |_| unshare(CloneFlags::CLONE_NEWCGROUP).is_ok() && read(path);
    in_threads(threads, |_, ready| {
        for round in 0..count {
            let _refused = leave(round);
        }
        ready.wait();
        if count == 0 {
            for_ever(leave);
        }
    });
}

/// `THREADS PATH...`: opens, reads and closes files.
fn readers(args: &[String], _: &Receiver<String>) {
    let (threads, paths) = args.split_first().unwrap();
    in_threads(threads, |number, ready| {
        ready.wait();
        for_ever(|round| {
            let index = number + usize::try_from(round).unwrap();
            read(&paths[index % paths.len()])
        });
    });
}

/// `THREADS DIRECTORY LEVELS`: goes down to a directory at that depth, whose ancestors below DIRECTORY are all
/// named `d`, and looks up, opens, makes and removes things there.
fn deep(args: &[String], _: &Receiver<String>) {
    let [threads, top, levels] = args else {
        panic!("{args:?}");
    };
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut bottom = rustix::fs::open(top, flags, Mode::empty()).unwrap();
    for level in 0..levels.parse().unwrap() {
        // In pieces: each is a look-up in the kernel, whose path lookup goes by at most 4,096 bytes.
        match rustix::fs::openat(&bottom, "d", flags, Mode::empty()) {
            Ok(next) => bottom = next,
            // As deep as vistafs goes: the attack goes on there, and asks for the next level each time.
            Err(Errno::LOOP) => break,
            Err(error) => panic!("level {level}: {error}"),
        }
    }
    in_threads(threads, |number, ready| {
        ready.wait();
        let new = format!("x{number}");
        for_ever(|round| {
            let name =
                ["cgroup.procs", "notify_on_release", "."][usize::try_from(round % 3).unwrap()];
            let _ = rustix::fs::statat(&bottom, name, AtFlags::empty());
            let _ = rustix::fs::statat(&bottom, "d", AtFlags::empty());
            let opened = rustix::fs::openat(&bottom, name, OFlags::CLOEXEC, Mode::empty());
            if number % 8 == 0 {
                let _ = rustix::fs::mkdirat(&bottom, &new, Mode::from_raw_mode(0o755));
                let _ = rustix::fs::unlinkat(&bottom, &new, AtFlags::REMOVEDIR);
            }
            opened.is_ok()
        });
    });
}

/// `COUNT PATH...`: holds as many open files and reads a byte of each, again and again.
fn holders(args: &[String], _: &Receiver<String>) {
    let (count, paths) = args.split_first().unwrap();
    let count: usize = count.parse().unwrap();
    raise_descriptors(count);
    let mut files = Vec::new();
    let mut byte = [0];
    for path in paths.iter().cycle().take(count) {
        let Ok(mut file) = File::open(path) else {
            break;
        };
        let _ = file.read(&mut byte);
        files.push(file);
    }
    report("ready");
    for_ever(|_| {
        for file in &files {
            let _ = rustix::io::pread(file, &mut byte, 0);
        }
        false
    });
}

/// `COUNT DIRECTORY`: holds as many open directories and reads the first entries of each.
fn listings(args: &[String], _: &Receiver<String>) {
    let [count, directory] = args else {
        panic!("{args:?}");
    };
    let count: usize = count.parse().unwrap();
    raise_descriptors(count);
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || rustix::fs::open(directory, flags, Mode::empty());
    let mut directories = Vec::new();
    for _ in 0..count {
        let Ok(opened) = open() else {
            break;
        };
        first_entries(&opened);
        directories.push(opened);
    }
    report("ready");
    for_ever(|_| {
        for directory in &directories {
            let _ = rustix::fs::seek(directory, rustix::fs::SeekFrom::Start(0));
            first_entries(directory);
        }
        false
    });
}

fn first_entries(directory: impl AsFd) {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
    let _ = RawDir::new(directory, &mut buffer).next();
}

/// `THREADS PATH...`: looks names up.
fn lookers(args: &[String], _: &Receiver<String>) {
    let (threads, paths) = args.split_first().unwrap();
    in_threads(threads, |_, ready| {
        ready.wait();
        for_ever(|_| {
            let found = paths.iter().map(std::fs::symlink_metadata);
            found.filter(Result::is_ok).count() > 0
        });
    });
}

/// `THREADS DIRECTORY PATH`: half of the threads make and remove directories in it, of ever new names; the
/// others read a file, which takes its time.
fn makers(args: &[String], _: &Receiver<String>) {
    let [threads, directory, path] = args else {
        panic!("{args:?}");
    };
    in_threads(threads, |number, ready| {
        ready.wait();
        for_ever(|round| {
            if number % 2 == 0 {
                return read(path);
            }
            let new = PathBuf::from(directory).join(format!("new-{number}-{round}"));
            let made = rustix::fs::mkdirat(CWD, &new, Mode::from_raw_mode(0o755)).is_ok();
            let _ = std::fs::remove_dir(&new);
            made
        });
    });
}

/// `LIMIT PATH...`: reads meminfo by every way there is, from new and from kept descriptors, until a line comes.
/// Reports each way and value that is not LIMIT (in KiB), then how often each way has shown LIMIT.
fn pages(args: &[String], lines: &Receiver<String>) {
    let (own, paths) = args.split_first().unwrap();
    let own: u64 = own.parse().unwrap();
    let kept: Vec<Option<File>> = paths.iter().map(|path| File::open(path).ok()).collect();
    let (mut shown, mut foreign) = (BTreeMap::new(), BTreeMap::new());
    report("ready");
    while lines.try_recv().is_err() {
        for (path, kept) in paths.iter().zip(&kept) {
            let new = File::open(path).ok();
            for (age, file) in [("new", &new), ("kept", kept)] {
                let Some(file) = file else {
                    continue;
                };
                for (way, read) in WAYS {
                    let Some(total) = read(file).ok().as_deref().and_then(total) else {
                        continue;
                    };
                    let all = if total == own {
                        &mut shown
                    } else {
                        &mut foreign
                    };
                    *all.entry(format!("{way} {age} {path} {total}"))
                        .or_insert(0_u32) += 1;
                }
            }
        }
    }
    for (what, times) in foreign {
        report(&format!("{own} got {times} times by {what}"));
    }
    report(&format!("own {shown:?}"));
}

type Way = fn(&File) -> std::io::Result<Vec<u8>>;

const WAYS: [(&str, Way); 5] = [
    ("pread", |file| {
        let mut bytes = vec![0; 4096];
        let got = rustix::io::pread(file, &mut bytes, 0)?;
        bytes.truncate(got);
        Ok(bytes)
    }),
    ("sendfile", raw::by_sendfile),
    ("splice", raw::by_splice),
    ("mmap-private", |file| raw::by_mmap(file, false)),
    ("mmap-shared", |file| raw::by_mmap(file, true)),
];

/// The total of a meminfo. A page may be empty, or end early.
fn total(text: &[u8]) -> Option<u64> {
    let rest = text.strip_prefix(b"MemTotal:")?;
    std::str::from_utf8(rest)
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn raise_descriptors(count: usize) {
    let most = u64::try_from(count + 100).unwrap();
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    // Without the right to raise it the attack has as many as it may have.
    let _ = setrlimit(Resource::Nofile, limit);
}
