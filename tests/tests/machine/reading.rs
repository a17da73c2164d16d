//! Ways to read: sizes, offsets, kept and passed descriptors, readers that disappear.
//!
//! `at/<cgroup>/...` shows a container to this process, so that the test controls each read(2).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::vistafs::{Mounted, printed, wait_until};
use vistafs_tests::{require, require_privileged};

const MIB: u64 = 1 << 20;

fn limited(mib: u64) -> (Mounted, TestCgroup) {
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(mib * MIB);
    (Mounted::new(), cgroup)
}

#[test]
fn one_byte_at_a_time_gives_one_text() {
    require_privileged!();
    let (mounted, cgroup) = limited(64);
    let mut file = File::open(mounted.path(&cgroup.address("proc/meminfo"))).unwrap();
    let mut text = Vec::new();
    let mut byte = [0];
    while file.read(&mut byte).unwrap() == 1 {
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    assert_eq!(field(&text, "MemTotal:"), 64 * 1024);
    assert!(text.ends_with("kB\n"), "{text}");
    assert_eq!(file.read(&mut byte).unwrap(), 0, "the end stays the end");
}

#[test]
fn any_offset_and_any_size() {
    require_privileged!();
    let (mounted, cgroup) = limited(64);
    let whole = mounted.read(&cgroup.address("proc/meminfo"));
    let file = File::open(mounted.path(&cgroup.address("proc/meminfo"))).unwrap();
    // The first read of a descriptor may be at any offset.
    let mut piece = [0; 7];
    assert_eq!(file.read_at(&mut piece, 3).unwrap(), 7);
    assert_eq!(&piece, b"Total: ");
    for size in [1, 333, 4096, 64 << 10, 1 << 20] {
        let mut buffer = vec![0; size];
        let got = file.read_at(&mut buffer, 0).unwrap();
        assert_eq!(got, whole.len().min(size), "{size}");
        assert!(buffer.starts_with(b"M"));
    }
    let mut buffer = [0; 16];
    let length = whole.len() as u64;
    assert_eq!(file.read_at(&mut buffer, length).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, length - 1).unwrap(), 1);
    assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
}

#[test]
fn a_kept_descriptor_that_is_rewound_sees_new_limits() {
    require_privileged!();
    let (mounted, cgroup) = limited(64);
    let mut file = File::open(mounted.path(&cgroup.address("proc/meminfo"))).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(field(&text, "MemTotal:"), 64 * 1024);
    cgroup.limit_memory(32 * MIB);
    file.seek(SeekFrom::Start(0)).unwrap();
    text.clear();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(field(&text, "MemTotal:"), 32 * 1024);
}

#[test]
fn a_cgroup_removed_while_a_file_is_open_is_an_error_and_no_more() {
    require_privileged!();
    let (mounted, cgroup) = limited(64);
    let file = File::open(mounted.path(&cgroup.address("proc/meminfo"))).unwrap();
    let mut buffer = [0; 4096];
    assert!(file.read_at(&mut buffer, 0).unwrap() > 0);
    let removed = mounted.path(&cgroup.address("proc/meminfo"));
    cgroup.remove();
    let error = file.read_at(&mut buffer, 0).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::ENODEV as i32), "{error}");
    assert!(File::open(removed).is_err());
    assert!(
        field(&mounted.read("proc/meminfo"), "MemTotal:") > 64 * 1024,
        "the host's is served on"
    );
}

#[test]
fn a_descriptor_shows_the_container_that_opened_it() {
    require_privileged!();
    let mounted = Mounted::new();
    let (outer, inner) = (TestCgroup::new(), TestCgroup::new());
    outer.limit_memory(96 * MIB);
    inner.limit_memory(48 * MIB);
    let mut opener =
        TestContainer::new(&mounted, &outer).spawn("exec 3</proc/meminfo; echo ready; read _");
    let mut ready = [0; 6];
    opener
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    let pid = outer.namespace_init().expect("the container's init");
    let pidfd =
        rustix::process::pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
    let passed = rustix::process::pidfd_getfd(&pidfd, 3, PidfdGetfdFlags::empty()).unwrap();
    // Read by a process of another container, then by one of the host.
    let mut reader = TestContainer::new(&mounted, &inner).command("cat; cat /proc/meminfo");
    let output = reader.stdin(passed.try_clone().unwrap()).output().unwrap();
    let text = printed(&output);
    let totals: Vec<_> = text
        .lines()
        .filter(|l| l.starts_with("MemTotal:"))
        .collect();
    assert_eq!(totals.len(), 2, "{text}");
    assert_eq!(field(totals[0], "MemTotal:"), 96 * 1024);
    assert_eq!(field(totals[1], "MemTotal:"), 48 * 1024);
    let mut buffer = [0; 4096];
    let got = File::from(passed).read_at(&mut buffer, 0).unwrap();
    assert_eq!(
        field(std::str::from_utf8(&buffer[..got]).unwrap(), "MemTotal:"),
        96 * 1024
    );
    drop(opener.stdin.take());
    opener.wait().unwrap();
}

#[test]
fn many_threads_on_one_descriptor_get_whole_texts() {
    require_privileged!();
    let (mounted, cgroup) = limited(64);
    let file = File::open(mounted.path(&cgroup.address("proc/meminfo"))).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut buffer = [0; 8192];
                    let got = file.read_at(&mut buffer, 0).unwrap();
                    let text = std::str::from_utf8(&buffer[..got]).unwrap();
                    assert!(text.starts_with("MemTotal:          65536 kB\n"), "{text}");
                    assert!(text.ends_with("kB\n"), "{text}");
                }
            });
        }
    });
}

#[test]
fn readers_that_vanish_leave_nothing() {
    require_privileged!();
    let (mounted, cgroup) = limited(64);
    let container = TestContainer::new(&mounted, &cgroup);
    // Warm-up: the host's files stay open from now on.
    let _ = container.run("cat /proc/meminfo /proc/stat /proc/cpuinfo");
    std::thread::sleep(std::time::Duration::from_millis(200));
    let before = mounted.descriptors();
    for round in 0..10 {
        let mut child = container
            .spawn("echo ready; while :; do cat /proc/meminfo /proc/stat /proc/cpuinfo; done");
        let mut ready = [0; 6];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        cgroup.kill();
    }
    wait_until("the containers are forgotten", || {
        mounted.descriptors() <= before
    });
    assert!(!mounted.read("proc/meminfo").is_empty());
}

#[test]
fn limits_that_change_under_readers() {
    require_privileged!();
    let (mounted, cgroup) = limited(64);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..300u64 {
                cgroup.limit_memory((32 + round % 32) * MIB);
                cgroup.limit_cpu(if round % 3 == 0 { None } else { Some(50) });
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            for view in [
                "proc/meminfo",
                "proc/stat",
                "proc/cpuinfo",
                "sys/devices/system/cpu/online",
            ] {
                let text = mounted.read(&cgroup.address(view));
                assert!(text.ends_with('\n'), "{view}: {text}");
            }
        }
    });
}

#[test]
fn a_text_that_is_half_read_stays_as_it_was() {
    require_privileged!();
    let (mounted, cgroup) = limited(64);
    let mut half = File::open(mounted.path(&cgroup.address("proc/meminfo"))).unwrap();
    let mut start = [0; 10];
    half.read_exact(&mut start).unwrap();
    cgroup.limit_memory(32 * MIB);
    assert_eq!(
        field(&mounted.read(&cgroup.address("proc/meminfo")), "MemTotal:"),
        32 * 1024
    );
    let mut rest = String::new();
    half.read_to_string(&mut rest).unwrap();
    let text = String::from_utf8(start.to_vec()).unwrap() + &rest;
    assert_eq!(
        field(&text, "MemTotal:"),
        64 * 1024,
        "the rest of the same text"
    );
}

/// All containers share the page cache, so it may serve nothing.
#[test]
fn no_text_goes_by_way_of_the_page_cache() {
    require_privileged!();
    require!(vistafs_tests::require::program("python3"), "needs python3");
    let mounted = Mounted::new();
    let (first, second) = (TestCgroup::new(), TestCgroup::new());
    first.limit_memory(96 * MIB);
    second.limit_memory(48 * MIB);
    // Opens, reports it, waits for a line, and then reads through the page cache if possible.
    let script = "python3 -c '
import os
fd = os.open(os.environ[\"M\"] + \"/proc/meminfo\", os.O_RDONLY)
os.write(1, b\"ready\\n\")
os.read(0, 1)
os.posix_fadvise(fd, 0, 4096, os.POSIX_FADV_WILLNEED)
r, w = os.pipe()
try:
    os.sendfile(w, fd, 0, 4096)
    os.write(1, os.read(r, 27))
except OSError:
    pass
os.write(1, os.pread(fd, 27, 0))'";
    let start = |cgroup: &TestCgroup| {
        let mut child = TestContainer::new(&mounted, cgroup).spawn(script);
        let mut ready = [0; 6];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        child
    };
    // Both are open before either reads, because an open would empty the cache.
    let children = [(start(&first), 96 * 1024), (start(&second), 48 * 1024)];
    for (mut child, kib) in children {
        writeln!(child.stdin.take().unwrap()).unwrap();
        let text = printed(&child.wait_with_output().unwrap());
        let readings = text.split("MemTotal:").skip(1);
        let totals: Vec<u64> = readings.map(|rest| field(rest, "")).collect();
        assert!(!totals.is_empty(), "{text}");
        assert!(totals.iter().all(|total| *total == kib), "{kib}: {text}");
    }
    // Programs that try such a way first fall back to read(2).
    let copied = TestContainer::new(&mounted, &second).run("cp $M/proc/meminfo /dev/stdout");
    assert_eq!(field(&copied, "MemTotal:"), 48 * 1024);
}
