//! Memory per container, and memory left after containers end.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Command, Stdio};

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::require::guest;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{Mounted, descriptors, wait_until};

/// Maximum KiB for each container after reading all files that runtimes bind.
const MOST_EACH: i64 = 10;
/// Maximum KiB for all of them in addition, for growing tables.
const MOST_AT_ALL: i64 = 512;
/// Maximum KiB left in pages shared with other allocations: a tenth of the process.
const MOST_LEFT: i64 = 1024;
/// Maximum KiB of that in the worker's heap and stacks. Usually 50 to 100 are released, as host texts are
/// released too. Per-thread heaps kept 180 to 280.
const MOST_OWN_LEFT: i64 = 64;

/// A container that has read all its files, and is idle until dropped.
struct Idle {
    init: Child,
    _cgroup: TestCgroup,
}

impl Idle {
    fn start(mounted: &Mounted) -> Self {
        let cgroup = TestCgroup::new();
        cgroup.limit_memory(64 << 20);
        let mut script = cgroup.join_script();
        script.extend_from_slice(
            b"exec unshare -Cpf sh -c 'cd \"$M/proc\" && cat cpuinfo diskstats loadavg meminfo \
              slabinfo stat swaps uptime ../sys/devices/system/cpu/online > /dev/null && \
              echo has read && read _'",
        );
        let mut init = Command::new("sh")
            .arg("-c")
            .arg(OsString::from_vec(script))
            .env("M", mounted.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = init.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        assert_eq!(line, "has read\n");
        Self {
            init,
            _cgroup: cgroup,
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        drop(self.init.stdin.take());
        let _ = self.init.wait();
    }
}

/// KiB of a process: `Rss` as in ps(1); `Anonymous` is private and not file-backed.
fn kib(pid: u32, of: &str) -> i64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let mut values = rollup.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = values.find(|(name, _)| *name == of).unwrap();
    let kib = value.trim().strip_suffix(" kB").unwrap();
    kib.parse().unwrap()
}

#[test]
fn containers_take_little_and_leave_nothing() {
    require_privileged!();
    let mounted = Mounted::new();
    let (worker, supervisor) = (mounted.pid(), mounted.supervisor());
    // The first containers allocate the memory that all of them share.
    let first: Vec<Idle> = (0..10).map(|_| Idle::start(&mounted)).collect();
    let held = || [worker, supervisor].map(descriptors);
    let gone = |open: [usize; 2]| {
        // Descriptors of the first containers may have been released as well.
        wait_until("no descriptor is left", || {
            held().iter().zip(open).all(|(now, before)| *now <= before)
        });
    };
    let open = held();
    // The first containers that end release the memory freed at start.
    drop((0..10).map(|_| Idle::start(&mounted)).collect::<Vec<_>>());
    gone(open);
    let resident = || [worker, supervisor].map(|pid| kib(pid, "Rss"));
    let own = || kib(worker, "Anonymous");
    let (before, before_own) = (resident(), own());
    let many = if guest() { 60 } else { 150 };
    let containers: Vec<Idle> = (0..many).map(|_| Idle::start(&mounted)).collect();
    let known = resident();
    let most = MOST_AT_ALL + many * MOST_EACH;
    assert!(
        known[0] - before[0] <= most,
        "{before:?} KiB, then {known:?}"
    );
    drop(containers);
    gone(open);
    let what = format!(
        "no memory is left: {before:?} KiB, then {known:?}; {before_own} KiB of the worker's own"
    );
    wait_until(&what, || {
        let left = resident().into_iter().zip(before);
        left.map(|(now, before)| now - before)
            .all(|kib| kib <= MOST_LEFT)
            && own() - before_own <= MOST_OWN_LEFT
    });
    assert_eq!(mounted.pid(), worker);
    drop(first);
}
