//! Finding the caller's container.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer, field};
use vistafs_tests::vistafs::{MountOptions, Mounted, printed, wait_until};
use vistafs_tests::{require, require_privileged};

const MIB: u64 = 1 << 20;

fn limited(mib: u64) -> TestCgroup {
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(mib * MIB);
    cgroup
}

fn total(text: &str) -> u64 {
    field(text, "MemTotal:")
}

#[test]
fn a_reader_in_no_container_gets_the_host_s_bytes() {
    require_privileged!();
    let mounted = Mounted::new();
    for file in ["proc/cpuinfo", "sys/devices/system/cpu/online"] {
        // The clock frequency may change between two readings.
        let without_clock = |text: String| -> Vec<String> {
            text.lines()
                .filter(|l| !l.contains("MHz"))
                .map(str::to_owned)
                .collect()
        };
        let host = std::fs::read_to_string(format!("/{file}")).unwrap();
        assert_eq!(
            without_clock(mounted.read(file)),
            without_clock(host),
            "{file}"
        );
    }
    let keys = |text: &str| -> Vec<String> {
        text.lines()
            .map(|l| l.split_whitespace().next().unwrap().to_owned())
            .collect()
    };
    for file in ["proc/meminfo", "proc/stat"] {
        let host = std::fs::read_to_string(format!("/{file}")).unwrap();
        assert_eq!(keys(&mounted.read(file)), keys(&host), "{file}");
    }
    let host = std::fs::read_to_string("/proc/meminfo").unwrap();
    assert_eq!(total(&mounted.read("proc/meminfo")), total(&host));
    // In a limited cgroup, but in the host's namespaces: still the host.
    let cgroup = limited(64);
    let mut script = cgroup.join_script();
    script.extend_from_slice(b"cat \"$M/proc/meminfo\"\n");
    let output = Command::new("sh")
        .arg("-c")
        .arg(OsStr::from_bytes(&script))
        .env("M", mounted.root())
        .output()
        .unwrap();
    assert_eq!(total(&printed(&output)), total(&host));
}

#[test]
fn every_kind_of_container_sees_its_own() {
    require_privileged!();
    let mounted = Mounted::new();
    for namespaces in [Namespaces::Both, Namespaces::Pid, Namespaces::Cgroup] {
        let cgroup = limited(64);
        let text = TestContainer::with(&mounted, &cgroup, namespaces).run("cat /proc/meminfo");
        assert_eq!(total(&text), 64 * 1024, "{namespaces:?}");
    }
}

#[test]
fn a_limit_on_an_ancestor_counts() {
    require_privileged!();
    let mounted = Mounted::new();
    let slice = limited(64);
    let cgroup = slice.child("unlimited");
    let text = TestContainer::new(&mounted, &cgroup).run("cat /proc/meminfo");
    assert_eq!(total(&text), 64 * 1024);
    cgroup.limit_memory(256 * MIB);
    let text = TestContainer::new(&mounted, &cgroup).run("cat /proc/meminfo");
    assert_eq!(
        total(&text),
        64 * 1024,
        "a looser limit of its own does not help"
    );
}

#[test]
fn a_container_in_a_container_sees_its_own() {
    require_privileged!();
    let mounted = Mounted::new();
    let slice = TestCgroup::new();
    slice.limit_memory(128 * MIB);
    let (outer, inner) = (slice.child("outer"), slice.child("inner"));
    inner.limit_memory(64 * MIB);
    // A process of the outer container creates the inner one's namespaces, and the host moves it to the inner
    // cgroup.
    let script = "cat /proc/meminfo; echo go; read _; unshare -Cpf sh -c 'cat /proc/meminfo'";
    let mut child = TestContainer::new(&mounted, &outer).spawn(script);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut first = String::new();
    for line in lines.by_ref().map(Result::unwrap).take_while(|l| l != "go") {
        first += &(line + "\n");
    }
    assert_eq!(total(&first), 128 * 1024);
    for pid in outer.read("memory", "cgroup.procs").lines() {
        inner.add(pid.parse().unwrap());
    }
    writeln!(child.stdin.take().unwrap()).unwrap();
    let second: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success());
    assert_eq!(total(&second.join("\n")), 64 * 1024);
}

#[test]
fn init_scope_is_not_the_container() {
    require_privileged!();
    let mounted = Mounted::new();
    let slice = limited(64);
    let scope = slice.child("init.scope");
    scope.limit_memory(32 * MIB);
    // Like systemd in a container without a cgroup namespace.
    let text = TestContainer::with(&mounted, &scope, Namespaces::Pid).run("cat /proc/meminfo");
    assert_eq!(total(&text), 64 * 1024);
}

#[test]
fn an_init_that_is_moved_is_followed() {
    require_privileged!();
    let mounted = Mounted::new();
    let (first, second) = (limited(64), limited(32));
    let script = "cat /proc/meminfo; echo; read _; cat /proc/meminfo";
    let mut child = TestContainer::with(&mounted, &first, Namespaces::Pid).spawn(script);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while output.read_line(&mut text).unwrap() > 1 {}
    assert_eq!(total(&text), 64 * 1024);
    for pid in first.read("memory", "cgroup.procs").lines() {
        second.add(pid.parse().unwrap());
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    writeln!(child.stdin.take().unwrap()).unwrap();
    text.clear();
    output.read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    assert_eq!(total(&text), 32 * 1024);
}

/// Kubernetes pods with shareProcessNamespace: one pid namespace, a cgroup namespace for each container.
#[test]
fn containers_that_share_a_pid_namespace_each_see_their_own() {
    require_privileged!();
    let mounted = Mounted::new();
    let pod = TestCgroup::new();
    let (pause, a, b) = (pod.child("pause"), pod.child("a"), pod.child("b"));
    a.limit_memory(64 * MIB);
    b.limit_memory(32 * MIB);
    let script = "echo ready; read _";
    let mut init = TestContainer::new(&mounted, &pause).spawn(script);
    let mut ready = [0; 6];
    init.stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    let pid = pause.namespace_init().expect("the pod's init");
    for (cgroup, mib) in [(&a, 64), (&b, 32)] {
        let mut outer = cgroup.join_script();
        outer.extend_from_slice(
            format!("exec nsenter -t {pid} -p unshare -C sh -c 'cat \"$M/proc/meminfo\" \"$M/proc/uptime\"'\n").as_bytes(),
        );
        let output = Command::new("sh")
            .arg("-c")
            .arg(OsStr::from_bytes(&outer))
            .env("M", mounted.root())
            .output()
            .unwrap();
        assert_eq!(total(&printed(&output)), mib * 1024);
    }
    writeln!(init.stdin.take().unwrap()).unwrap();
    init.wait().unwrap();
}

/// `nsenter` into a container from a shell on the host: its cgroup is outside of the namespace's root, so
/// `/proc/PID/cgroup` reads `/../..` in the container.
#[test]
fn who_enters_from_outside_sees_the_container() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = limited(64);
    let mut init = TestContainer::new(&mounted, &cgroup).spawn("echo ready; read _");
    let mut ready = [0; 6];
    init.stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    let pid = cgroup.namespace_init().unwrap().to_string();
    for flags in [["-m", "-p", "-C"].as_slice(), &["-m", "-C"], &["-m", "-p"]] {
        let output = Command::new("nsenter")
            .args(["-t", &pid])
            .args(flags)
            .args(["cat", "/proc/meminfo"])
            .output()
            .unwrap();
        let text = printed(&output);
        // Without -C, the cgroup of the pid namespace's init decides.
        assert_eq!(total(&text), 64 * 1024, "{flags:?}");
    }
    writeln!(init.stdin.take().unwrap()).unwrap();
    init.wait().unwrap();
}

#[test]
fn odd_cgroup_names_do_not_confuse() {
    require_privileged!();
    let mounted = Mounted::new();
    let top = TestCgroup::new();
    let names: [&[u8]; 7] = [
        b"with blanks  and\ttab",
        b"..like",
        b"...",
        b"x (deleted)",
        b"\xff\xfe not utf-8",
        b"back\\slash:colon",
        b"init.scope.not",
    ];
    for (index, name) in names.iter().enumerate() {
        let cgroup = top.child(OsStr::from_bytes(name));
        let mib = 64 + index as u64;
        cgroup.limit_memory(mib * MIB);
        for namespaces in [Namespaces::Both, Namespaces::Pid] {
            let text = TestContainer::with(&mounted, &cgroup, namespaces).run("cat /proc/meminfo");
            assert_eq!(
                total(&text),
                mib * 1024,
                "{:?} {namespaces:?}",
                OsStr::from_bytes(name)
            );
        }
        let path = mounted
            .path("at")
            .join(cgroup.path().strip_prefix("/").unwrap())
            .join("proc/meminfo");
        assert_eq!(total(&std::fs::read_to_string(path).unwrap()), mib * 1024);
    }
    // The kernel refuses a name with a newline.
    assert!(std::fs::create_dir(top.directory("memory").join("a\nb")).is_err());
}

#[test]
fn threads_are_callers_too() {
    require_privileged!();
    require!(vistafs_tests::require::program("python3"), "needs python3");
    let mounted = Mounted::new();
    let cgroup = limited(64);
    let script = "python3 -c '
import threading
texts = []
def read(): texts.append(open(\"/proc/meminfo\").readline())
threads = [threading.Thread(target=read) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(texts), set(texts))'";
    let text = TestContainer::new(&mounted, &cgroup).run(script);
    assert_eq!(text.trim(), "8 {'MemTotal:          65536 kB\\n'}");
}

/// vistafs in a separate pid namespace, with its mount visible outside: FUSE reports pid 0 for outside
/// callers.
#[test]
fn a_caller_that_is_not_visible_gets_an_error_and_not_the_host() {
    require_privileged!();
    let mounted = Mounted::with(&MountOptions {
        // The mount is made in the tests' mount namespace, which the server shares.
        wrapper: ["unshare", "-pf"].map(String::from).to_vec(),
        ..MountOptions::default()
    });
    let error = std::fs::read_to_string(mounted.path("proc/meminfo")).unwrap_err();
    assert_eq!(
        error.kind(),
        std::io::ErrorKind::PermissionDenied,
        "{error}"
    );
    let mut mounted = mounted;
    let (_, messages) = mounted.end(nix::sys::signal::Signal::SIGTERM);
    assert!(
        messages.contains("the caller is not visible in vistafs's pid namespace"),
        "{messages}"
    );
    wait_until("it is unmounted", || !mounted.path("proc").exists());
}

/// Without an init, the eldest process of a container defines its lifetime.
#[test]
fn a_container_without_an_init_is_forgotten_with_its_last_process() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = limited(64);
    let container = TestContainer::with(&mounted, &cgroup, Namespaces::Cgroup);
    let _ = container.run("cat /proc/meminfo /proc/uptime");
    let _ = mounted.read("proc/uptime");
    wait_until("the first is forgotten", || {
        kept_open(&mounted, &cgroup) == 0
    });
    // The first caller exits first; the other process then defines the lifetime.
    let script = "sleep 0.3 & cat /proc/meminfo >/dev/null; exec sleep 60";
    let mut child = container.spawn(script);
    wait_until("it has asked", || kept_open(&mounted, &cgroup) > 0);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(kept_open(&mounted, &cgroup) > 0, "one process is left");
    cgroup.kill();
    child.wait().unwrap();
    wait_until("it is forgotten", || kept_open(&mounted, &cgroup) == 0);
}

/// The number of descriptors that the server has open below a cgroup.
fn kept_open(mounted: &Mounted, cgroup: &TestCgroup) -> usize {
    let below = cgroup.directory("memory");
    let fds = std::fs::read_dir(format!("/proc/{}/fd", mounted.pid())).unwrap();
    let target = |fd: std::fs::DirEntry| std::fs::read_link(fd.path()).unwrap_or_default();
    fds.flatten()
        .map(target)
        .filter(|path| path.starts_with(&below))
        .count()
}

#[test]
fn many_containers_at_once_each_see_their_own() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroups: Vec<_> = (0..12).map(|i| limited(32 + i)).collect();
    std::thread::scope(|scope| {
        for (i, cgroup) in (0u64..).zip(&cgroups) {
            let mounted = &mounted;
            scope.spawn(move || {
                let text = TestContainer::new(mounted, cgroup)
                    .run("for i in $(seq 20); do head -1 /proc/meminfo; done");
                assert_eq!(text.lines().count(), 20);
                assert!(
                    text.lines().all(|line| total(line) == (32 + i) * 1024),
                    "{text}"
                );
            });
        }
    });
}
