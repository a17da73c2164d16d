//! A mount whose worker dies with every request: the next worker answers each from the record, as on kernels
//! that do not resend requests.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags};
use tempfile::TempDir;
use vistafs_cgroup::Hierarchies;
use vistafs_container::Containers;
use vistafs_dispatch::{Dispatcher, redo_unfinished};
use vistafs_handover::{Handover, Request};
use vistafs_host::Host;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer};
use vistafs_tests::require;
use vistafs_tests::vistafs::{Mounted, printed};
use vistafs_view::{Access, Asker, Policy, Registry, Selection};
use vistafs_views as _;

/// `enum fuse_opcode` of linux/fuse.h.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const DESTROY: u32 = 38;
const BATCH_FORGET: u32 = 42;

/// State of the test's supervisor.
struct Supervised {
    dir: TempDir,
    // Requests that a worker had recorded when it died.
    deaths: Arc<AtomicU64>,
    // Whether the next worker that reads a LOOKUP dies before it records it.
    dies_early: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Supervised {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let device = File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .unwrap();
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        );
        let (flags, options) = (
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some(options.as_str()),
        );
        nix::mount::mount(Some("redo"), dir.path(), Some("fuse.redo"), flags, options).unwrap();
        let (deaths, dies_early) = (Arc::default(), Arc::default());
        let serving = {
            let (deaths, dies_early) = (Arc::clone(&deaths), Arc::clone(&dies_early));
            std::thread::spawn(move || serve(device, &deaths, &dies_early))
        };
        Self {
            dir,
            deaths,
            dies_early,
            serving: Some(serving),
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn run(&self, program: &str, args: &[&str], below: &str) -> Output {
        let path = self.path(below);
        Command::new(program)
            .args(args)
            .arg(path)
            .env("LC_ALL", "C")
            .output()
            .unwrap()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let unmounted = nix::mount::umount2(self.dir.path(), MntFlags::MNT_DETACH);
        let served = self.serving.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            unmounted.unwrap();
            served.unwrap().unwrap();
        }
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(number)
}

fn short(bytes: &[u8], at: usize) -> u32 {
    u32::try_from(number::<4>(bytes, at)).unwrap()
}

/// Runs one worker after another; each reads one request and dies.
fn serve(mut device: File, deaths: &AtomicU64, dies_early: &AtomicBool) {
    let handover = Handover::create().unwrap();
    let mut bytes = vec![0; 1 << 20];
    // ENODEV: unmounted.
    while let Ok(length) = device.read(&mut bytes) {
        let request = &bytes[..length];
        let (opcode, unique) = (short(request, 4), number::<8>(request, 8));
        match opcode {
            INIT => device.write_all(&init(unique)).unwrap(),
            FORGET | BATCH_FORGET | INTERRUPT | DESTROY => {}
            _ => {
                let generation = handover.begin_generation();
                let early = opcode == LOOKUP && dies_early.swap(false, Ordering::SeqCst);
                if !early {
                    std::mem::forget(handover.begin(&noted(request)));
                    deaths.fetch_add(1, Ordering::SeqCst);
                }
                let next = Handover::adopt(handover.as_fd().try_clone_to_owned().unwrap()).unwrap();
                assert_eq!(next.begin_generation(), generation + 1);
                let dispatcher = Arc::new(dispatcher(&next));
                redo_unfinished(&dispatcher, &next, device.as_fd()).unwrap();
            }
        }
    }
}

fn dispatcher(handover: &Arc<Handover>) -> Dispatcher {
    let host = Arc::new(Host::running(Duration::ZERO).unwrap());
    let registry = Registry::collect(&Selection::default()).unwrap().on(&host);
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap();
    let hierarchies = Arc::new(Hierarchies::discover(&mounts, Path::new("/")).unwrap());
    let handover = Some(Arc::clone(handover));
    let containers = Containers::with_handover(host, hierarchies, handover).unwrap();
    Dispatcher::new(containers, &registry, Policy::default())
}

/// `struct fuse_in_header` is 40 bytes; the rest depends on the opcode.
fn noted(request: &[u8]) -> Request<'_> {
    let rest = &request[40..];
    let plain = Request {
        unique: number::<8>(request, 8),
        opcode: short(request, 4),
        node: number::<8>(request, 16),
        uid: short(request, 24),
        gid: short(request, 28),
        tid: short(request, 32),
        ..Request::default()
    };
    match plain.opcode {
        LOOKUP => Request {
            name: rest.strip_suffix(b"\0").unwrap(),
            ..plain
        },
        OPEN | OPENDIR => Request {
            flags: short(rest, 0),
            ..plain
        },
        READ | READDIR => Request {
            handle: number::<8>(rest, 0),
            offset: number::<8>(rest, 8),
            size: short(rest, 16),
            flags: short(rest, 20),
            ..plain
        },
        RELEASE | RELEASEDIR => Request {
            handle: number::<8>(rest, 0),
            ..plain
        },
        _ => plain,
    }
}

/// A `struct fuse_init_out` after its header.
fn init(unique: u64) -> Vec<u8> {
    let numbers: [u32; 6] = [7, 31, 0, 0, 16 | 12 << 16, 4096];
    let mut reply = 80_u32.to_le_bytes().to_vec();
    reply.extend_from_slice(&0_i32.to_le_bytes());
    reply.extend_from_slice(&unique.to_le_bytes());
    reply.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    reply.resize(80, 0);
    reply
}

/// Reads 100 bytes at a time.
fn read_in_pieces(path: &Path) -> String {
    let (mut file, mut text, mut piece) = (File::open(path).unwrap(), Vec::new(), [0; 100]);
    loop {
        match file.read(&mut piece).unwrap() {
            0 => return String::from_utf8(text).unwrap(),
            length => text.extend_from_slice(&piece[..length]),
        }
    }
}

#[test]
fn a_request_that_a_worker_has_taken_along_is_answered_by_the_next() {
    require!(vistafs_tests::require::privileged(), "root and /dev/fuse");
    let supervised = Supervised::new();
    let listed = printed(&supervised.run("ls", &[], "proc"));
    let names: Vec<&OsStr> = listed
        .lines()
        .map(|name| OsStr::from_bytes(name.as_bytes()))
        .collect();
    assert!(
        names.contains(&OsStr::new("cpuinfo")) && names.contains(&OsStr::new("uptime")),
        "{listed}"
    );
    let before = supervised.deaths.load(Ordering::SeqCst);
    assert!(
        before >= 4,
        "look-up, opening, reading and its end: {before}"
    );

    // Each piece comes from another worker, and all are from one snapshot.
    let native = std::fs::read_to_string("/proc/stat").unwrap();
    let text = read_in_pieces(&supervised.path("proc/stat"));
    let keys = |text: &str| -> Vec<String> {
        let key = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        text.lines().map(key).collect()
    };
    assert_eq!(keys(&text), keys(&native));
    assert!(text.ends_with('\n'));
    let pieces = supervised.deaths.load(Ordering::SeqCst) - before;
    assert!(pieces > text.len() as u64 / 100, "{pieces}");

    let missing = supervised.run("cat", &[], "proc/nothing");
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(said.contains("No such file"), "{said}");
}

/// The request was not recorded, and must still fail instead of hang.
#[test]
fn a_request_that_was_not_noted_yet_ends_with_eintr() {
    require!(vistafs_tests::require::privileged(), "root and /dev/fuse");
    let supervised = Supervised::new();
    let _listed = printed(&supervised.run("ls", &[], ""));
    supervised.dies_early.store(true, Ordering::SeqCst);
    let error = std::fs::metadata(supervised.path("nothing")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::libc::EINTR));
    let error = std::fs::metadata(supervised.path("nothing")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

/// The contents for a process of a container in a new worker.
fn read_by(dispatcher: &Dispatcher, tid: u32, path: &str) -> String {
    let asker = Asker {
        tid,
        uid: 0,
        gid: 0,
    };
    let mut node = 1;
    for name in path.split('/') {
        let found = dispatcher.lookup(node, OsStr::new(name), asker).unwrap();
        node = found.attributes.number;
    }
    let access = Access {
        read: true,
        write: false,
    };
    let (handle, _) = dispatcher.open(node, access, asker).unwrap();
    let mut text = Vec::new();
    let reply = |bytes: &[u8]| text.extend_from_slice(bytes);
    dispatcher
        .read(node, (handle, access), 0, 1 << 20, asker, reply)
        .unwrap();
    dispatcher.close(handle);
    String::from_utf8(text).unwrap()
}

/// All numbers; hundredths without the decimal point.
fn numbers(text: &str) -> Vec<u64> {
    let words = text.split_whitespace();
    words
        .filter_map(|word| word.replace('.', "").parse().ok())
        .collect()
}

/// For every kind of container, and while its limits change.
#[test]
fn no_counter_goes_back_from_one_worker_to_the_next() {
    require!(vistafs_tests::require::privileged(), "root and /dev/fuse");
    let mounted = Mounted::new();
    for namespaces in [Namespaces::Both, Namespaces::Pid] {
        let cgroup = TestCgroup::new();
        let script = "while :; do :; done & echo; read _; kill $!";
        let mut child = TestContainer::with(&mounted, &cgroup, namespaces).spawn(script);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        let pid = child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let init = children.unwrap().trim().parse().unwrap();

        let handover = Handover::create().unwrap();
        let mut last: Option<(Vec<u64>, Vec<u64>)> = None;
        for round in 0..24 {
            match round % 6 {
                0 => cgroup.limit_cpu(Some(50)),
                2 => cgroup.limit_cpu(None),
                4 => cgroup.limit_cpus("0"),
                _ => {}
            }
            handover.begin_generation();
            let worker = dispatcher(&handover);
            let uptime = numbers(&read_by(&worker, init, "proc/uptime"));
            let stat = read_by(&worker, init, "proc/stat");
            let stat = numbers(stat.lines().next().unwrap());
            if let Some((uptime_was, stat_was)) = last {
                let all = uptime
                    .iter()
                    .zip(&uptime_was)
                    .chain(stat.iter().zip(&stat_was));
                for (now, was) in all {
                    assert!(
                        now >= was,
                        "{uptime_was:?} {stat_was:?} then {uptime:?} {stat:?}"
                    );
                }
            }
            last = Some((uptime, stat));
            std::thread::sleep(Duration::from_millis(40));
        }
        let (uptime, stat) = last.unwrap();
        assert!(stat[0] + stat[2] > 0, "it has burnt CPU: {stat:?}");
        assert!(uptime[0] < 60_00 * 10, "it is a container's: {uptime:?}");
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
