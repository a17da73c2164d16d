//! Properties of the files: modes, writes, seeks, everything except their contents.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::process::Command;

use nix::errno::Errno;
use rustix::event::{PollFd, PollFlags};
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::vistafs::Mounted;
use vistafs_tests::{require, require_privileged};

const VIEWS: &[&str] = &[
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/stat",
    "proc/uptime",
    "sys/devices/system/cpu/online",
];

fn errno<T>(result: std::io::Result<T>) -> Errno {
    Errno::from_raw(result.err().expect("it succeeded").raw_os_error().unwrap())
}

#[test]
fn modes_and_owners_are_those_of_the_host_s_files() {
    require_privileged!();
    let mounted = Mounted::new();
    for view in VIEWS {
        let ours = std::fs::metadata(mounted.path(view)).unwrap();
        let host = std::fs::metadata(format!("/{view}")).unwrap();
        assert_eq!(ours.mode(), host.mode(), "{view}");
        // Entries of a tree belong to nobody, an owner that no container can become.
        let uid = if view.starts_with("sys/") { 65_534 } else { 0 };
        assert_eq!((ours.uid(), ours.gid()), (uid, 0), "{view}");
        assert!(ours.len() > 0, "{view}");
    }
    for (dir, mode) in [
        ("", 0o755),
        ("proc", 0o555),
        ("sys/devices", 0o555),
        ("at", 0o700),
    ] {
        let metadata = std::fs::metadata(mounted.path(dir)).unwrap();
        assert!(metadata.is_dir());
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{dir}");
    }
}

#[test]
fn listings_agree_with_look_ups() {
    require_privileged!();
    let mounted = Mounted::new();
    let names = |dir: &str| {
        let entries = std::fs::read_dir(mounted.path(dir))
            .unwrap()
            .map(Result::unwrap);
        let mut names: Vec<_> = entries
            .map(|e| {
                let metadata = e.metadata().unwrap();
                assert_eq!(metadata.ino(), e.path().symlink_metadata().unwrap().ino());
                assert_eq!(metadata.is_dir(), e.file_type().unwrap().is_dir());
                e.file_name().into_string().unwrap()
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names(""),
        ["at", "c", "cgroup", "metrics", "proc", "self", "sys"]
    );
    // Whether the kernel accounts pressure.
    let pressure = std::path::Path::new("/proc/pressure").exists();
    let mut expected = vec![
        "cpuinfo",
        "diskstats",
        "loadavg",
        "meminfo",
        "slabinfo",
        "stat",
        "swaps",
        "uptime",
        "vmstat",
    ];
    expected.extend(pressure.then_some("pressure"));
    expected.sort_unstable();
    assert_eq!(names("proc"), expected);
    assert_eq!(names("sys/devices/system"), ["cpu", "node"]);
}

#[test]
fn writes_are_answered_as_procfs_does() {
    require_privileged!();
    let mounted = Mounted::new();
    for view in VIEWS.iter().filter(|view| view.starts_with("proc/")) {
        let ours = |path: &std::path::Path| OpenOptions::new().write(true).open(path);
        let mut file = ours(&mounted.path(view)).unwrap();
        assert_eq!(errno(file.write(b"x")), Errno::EIO, "{view}");
        // Like `echo > /proc/uptime` on the host: truncating succeeds without effect.
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(mounted.path(view))
            .unwrap();
        assert!(!mounted.read(view).is_empty());
    }
    // procfs's own reply, for comparison.
    let mut host = OpenOptions::new().write(true).open("/proc/uptime").unwrap();
    assert_eq!(errno(host.write(b"x")), Errno::EIO);
}

#[test]
fn nothing_can_be_changed() {
    require_privileged!();
    let mounted = Mounted::new();
    let file = mounted.path("proc/uptime");
    let new = mounted.path("proc/new");
    let refused = [Errno::EPERM, Errno::EACCES, Errno::EOPNOTSUPP];
    let attempts = [
        (
            "chmod",
            errno(std::fs::set_permissions(
                &file,
                PermissionsExt::from_mode(0o777),
            )),
        ),
        (
            "chown",
            errno(std::os::unix::fs::chown(&file, Some(1), Some(1))),
        ),
        ("create", errno(File::create(&new))),
        ("mkdir", errno(std::fs::create_dir(&new))),
        ("unlink", errno(std::fs::remove_file(&file))),
        ("rmdir", errno(std::fs::remove_dir(mounted.path("proc")))),
        ("rename", errno(std::fs::rename(&file, &new))),
        ("link", errno(std::fs::hard_link(&file, &new))),
        ("symlink", errno(std::os::unix::fs::symlink("x", &new))),
    ];
    for (what, errno) in attempts {
        assert!(refused.contains(&errno), "{what}: {errno}");
    }
    let mut value = [0; 16];
    let xattr = rustix::fs::getxattr(&file, "user.x", &mut value);
    assert_eq!(xattr.unwrap_err(), rustix::io::Errno::OPNOTSUPP);
}

#[test]
fn strangers_can_read_but_not_open_for_writing() {
    require_privileged!();
    let mounted = Mounted::new();
    let nobody = |script: &str| {
        Command::new("setpriv")
            .args([
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
                "sh",
                "-c",
                script,
            ])
            .env("M", mounted.root())
            .output()
            .unwrap()
    };
    assert!(nobody("cat $M/proc/meminfo").status.success());
    assert!(!nobody("exec 3<>$M/proc/meminfo").status.success());
    assert!(!nobody("ls $M/at").status.success());
    assert!(!nobody("cat $M/at/proc/meminfo").status.success());
}

#[test]
fn polling_seeking_and_syncing() {
    require_privileged!();
    let mounted = Mounted::new();
    let mut file = File::open(mounted.path("proc/meminfo")).unwrap();
    let mut fds = [PollFd::new(&file, PollFlags::IN | PollFlags::PRI)];
    rustix::event::poll(&mut fds, None).unwrap();
    assert_eq!(fds[0].revents(), PollFlags::IN);
    assert_eq!(file.seek(SeekFrom::Start(10)).unwrap(), 10);
    assert_eq!(errno(file.sync_all()), Errno::EINVAL);
    assert_eq!(
        errno(File::open("/proc/meminfo").unwrap().sync_all()),
        Errno::EINVAL
    );
    assert!(rustix::fs::statvfs(mounted.root()).is_ok());
}

#[test]
fn names_that_are_not_there() {
    require_privileged!();
    let mounted = Mounted::new();
    for name in [
        "proc/nothing",
        "proc/meminfo2",
        "x",
        "proc/a\nb",
        "sys/devices/system/memory",
    ] {
        let error = File::open(mounted.path(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name:?}");
    }
    let long = "n".repeat(255);
    assert_eq!(
        File::open(mounted.path(&long)).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let file_as_dir = mounted.path("proc/meminfo/x");
    assert_eq!(errno(File::open(file_as_dir)), Errno::ENOTDIR);
    let as_dir = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::DIRECTORY.bits().cast_signed())
        .open(mounted.path("proc/stat"));
    assert_eq!(errno(as_dir), Errno::ENOTDIR);
}

/// busybox copies with sendfile(2), which ends at the file's size.
#[test]
fn busybox_copies_all_of_a_file() {
    require_privileged!();
    require!(
        vistafs_tests::require::program("busybox"),
        "needs busybox (apt install busybox-static)"
    );
    let (mounted, cgroup) = (Mounted::new(), TestCgroup::new());
    for file in [
        "proc/meminfo",
        "proc/cpuinfo",
        "sys/devices/system/cpu/online",
    ] {
        let script = format!(
            "F=$M/{file}; T=$(mktemp); busybox cp $F $T; \
             for lines in $(cat $F | wc -l) $(busybox cat $F | wc -l) $(wc -l <$T); do echo $lines; done; rm $T"
        );
        let lines = TestContainer::new(&mounted, &cgroup).run(&script);
        let lines: Vec<u32> = lines.lines().map(|line| line.parse().unwrap()).collect();
        assert!(lines[0] > 0, "{file}");
        assert_eq!(lines, [lines[0]; 3], "{file}");
    }
}
