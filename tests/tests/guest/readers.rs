//! An unprivileged LXC container with the views, and readers in it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use vistafs_tests::cgroup::hierarchies;

use crate::cgroup_tree::host::CONTAINER;
use crate::cgroup_tree::lxc::Container;

const VIEWS: &[&str] = &[
    "proc/cpuinfo",
    "proc/loadavg",
    "proc/meminfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
    "sys/devices/system/cpu",
];

/// The container's memory limit, which is also MemTotal in meminfo.
const LIMIT: u64 = 256 << 20;
const TOTAL: &str = "MemTotal:         262144 kB\n";

/// Each round prints `ok` or the error. A round starts one program only: on an emulated processor, starting
/// programs takes longer than the reads.
const READER: &str = r#"
cd /proc
while ! [ -e /dev/stop ]; do
    text=$(cat meminfo stat uptime cpuinfo loadavg swaps /sys/devices/system/cpu/online) &&
    case $text in
        "MemTotal:         262144 kB"*) echo ok ;;
        *) echo "of another: $text" ;;
    esac
done 2>&1
"#;

/// Starts a container that uses the views of a mount.
#[track_caller]
pub(crate) fn container(mount: &Path) -> Container {
    let mut config = "lxc.init.cmd = /usr/bin/sleep infinity\n".to_owned();
    for view in VIEWS {
        let source = mount.join(view);
        let line = format!(
            "lxc.mount.entry = {} {view} none bind 0 0\n",
            source.display()
        );
        config.push_str(&line);
    }
    let container = Container::start(&["every", "unprivileged"], &config, mount);
    let hierarchies = hierarchies();
    let index = hierarchies.index_of("memory").unwrap();
    let cgroup = hierarchies.all()[index].root().path().join(CONTAINER);
    let file = ["memory.max", "memory.limit_in_bytes"]
        .map(|name| cgroup.join(name))
        .into_iter()
        .find(|file| file.exists());
    std::fs::write(file.unwrap(), LIMIT.to_string()).unwrap();
    assert!(sees_itself(&container));
    container
}

/// Whether it sees its own memory size, and the directory of a view exists.
pub(crate) fn sees_itself(container: &Container) -> bool {
    let script = "cat /proc/meminfo /proc/uptime /sys/devices/system/cpu/online";
    let output = container.output(script);
    output.status.success() && output.stdout.starts_with(TOTAL.as_bytes())
}

/// The readers.
pub(crate) struct Readers {
    children: Vec<Child>,
    threads: Vec<JoinHandle<()>>,
    rounds: Arc<Vec<AtomicU64>>,
    interrupted: Arc<AtomicU64>,
}

impl Readers {
    pub(crate) fn start(container: &Container, count: usize) -> Self {
        let mut readers = Self {
            children: Vec::new(),
            threads: Vec::new(),
            rounds: Arc::new((0..count).map(|_| AtomicU64::new(0)).collect()),
            interrupted: Arc::default(),
        };
        for reader in 0..count {
            let mut child = container
                .command(READER)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let says = BufReader::new(child.stdout.take().unwrap());
            readers.children.push(child);
            let rounds = Arc::clone(&readers.rounds);
            let interrupted = Arc::clone(&readers.interrupted);
            let listen = move || {
                for line in says.lines().map(Result::unwrap) {
                    if line == "ok" {
                        rounds[reader].fetch_add(1, Ordering::Relaxed);
                    } else if is_interrupted(&line) {
                        interrupted.fetch_add(1, Ordering::Relaxed);
                    } else {
                        panic!("in the container: {line}");
                    }
                }
            };
            readers.threads.push(std::thread::spawn(listen));
        }
        readers
    }

    /// How many rounds each of them has completed.
    pub(crate) fn rounds(&self) -> Vec<u64> {
        let rounds = self.rounds.iter();
        rounds.map(|round| round.load(Ordering::Relaxed)).collect()
    }

    /// Whether each has completed a round since.
    #[track_caller]
    pub(crate) fn all_went_on(&self, since: &[u64]) -> bool {
        let has_failed = self.threads.iter().any(JoinHandle::is_finished);
        assert!(!has_failed, "a reader in the container has failed");
        let mut pairs = self.rounds().into_iter().zip(since);
        pairs.all(|(now, since)| now > *since)
    }

    /// Stops them; returns the number of rounds and of interrupted requests.
    pub(crate) fn end(mut self, container: &Container) -> (u64, u64) {
        let _ = container.run("touch /dev/stop");
        for mut child in std::mem::take(&mut self.children) {
            let status = child.wait().unwrap();
            assert!(status.success(), "{status}");
        }
        for thread in std::mem::take(&mut self.threads) {
            thread.join().unwrap();
        }
        let interrupted = self.interrupted.load(Ordering::Relaxed);
        (self.rounds().iter().sum(), interrupted)
    }
}

/// The readers in the container end with the container.
impl Drop for Readers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a request was lost because the kernel does not resend.
fn is_interrupted(line: &str) -> bool {
    line.ends_with("Interrupted system call") || line.ends_with("Input/output error")
}
