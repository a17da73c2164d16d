//! `proc/pressure`: contents, writes and permissions.
//!
//! The same program reads and writes the kernel's files and the views, and the results must agree.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use rustix::event::{PollFd, PollFlags};
use vistafs_cgroup::Version;
use vistafs_tests::cgroup::{TestCgroup, hierarchies};
use vistafs_tests::container::TestContainer;
use vistafs_tests::vistafs::{Mounted, printed};
use vistafs_tests::{require, require_privileged};

/// Whether containers have a v2 cgroup here.
pub(crate) fn has_v2() -> bool {
    let all = hierarchies();
    all.all().iter().any(|h| h.version() == Version::V2)
}

/// Whether the kernel accounts pressure.
pub(crate) fn is_kept() -> bool {
    Path::new("/proc/pressure/cpu").exists()
}

/// A command that runs a Python program in a container; `shell` precedes it.
pub(crate) fn python(container: &TestContainer<'_>, shell: &str, program: &str) -> Command {
    let script = format!("{shell} python3 -c \"$PROGRAM\"");
    let mut command = container.command(&script);
    command.env("PROGRAM", program);
    command
}

/// Asserts that every access fails as unsupported in a container without a v2 cgroup.
pub(crate) fn assert_not_supported(container: &TestContainer<'_>) {
    let program = r#"
import os
for what in "cpu", "memory", "io":
    fd = os.open("/proc/pressure/" + what, os.O_RDWR)
    for ask in (lambda: os.read(fd, 100)), (lambda: os.write(fd, b"some 150000 2000000\n")):
        try: print(ask())
        except OSError as e: print(e.strerror)
"#;
    let text = printed(&python(container, "exec", program).output().unwrap());
    assert_eq!(text, "Operation not supported\n".repeat(6));
}

/// Writes each text to a new descriptor of `$FILE`, and prints the result.
const JUDGE: &str = r#"
import errno, os, sys
SOME, FULL = b"some 150000 2000000\n", b"full 150000 2000000\n"
TEXTS = [
    SOME, FULL, SOME[:-1] + b"\0", SOME[:-1], b"some 150000 20000000", b"some 150000 1000000\n",
    b"full 500000 1000000", b"some", b"some\n", b"x", b"\n", b"\0", b"some 0 1000000\n", b"some 0 2000000\n",
    b"some 1 2 3", b"some 1 2 3\n", b"some 1 2000000 3\n", b"some 1\n", b"1 2000000\n",
    b"some 99999999999999999999 2000000\n", b"some 1 99999999999999999999\n", b"some 1 4296967296\n",
    b"some -1 2000000\n", b"some 1 -2000000\n", b"some +1 2000000\n", b"some 0x10 2000000\n", b"some 010 2000000\n",
    b"some 1000 499999\n", b"some 1000 500000\n", b"some 1000 1999999\n", b"some 1000 10000000\n",
    b"some 1000 10000001\n", b"some 1000 12000000\n", b"some 1 1\n", b"some 1 0\n",
    b"some 3000000 2000000\n", b"some 2000000 2000000\n", b"some 2000001 2000000\n",
    b"  some 1000 2000000\n", b"some   1000   2000000  \n", b"some1000 2000000\n", b"some\t1000\n2000000\n",
    b"SOME 1000 2000000\n", b"some 1000\0 2000000\n", b"some 1000 2000000\0full 1000 1000000\n",
    b"some 00000000000001000 2000000\n", b"some 000000000000001000 2000000\n", b"some 0000000000000001000 2000000\n",
    b"\xff\xfe some 1 2000000\n", b"some \xd9\xa1 2000000\n",
    SOME + b"x" * (1 << 20), b"x" * (1 << 20), b"9" * 31, b"9" * 32, b"9" * 33,
]
def said(write):
    try: write(); return "ok"
    except OSError as e: return errno.errorcode[e.errno]
for text in TEXTS:
    fd = os.open(os.environ["FILE"], os.O_RDWR)
    first = said(lambda: os.write(fd, text))
    # Each trigger takes the kernel its time to close.
    more = (SOME, b"x", b"some") if first == "ok" or text == b"some" else ()
    print(text[:40], first, [said(lambda: os.write(fd, again)) for again in more])
    os.close(fd)
"#;

/// Prefixes that change the capabilities of a command.
const AS_IT_IS: &str = "exec";
const UNPRIVILEGED: &str = "exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource";
const IN_USER_NAMESPACE: &str = "exec unshare -U";

/// The kernel's result for each text.
fn kernel_says(shell: &str, file: &Path) -> String {
    let script = format!("{shell} python3 -c \"$PROGRAM\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .env("PROGRAM", JUDGE)
        .env("FILE", file);
    printed(&command.output().unwrap())
}

/// Whether this process, and therefore its child vistafs, has CAP_SYS_RESOURCE.
fn is_capable() -> bool {
    let sets = rustix::thread::capabilities(None).unwrap();
    let wanted = rustix::thread::CapabilitySet::SYS_RESOURCE;
    sets.effective.contains(wanted)
}

#[track_caller]
fn assert_same(shown: &str, expected: &str, which: &str) {
    for (shown, expected) in shown.lines().zip(expected.lines()) {
        assert_eq!(shown, expected, "{which}");
    }
    assert_eq!(shown.lines().count(), expected.lines().count());
}

#[test]
fn every_text_is_answered_as_by_the_kernel_s_own_file() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let container = TestContainer::new(&mounted, &cgroup);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    for what in ["cpu", "memory", "io", "irq"] {
        let of_kernel = Path::new("/proc/pressure").join(what);
        if !of_kernel.exists() {
            let error = std::fs::metadata(mounted.path("proc/pressure").join(what));
            assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::NotFound);
            continue;
        }
        for shell in [AS_IT_IS, UNPRIVILEGED, IN_USER_NAMESPACE] {
            // A caller cannot get a capability that vistafs itself lacks.
            let may = if is_capable() { shell } else { UNPRIVILEGED };
            let expected = kernel_says(may, &of_kernel);
            let mut command = python(&container, shell, JUDGE);
            let shown = printed(&command.env("FILE", &of_kernel).output().unwrap());
            assert_same(
                &shown,
                &expected,
                &format!("{what} in a container: {shell}"),
            );
        }
        // A caller on the host writes to the host's file.
        let ours = mounted.path("proc/pressure").join(what);
        let expected = kernel_says(UNPRIVILEGED, &of_kernel);
        assert_same(&kernel_says(UNPRIVILEGED, &ours), &expected, what);
    }
}

/// The opener's privilege counts, as with the kernel's file, whoever writes later.
#[test]
fn privilege_goes_with_the_descriptor() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let container = TestContainer::new(&mounted, &cgroup);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    let less = UNPRIVILEGED.strip_prefix("exec ").unwrap();
    let write = "sh -c 'echo some 100000 1000000 >&3' 2>/dev/null && echo taken || echo refused";
    let script = format!(
        "exec 3<>/proc/pressure/cpu; {less} {write}\n\
         {less} sh -c \"exec 3<>/proc/pressure/cpu; {write}\"\n"
    );
    // vistafs cannot grant more than it has itself.
    let privileged = if is_capable() { "taken" } else { "refused" };
    assert_eq!(container.run(&script), format!("{privileged}\nrefused\n"));
}

/// Without a trigger the kernel answers poll immediately, with an error.
#[test]
fn polls_are_answered_as_by_the_kernel_s_own_file() {
    const PROGRAM: &str = r#"
import os, select
for flags in os.O_RDONLY, os.O_WRONLY, os.O_RDWR:
    fd = os.open(os.environ["FILE"], flags)
    for text in None, b"some 1999999 2000000\n":
        if text and flags != os.O_RDONLY: os.write(fd, text)
        for events in 0, select.POLLIN, select.POLLPRI, select.POLLIN | select.POLLOUT | select.POLLPRI:
            poll = select.poll()
            poll.register(fd, events)
            print(flags, text, events, [revents for _, revents in poll.poll(10)])
        print([len(ready) for ready in select.select([fd], [fd], [fd], 0.01)])
        epoll = select.epoll()
        epoll.register(fd, select.EPOLLPRI | select.EPOLLET)
        print([revents for _, revents in epoll.poll(0.01)])
"#;
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let container = TestContainer::new(&mounted, &cgroup);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    let of_kernel = "/proc/pressure/memory";
    let on_host = |file: &Path| {
        let mut command = Command::new("python3");
        printed(
            &command
                .args(["-c", PROGRAM])
                .env("FILE", file)
                .output()
                .unwrap(),
        )
    };
    let expected = on_host(Path::new(of_kernel));
    let mut command = python(&container, "exec", PROGRAM);
    let shown = printed(&command.env("FILE", of_kernel).output().unwrap());
    assert_same(&shown, &expected, "in a container");
    assert_same(
        &on_host(&mounted.path("proc/pressure/memory")),
        &expected,
        "on the host",
    );
}

#[test]
fn the_text_is_that_of_the_container_s_cgroup() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let container = TestContainer::new(&mounted, &cgroup);
    if !has_v2() {
        return assert_not_supported(&container);
    }
    // Two threads compete for one CPU for a second; afterwards the totals are constant.
    let program = r#"
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
end = time.monotonic() + 1
child = os.fork()
while time.monotonic() < end: pass
if child: os.waitpid(child, 0)
"#;
    let _ = printed(&python(&container, "", program).output().unwrap());
    let total = |text: &str| -> u64 {
        let line = text.lines().find(|l| l.starts_with("some avg10=")).unwrap();
        line.split_once("total=").unwrap().1.parse().unwrap()
    };
    let before = total(&cgroup.read("pressure", "cpu.pressure"));
    let shown = mounted.read(&cgroup.address("proc/pressure/cpu"));
    let inside = container.run("cat /proc/pressure/cpu");
    let after = total(&cgroup.read("pressure", "cpu.pressure"));
    assert!(before > 200_000, "it was under pressure: {before} us");
    assert!(
        (before..=after).contains(&total(&shown)),
        "{before} {shown} {after}"
    );
    assert!(
        (before..=after).contains(&total(&inside)),
        "{before} {inside} {after}"
    );
    let of_host = std::fs::read_to_string("/proc/pressure/cpu").unwrap();
    let via_mount = mounted.read("proc/pressure/cpu");
    assert!(
        total(&of_host) <= total(&via_mount),
        "the host is shown the host's"
    );
    assert_eq!(shown.lines().count(), of_host.lines().count());
}

fn errno<T>(result: std::io::Result<T>) -> Option<Errno> {
    let error = result.err()?;
    error.raw_os_error().map(Errno::from_raw)
}

/// A waiting caller is notified that its trigger is gone.
#[test]
fn a_cgroup_that_loses_its_pressure_is_an_error() {
    require_privileged!();
    require!(is_kept(), "the kernel keeps no pressure (psi=1)");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    if !has_v2() {
        return assert_not_supported(&TestContainer::new(&mounted, &cgroup));
    }
    let path = mounted.path(&cgroup.address("proc/pressure/cpu"));
    let open = || {
        let mut options = std::fs::File::options();
        let mut file = options.read(true).write(true).open(&path).unwrap();
        file.write_all(b"some 150000 2000000\n").unwrap();
        file
    };
    let read = || errno(std::fs::read_to_string(&path));
    let waiting = |file: std::fs::File| {
        std::thread::spawn(move || {
            let mut fds = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::PRI)];
            rustix::event::poll(&mut fds, None).unwrap();
            (fds[0].revents(), file)
        })
    };
    let switch = cgroup.directory("pressure").join("cgroup.pressure");
    // Since Linux 6.1.
    if switch.exists() {
        let waiter = waiting(open());
        assert_eq!(read(), None);
        std::thread::sleep(std::time::Duration::from_millis(200));
        std::fs::write(&switch, "0").unwrap();
        let (revents, _file) = waiter.join().unwrap();
        assert_eq!(revents, PollFlags::PRI | PollFlags::ERR);
        assert_eq!(read(), Some(Errno::EOPNOTSUPP));
        std::fs::write(&switch, "1").unwrap();
        assert_eq!(read(), None);
    }
    let mut reader = std::fs::File::open(&path).unwrap();
    reader.read_to_string(&mut String::new()).unwrap();
    let waiter = waiting(open());
    std::thread::sleep(std::time::Duration::from_millis(200));
    cgroup.remove();
    let (revents, mut file) = waiter.join().unwrap();
    assert_eq!(revents, PollFlags::PRI | PollFlags::ERR);
    assert_eq!(
        errno(file.write(b"some 150000 2000000\n")),
        Some(Errno::ENODEV)
    );
    std::io::Seek::rewind(&mut reader).unwrap();
    assert_eq!(errno(reader.read(&mut [0; 100])), Some(Errno::ENODEV));
}
