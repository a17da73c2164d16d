//! Triggers of `proc/pressure` under real pressure: wake-ups, their number, and leftovers.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer};
use vistafs_tests::vistafs::{Mounted, children, printed, wait_until};
use vistafs_tests::{require, require_privileged};

use crate::cgroup_tree::mounted_directory;
use crate::pressure::{assert_not_supported, has_v2, is_kept, python};

/// Common code of the programs in containers.
const BASE: &str = r#"
import os, select, signal, sys, threading, time
PRI = select.POLLPRI
def trigger(what="cpu", threshold=1000000, path=None):
    fd = os.open(path or "/proc/pressure/" + what, os.O_RDWR)
    os.write(fd, b"some %d 2000000\n" % threshold)
    return fd
def wait(fd, seconds):
    poll = select.poll()
    poll.register(fd, PRI)
    return [revents for _, revents in poll.poll(seconds * 1000)]
def press():
    "Two processes that want the same CPU, as long as the container lives."
    cpus = sorted(os.sched_getaffinity(0))
    for _ in range(2):
        if os.fork() == 0:
            os.closerange(3, 4096)
            os.sched_setaffinity(0, cpus[:1])
            while True: pass
    os.sched_setaffinity(0, cpus[1:] or cpus)
def say(*words): print(*words, flush=True)
"#;

fn program(container: &TestContainer<'_>, shell: &str, program: &str) -> Command {
    python(container, shell, &format!("{BASE}{program}"))
}

fn start(mut command: Command) -> (Child, BufReader<ChildStdout>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Throttling by a quota is pressure as well, and leaves CPU time for other tests.
fn spare_the_machine(cgroup: &TestCgroup) {
    cgroup.limit_cpu(Some(50));
}

/// Closing a trigger takes the kernel 10 ms, and more on emulated CPUs.
#[track_caller]
fn assert_descriptors(mounted: &Mounted, most: usize) {
    let started = Instant::now();
    while mounted.descriptors() > most {
        let left = mounted.descriptors();
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "{left} > {most}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn cpu_pressure_wakes_who_is_under_it_and_no_neighbour() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let (cgroup, other) = (TestCgroup::new(), TestCgroup::new());
    let container = TestContainer::new(&mounted, &cgroup);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    spare_the_machine(&cgroup);
    spare_the_machine(&other);
    let idle = "fd = trigger()
say('ready')
sys.stdin.readline()
say(wait(fd, 0))
press()
say(wait(fd, 60))";
    let neighbour = TestContainer::new(&mounted, &other);
    let (mut child, mut says) = start(program(&neighbour, "exec", idle));
    assert_eq!(line(&mut says), "ready");
    let busy = "fd = trigger()
press()
for _ in range(3): say(wait(fd, 60))";
    let text = printed(&program(&container, "exec", busy).output().unwrap());
    assert_eq!(text, "[2]\n[2]\n[2]\n");
    drop(child.stdin.take());
    assert_eq!(line(&mut says), "[]", "the neighbour was idle");
    assert_eq!(line(&mut says), "[2]", "until it was not");
    child.wait().unwrap();
}

#[test]
fn memory_pressure_wakes_who_is_under_it_and_no_neighbour() {
    const MIB: u64 = 1 << 20;
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let (cgroup, other) = (TestCgroup::new(), TestCgroup::new());
    let container = TestContainer::new(&mounted, &cgroup);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    if cgroup.is_v2("memory") {
        let high = cgroup.directory("memory").join("memory.high");
        std::fs::write(high, (40 * MIB).to_string()).unwrap();
    } else {
        cgroup.limit_memory(40 * MIB);
    }
    let idle = "fd = trigger('memory', 20000)
say('ready')
sys.stdin.readline()
say(wait(fd, 0))";
    let neighbour = TestContainer::new(&mounted, &other);
    let (mut child, mut says) = start(program(&neighbour, "exec", idle));
    assert_eq!(line(&mut says), "ready");
    // Repeatedly exceeds the limit with page cache. It is charged to the writer.
    let busy = "fd = trigger('memory', 20000)
def read():
    file = os.open(os.environ['LARGE'], os.O_RDONLY)
    while True:
        for at in range(0, 96 << 20, 1 << 20): os.pread(file, 1 << 20, at)
with open(os.environ['LARGE'], 'wb') as file:
    for _ in range(96):
        file.write(b'x' * (1 << 20))
        os.fsync(file)
for _ in range(2):
    if os.fork() == 0: read()
say(wait(fd, 120))";
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let large = dir.path().join("large");
    let mut command = program(&container, "exec", busy);
    let text = printed(&command.env("LARGE", &large).output().unwrap());
    assert_eq!(text, "[2]\n");
    drop(child.stdin.take());
    assert_eq!(line(&mut says), "[]", "the neighbour was idle");
    child.wait().unwrap();
}

/// Each event is reported once, however the program waits, as by the kernel's file.
#[test]
fn every_way_to_wait_hears_of_each_event_once() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    // The kernel's file cannot be written from a private cgroup namespace (nsdelegate).
    let container = TestContainer::with(&mounted, &cgroup, Namespaces::Pid);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    spare_the_machine(&cgroup);
    let waiters = "
def with_poll(fd):
    return len(wait(fd, 1))
def with_epoll(flags):
    def of(fd):
        epoll = select.epoll()
        epoll.register(fd, select.EPOLLPRI | flags)
        return lambda: len(epoll.poll(1))
    return of
def with_select(fd):
    return len(select.select([], [], [fd], 1)[2])
lock, counts = threading.Lock(), {}
def count(name, ask):
    while time.monotonic() < END:
        told = ask()
        with lock: counts[name] = counts.get(name, 0) + told
def start(name, ask):
    threads.append(threading.Thread(target=count, args=(name, ask)))
threads = []
witness = trigger(path=os.environ['WITNESS'])
start('witness', lambda: with_poll(witness))
one = trigger(); start('poll', lambda: with_poll(one))
two = trigger(); start('select', lambda: with_select(two))
start('level', with_epoll(0)(trigger()))
start('edge', with_epoll(select.EPOLLET)(trigger()))
shared = trigger(); again = os.dup(shared)
start('shared', lambda: with_poll(shared)); start('shared', lambda: with_poll(again))
other = trigger(); also = with_epoll(select.EPOLLET)(other)
start('both', lambda: with_poll(other)); start('both', also)
# Their windows begin with the first event, so that it has to find them all.
press()
END = time.monotonic() + 13
[t.start() for t in threads]; [t.join() for t in threads]
for name in counts: say(name, counts[name])
";
    let mut command = program(&container, "exec", waiters);
    let witness = cgroup.directory("pressure").join("cpu.pressure");
    let text = printed(&command.env("WITNESS", witness).output().unwrap());
    let counts: Vec<(&str, u32)> = text
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, count)| (name, count.parse().unwrap()))
        .collect();
    let (_, witness) = counts.iter().find(|(name, _)| *name == "witness").unwrap();
    assert_eq!(counts.len(), 7, "{text}");
    assert!(*witness >= 3, "{text}");
    for (name, count) in &counts {
        // The last event may happen just at the end.
        assert!(count.abs_diff(*witness) <= 1, "{name}: {text}");
    }
}

#[test]
fn a_thousand_triggers_at_once() {
    const MOST: usize = 1024;
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let container = TestContainer::new(&mounted, &cgroup);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    spare_the_machine(&cgroup);
    let many = "
fds, refused = {}, []
for n in range(1034):
    try:
        fd = trigger(['cpu', 'memory', 'io'][n % 3 if n < 30 else 0])
        fds[fd] = n
    except OSError as e: refused.append(e.strerror)
say(len(fds), set(refused), len(refused))
poll = select.poll()
for fd, n in fds.items():
    if n >= 30: poll.register(fd, PRI)
cpu = len(fds) - 30
press()
end = time.monotonic() + 120
told = set()
while len(told) < cpu and time.monotonic() < end:
    told |= {fd for fd, _ in poll.poll(10000)}
say(len(told) == cpu)
# One that is closed makes room for another, soon.
os.close(fds.popitem()[0])
while time.monotonic() < end:
    try: trigger('io')
    except OSError: time.sleep(0.1)
    else: break
else: sys.exit('there is no room')
say('and another')
sys.stdin.readline()
";
    let timed = || {
        let started = Instant::now();
        let _ = mounted.read("proc/uptime");
        started.elapsed()
    };
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let before = mounted.descriptors();
    let (mut child, mut says) = start(program(&container, "ulimit -n 4096; exec", many));
    let expected = format!("{MOST} {{'No space left on device'}} 10");
    assert_eq!(line(&mut says), expected);
    assert!(mounted.descriptors() >= MOST);
    assert_eq!(line(&mut says), "True", "all were woken");
    assert_eq!(line(&mut says), "and another");
    let control = median((0..51).map(|_| timed()).collect());
    child.kill().unwrap();
    cgroup.kill();
    child.wait().unwrap();
    // The kernel takes milliseconds to close each of them, and no other caller waits for that.
    let mut times = vec![timed()];
    while mounted.descriptors() > before + 100 && times.len() < 51 {
        times.push(timed());
    }
    let closing = median(times);
    assert!(closing < 100 * control, "{closing:?}, {control:?} before");
    // vistafs itself keeps few, such as its epoll set.
    assert_descriptors(&mounted, before + 20);
}

#[test]
fn a_poller_that_is_killed_leaves_nothing() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let container = TestContainer::new(&mounted, &cgroup);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    let round = || {
        let pollers = "
poll = select.poll()
for _ in range(40): poll.register(trigger(threshold=2000000), PRI)
if os.fork() and os.fork(): say('waiting')
poll.poll()
";
        let (mut child, mut says) = start(program(&container, "exec", pollers));
        assert_eq!(line(&mut says), "waiting");
        std::thread::sleep(Duration::from_millis(300));
        let held = mounted.descriptors();
        cgroup.kill();
        child.wait().unwrap();
        held
    };
    let before = mounted.descriptors();
    for _ in 0..4 {
        assert!(round() >= before + 40);
        // vistafs itself keeps few, such as its epoll set.
        assert_descriptors(&mounted, before + 20);
    }
}

#[test]
fn a_descriptor_is_shared_until_the_last_one_closes_it() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let container = TestContainer::new(&mounted, &cgroup);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    spare_the_machine(&cgroup);
    let sharing = "
fd = trigger()
first = os.pread(fd, 4096, 0)
say(first.startswith(b'some avg10='), os.pread(fd, 4096, 0) != b'', os.pread(fd, 4, 5) == first[5:9])
press()
# A thread goes on waiting for what another one has closed.
closed = trigger()
# (POLLNVAL, if the kernel looks at the number again before it has the event.)
thread = threading.Thread(target=lambda: say('closed', wait(closed, 60) in ([2], [32])))
thread.start()
time.sleep(2)
os.close(closed)
thread.join()
# A child has it after its parent has closed it.
child = os.fork()
if child == 0:
    time.sleep(0.5)
    try: os.write(fd, b'some 150000 2000000\\n')
    except OSError as e: say(e.strerror)
    say('child', wait(fd, 60))
    os._exit(0)
os.close(fd)
os.waitpid(child, 0)
";
    let text = printed(&program(&container, "exec", sharing).output().unwrap());
    assert_eq!(
        text,
        "True True True\nclosed True\nDevice or resource busy\nchild [2]\n"
    );
}

/// However the worker ends, during poll(2) or between two calls, and whatever was written: no caller has to
/// write its trigger again.
#[test]
fn a_trigger_outlives_the_worker() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    // The tree's file cannot be written from a private cgroup namespace (nsdelegate).
    let container = TestContainer::with(&mounted, &cgroup, Namespaces::Pid);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    spare_the_machine(&cgroup);
    let tree = mounted_directory(&mounted, &cgroup, "pressure").join("cpu.pressure");
    let waiting = "
fd = trigger(threshold=500000)
tree = trigger(threshold=500000, path=os.environ['TREE'])
none = os.open('/proc/pressure/cpu', os.O_RDWR)
thread = threading.Thread(target=lambda: say(wait(fd, 100)))
thread.start()
say('waiting')
sys.stdin.readline()
try: os.write(fd, b'some 150000 2000000\\n')
except OSError as e: say(e.strerror)
say(wait(none, 0))
press()
thread.join()
say(wait(fd, 100))
say(wait(tree, 100))
os.close(fd)
again = trigger(threshold=500000)
say(wait(again, 100))
";
    let mut command = program(&container, "exec", waiting);
    command.env("TREE", tree);
    let (mut child, mut says) = start(command);
    assert_eq!(line(&mut says), "waiting");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        std::thread::sleep(Duration::from_millis(300));
        let worker = mounted.pid();
        kill(Pid::from_raw(worker.cast_signed()), signal).unwrap();
        wait_until("another worker serves", || {
            ![None, Some(&worker)].contains(&children(mounted.supervisor()).last())
        });
        let _ = mounted.read("proc/uptime");
    }
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    let said: Vec<String> = (0..6).map(|_| line(&mut says)).collect();
    let expected = [
        "Device or resource busy",
        "[10]",
        "[2]",
        "[2]",
        "[2]",
        "[2]",
    ];
    assert_eq!(said, expected);
    cgroup.kill();
    child.wait().unwrap();
}

/// A caller that waits when vistafs ends is woken.
#[test]
fn the_end_of_vistafs_wakes_everybody() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let mut mounted = Mounted::new();
        let cgroup = TestCgroup::new();
        let container = TestContainer::new(&mounted, &cgroup);
        if !has_v2() {
            return assert_not_supported(&container);
        }
        let waiting = "fd = trigger(threshold=2000000)
say('waiting')
say(wait(fd, 100))";
        let (mut child, mut says) = start(program(&container, "exec", waiting));
        assert_eq!(line(&mut says), "waiting");
        std::thread::sleep(Duration::from_millis(300));
        let root = mounted.root();
        if signal == Signal::SIGKILL {
            mounted.die();
        } else {
            let _ = mounted.end(signal);
        }
        // Killed, it leaves its mount behind.
        let _ = nix::mount::umount2(&root, nix::mount::MntFlags::MNT_DETACH);
        assert_eq!(line(&mut says), "[8]", "POLLERR after {signal}");
        child.wait().unwrap();
    }
}
