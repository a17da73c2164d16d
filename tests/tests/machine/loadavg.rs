//! Load averages, and the cost of sampling them.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command};
use std::time::{Duration, Instant};

use vistafs_cgroup::{Tasks, ThreadStates, Version};
use vistafs_tests::cgroup::{TestCgroup, hierarchies};
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::crowd::Crowd;
use vistafs_tests::vistafs::{MountOptions, Mounted, thread_states, wait_until, wake_ups};
use vistafs_tests::{require, require_privileged};

const VIEW: &str = "proc/loadavg";
const SAMPLER: &str = "load-sampler";
/// Prints a line when it runs. Ends by itself if the test dies.
const BUSY: &str = "timeout 60 sh -c 'echo; while :; do :; done'";
/// The sampling period. Samples are at its multiples on CLOCK_MONOTONIC.
const PERIOD: Duration = Duration::from_millis(5004);

/// A loadavg text.
#[derive(Debug, Clone, PartialEq)]
struct Load {
    averages: String,
    runnable: u64,
    total: u64,
    last_pid: u32,
}

#[track_caller]
fn parse(text: &str) -> Load {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [one, five, fifteen, threads, last_pid] = words[..] else {
        panic!("{text:?}");
    };
    let (runnable, total) = threads.split_once('/').unwrap();
    Load {
        averages: format!("{one} {five} {fifteen}"),
        runnable: runnable.parse().unwrap(),
        total: total.parse().unwrap(),
        last_pid: last_pid.parse().unwrap(),
    }
}

fn load(mounted: &Mounted, cgroup: &TestCgroup) -> Load {
    parse(&mounted.read(&cgroup.address(VIEW)))
}

/// The number of running threads of the cgroup, from `proc/stat`.
fn running(mounted: &Mounted, cgroup: &TestCgroup) -> u64 {
    field(
        &mounted.read(&cgroup.address("proc/stat")),
        "procs_running ",
    )
}

/// Waits until the script has printed this many lines and all of its children have reached their steady
/// state.
fn settled(child: &mut Child, lines: usize) -> BufReader<ChildStdout> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    settled_again(&mut output, lines);
    output
}

fn settled_again(output: &mut impl BufRead, lines: usize) {
    for _ in 0..lines {
        assert_ne!(output.read_line(&mut String::new()).unwrap(), 0);
    }
    // By then, earlier thread counts have expired.
    std::thread::sleep(Duration::from_secs(3));
}

fn with_idle_seconds(seconds: u32) -> Mounted {
    Mounted::with(&MountOptions {
        config: format!("[view.loadavg]\nidle_seconds = {seconds}\n"),
        ..MountOptions::default()
    })
}

/// The averages, in hundredths.
fn hundredths(load: &Load) -> [u64; 3] {
    let mut words = load.averages.split(' ');
    std::array::from_fn(|_| words.next().unwrap().replace('.', "").parse().unwrap())
}

/// Checks that the averages follow the kernel's formula for this number of running threads: they decay by
/// 1884, 2014 and 2037 parts of 2048 per sample.
#[track_caller]
fn assert_follows(mounted: &Mounted, cgroup: &TestCgroup, threads: u64) {
    let begun = Instant::now();
    let first = load(mounted, cgroup);
    let mut next = first.clone();
    if threads == 0 && hundredths(&first) == [0; 3] {
        std::thread::sleep(2 * PERIOD);
        next = load(mounted, cgroup);
    } else {
        wait_until("the averages change", || {
            next = load(mounted, cgroup);
            next.averages != first.averages
        });
    }
    // A test that got no CPU may have missed several samples.
    let most = 1 + begun.elapsed().as_nanos() / PERIOD.as_nanos();
    let mut expected = hundredths(&first).map(|average| average as f64);
    let follows = (0..most).any(|_| {
        for (average, kept) in expected.iter_mut().zip([1884.0, 2014.0, 2037.0]) {
            *average = (*average * kept + threads as f64 * 100.0 * (2048.0 - kept)) / 2048.0;
        }
        // Shown values are rounded, before and after.
        let mut pairs = expected.iter().zip(hundredths(&next));
        pairs.all(|(expected, found)| (found as f64 - expected).abs() < 1.6)
    });
    assert!(follows, "{first:?}, then {next:?}");
}

/// Averages rise and fall.
#[test]
fn the_averages_follow_the_running_threads() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let script = format!("{BUSY} & A=$!; {BUSY} & B=$!; read _; kill $A $B; wait; echo; read _");
    let mut child = TestContainer::new(&mounted, &cgroup).spawn(&script);
    let mut output = settled(&mut child, 2);
    let there = cgroup.read("cpu", "cgroup.procs").lines().count() as u64;
    let busy = load(&mounted, &cgroup);
    assert_eq!((busy.runnable, busy.total), (2, there));
    assert_follows(&mounted, &cgroup, 2);
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    settled_again(&mut output, 1);
    assert_follows(&mounted, &cgroup, 0);
    let at_rest = load(&mounted, &cgroup);
    assert_eq!((at_rest.runnable, at_rest.total), (1, there - 4));
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// The first reading shows the averages that the kernel would have computed: 0 for a new container, however
/// busy it is.
#[test]
fn a_new_container_has_no_load() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let container = TestContainer::new(&mounted, &cgroup);
    let script = format!(
        "{BUSY} & {BUSY} & sleep 1; cat /proc/loadavg; uptime; cat /proc/uptime; kill %1 %2"
    );
    let text = container.run(&script);
    let mut lines = text.lines().skip_while(|line| !line.contains('/'));
    let load = parse(lines.next().unwrap());
    assert!(load.runnable >= 2, "{text}");
    // Asked last: no sample was taken before, if it is younger than one.
    let age = lines.nth(1).unwrap().split(' ').next().unwrap();
    let age: f64 = age.parse().unwrap();
    if age < PERIOD.as_secs_f64() {
        assert_eq!(load.averages, "0.00 0.00 0.00", "{text}");
        assert!(text.contains("load average: 0.00, 0.00, 0.00"), "{text}");
    }
    // On an emulated processor it may be older: allow the load that two threads can have produced.
    let most = 200.0 * (1.0 - (-age / 60.0).exp()) + 2.0;
    assert!(hundredths(&load)[0] as f64 <= most, "{text}");
}

/// A container that was busy before its first reading shows the averages that it would have by now.
#[test]
fn the_first_reading_knows_the_past() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let mut child = TestContainer::new(&mounted, &cgroup).spawn(&format!("{BUSY} & sleep 60"));
    settled(&mut child, 1);
    std::thread::sleep(3 * PERIOD);
    let first = hundredths(&load(&mounted, &cgroup));
    let (used, up) = (cgroup.cpu_used() as f64 / 1e9, {
        let text = mounted.read(&cgroup.address("proc/uptime"));
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    });
    cgroup.kill();
    child.wait().unwrap();
    for (shown, minutes) in first.into_iter().zip([1.0, 5.0, 15.0]) {
        let exact = 100.0 * used / up * (1.0 - (-up / (60.0 * minutes)).exp());
        // A whole sample may be missing, and fixed point rounds up.
        let most = exact + 2.0;
        let least = exact * (1.0 - 6.0 / up) - 2.0;
        let shown = shown as f64;
        assert!((least..=most).contains(&shown), "{first:?}: {exact}");
    }
}

/// The reader is the newest process, shown with the ID of its own namespace.
#[test]
fn the_last_pid_is_the_container_s() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let text = TestContainer::new(&mounted, &cgroup).run("sh -c 'echo $$; exec cat /proc/loadavg'");
    let (pid, text) = text.split_once('\n').unwrap();
    assert_eq!(parse(text).last_pid.to_string(), pid);
}

/// A container is at rest only when its first process waits for its child.
#[test]
fn a_container_at_rest_has_no_load() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let mut child = TestContainer::new(&mounted, &cgroup).spawn("echo; read _");
    settled(&mut child, 1);
    // Starts with the load of starting the container, and falls from then on.
    assert_follows(&mounted, &cgroup, 0);
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// The parent in a vfork is in uninterruptible sleep until its child calls exec; here the child first opens a
/// pipe without a writer.
#[test]
fn threads_in_uninterruptible_sleep_count() {
    require_privileged!();
    require!(
        vistafs_tests::require::program("python3"),
        "needs python3 (apt install python3-minimal)"
    );
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let program = "import os, sys; print(flush=True); os.posix_spawn('/bin/true', ['true'], {}, file_actions=[\
                   (os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)])";
    let script = format!("exec python3 -c \"{program}\" {}", pipe.display());
    let mut child = TestContainer::new(&mounted, &cgroup).spawn(&script);
    settled(&mut child, 1);
    let stat = |key| field(&mounted.read(&cgroup.address("proc/stat")), key);
    wait_until("one thread is blocked", || stat("procs_blocked ") == 1);
    // By then, earlier counts have expired.
    std::thread::sleep(Duration::from_secs(3));
    assert_follows(&mounted, &cgroup, 1);
    cgroup.kill();
    child.wait().unwrap();
}

/// Linux reports state D for threads that the v1 freezer has stopped, and does not count them in its load
/// either; threads frozen by v2 sleep.
#[test]
fn a_frozen_container_has_no_load() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let freezer = Freezer::of(&cgroup);
    let script = format!("{BUSY} & {BUSY} & wait");
    let mut child = TestContainer::new(&mounted, &cgroup).spawn(&script);
    settled(&mut child, 2);
    assert_eq!(running(&mounted, &cgroup), 2);
    freezer.freeze();
    wait_until("the count from before is too old", || {
        running(&mounted, &cgroup) < 2
    });
    // Starts with the CPU time that the threads have used before.
    assert_follows(&mounted, &cgroup, 0);
    let blocked = field(
        &mounted.read(&cgroup.address("proc/stat")),
        "procs_blocked ",
    );
    freezer.thaw();
    cgroup.kill();
    child.wait().unwrap();
    assert_eq!(blocked, 0);
}

/// Freezes a cgroup.
enum Freezer {
    /// The cgroup's directory in the freezer's hierarchy.
    V1(PathBuf),
    /// Its directory in the v2 hierarchy.
    V2(PathBuf),
}

impl Freezer {
    fn of(cgroup: &TestCgroup) -> Self {
        if hierarchies().version_of("freezer") == Some(Version::V1) {
            Self::V1(cgroup.directory("freezer"))
        } else {
            Self::V2(cgroup.directory("cpu"))
        }
    }

    fn freeze(&self) {
        let (state, frozen) = match self {
            Self::V1(dir) => {
                std::fs::write(dir.join("freezer.state"), "FROZEN").unwrap();
                (dir.join("freezer.state"), "FROZEN\n")
            }
            Self::V2(dir) => {
                std::fs::write(dir.join("cgroup.freeze"), "1").unwrap();
                (dir.join("cgroup.events"), "frozen 1\n")
            }
        };
        wait_until("it is frozen", || {
            std::fs::read_to_string(&state).unwrap().ends_with(frozen)
        });
    }

    fn thaw(&self) {
        // The cgroup may be gone at drop.
        let _ = match self {
            Self::V1(dir) => std::fs::write(dir.join("freezer.state"), "THAWED"),
            Self::V2(dir) => std::fs::write(dir.join("cgroup.freeze"), "0"),
        };
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.thaw();
    }
}

/// The kernel's counts of a v1 cgroup are used only if complete, and must agree. On v2 there are none.
#[test]
fn the_kernel_s_own_count_is_taken_when_it_is_complete() {
    require_privileged!();
    let all = hierarchies();
    let is_v1 = all.version_of("memory") == Some(Version::V1);
    let cgroup = TestCgroup::new();
    let told = || -> (usize, Option<ThreadStates>) {
        let located = all.locate_path(cgroup.path()).unwrap();
        let mut all_told = (0, None);
        let tasks = Tasks::new(located.of(&all, "memory").unwrap());
        let found = &mut |tids: &[u32], told| all_told = (tids.len(), told);
        tasks.threads(found).unwrap();
        all_told
    };
    assert_eq!(told(), (0, None));
    let spawn = |program: &str| {
        let mut command = Command::new("sh");
        let child = command.args(["-c", program]).spawn().unwrap();
        cgroup.add(child.id());
        child
    };
    let mut busy = spawn("i=0; while [ $i -lt 100000000 ]; do i=$((i + 1)); done");
    let running = ThreadStates {
        running: 1,
        ..ThreadStates::default()
    };
    wait_until("it runs", || told() == (1, is_v1.then_some(running)));
    // Sleeps where a freezer may stop it: not counted since Linux 6.1.
    let mut asleep = spawn("exec sleep 60");
    wait_until("both are seen", || told().0 == 2);
    let is_sleep = |pid: u32| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm == "sleep\n") && thread_states(pid) == ['S']
    };
    wait_until("the second one sleeps", || is_sleep(asleep.id()));
    let with_sleeper = told().1;
    assert!(is_v1 || with_sleeper.is_none(), "{with_sleeper:?}");
    assert!(
        with_sleeper.is_none_or(|told| told
            == ThreadStates {
                others: 1,
                ..running
            }),
        "{with_sleeper:?}"
    );
    for child in [&mut busy, &mut asleep] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// No thread before the first request, one while there are readers, none afterwards; then no thread of the
/// server runs any more.
#[test]
fn nothing_is_done_when_nobody_asks() {
    require_privileged!();
    let mounted = with_idle_seconds(5);
    let cgroup = TestCgroup::new();
    let _ = mounted.read(&cgroup.address("proc/stat"));
    assert!(mounted.threads(Some(SAMPLER)).is_empty());
    let mut child = TestContainer::new(&mounted, &cgroup).spawn("cat /proc/loadavg; read _");
    // Sampling starts with a reading after this instant.
    let mut asked = Instant::now();
    wait_until("the sampler has started", || {
        let looked = Instant::now();
        let is_there = mounted.threads(Some(SAMPLER)).len() == 1;
        if !is_there {
            asked = looked;
        }
        is_there
    });
    wait_until("the sampler has ended", || {
        mounted.threads(Some(SAMPLER)).is_empty()
    });
    assert!(asked.elapsed() >= Duration::from_secs(4), "{asked:?}");
    let before = wake_ups(mounted.pid());
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(
        wake_ups(mounted.pid()),
        before,
        "a thread of the server has woken up"
    );
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// The sampler ends with its last container, even shortly after a reading.
#[test]
fn a_container_that_has_ended_is_not_sampled() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let text = TestContainer::new(&mounted, &cgroup).run("exec cat /proc/loadavg");
    assert!(hundredths(&parse(&text))[0] < 20, "{text}");
    drop(cgroup);
    wait_until("the sampler has ended", || {
        mounted.threads(Some(SAMPLER)).is_empty()
    });
}

#[test]
fn two_hundred_containers_ask() {
    require_privileged!();
    let mounted = Mounted::new();
    let slice = TestCgroup::new();
    let mut sleepers = Vec::new();
    for number in 0..200 {
        let cgroup = slice.child(format!("c{number}"));
        let mut command = Command::new("sleep");
        let sleeper = command.arg("600").spawn().unwrap();
        cgroup.add(sleeper.id());
        sleepers.push((cgroup, sleeper));
    }
    let started = Instant::now();
    // Longer than two samples; no reader waits for the sampler or gets another's values.
    while started.elapsed() < Duration::from_secs(11) {
        for (cgroup, sleeper) in &sleepers {
            let load = load(&mounted, cgroup);
            assert_eq!((load.runnable, load.total), (1, 1));
            // They are in the host's pid namespace.
            assert_eq!(load.last_pid, sleeper.id());
        }
        assert_eq!(mounted.threads(Some(SAMPLER)).len(), 1);
        std::thread::sleep(Duration::from_millis(500));
    }
    for (_, sleeper) in &mut sleepers {
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}

/// A sample reads the same number of files with two thousand processes outside as with none.
#[test]
fn processes_outside_cost_nothing() {
    require_privileged!();
    let reads = |thread: &PathBuf| {
        let io = std::fs::read_to_string(thread.join("io")).unwrap_or_default();
        io.lines()
            .find_map(|line| line.strip_prefix("syscr: ")?.parse::<u64>().ok())
    };
    require!(
        reads(&"/proc/thread-self".into()).is_some(),
        "needs a kernel that counts reads by thread (CONFIG_TASK_IO_ACCOUNTING)"
    );
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let mut child = TestContainer::new(&mounted, &cgroup).spawn("cat /proc/loadavg; read _");
    settled(&mut child, 1);
    let mut threads = Vec::new();
    wait_until("the sampler has its name", || {
        threads = mounted.threads(Some(SAMPLER));
        !threads.is_empty()
    });
    let thread = threads.remove(0);
    // The reads of one sample, which ends within the pause.
    let of_a_sample = || {
        let before = reads(&thread).unwrap();
        wait_until("a sample is taken", || reads(&thread).unwrap() > before);
        std::thread::sleep(Duration::from_secs(2));
        reads(&thread).unwrap() - before
    };
    // The first sample is by a thread that has just started.
    of_a_sample();
    let without = of_a_sample();
    let crowd = Crowd::new(2000);
    // Discards a sample that was in progress.
    of_a_sample();
    let with = of_a_sample();
    drop(crowd);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(with, without);
    assert!(without < 50, "{without}");
}
