//! Block I/O of a container on a disk of its own, with iostat(1) and vmstat(8) as witnesses.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require::{program, skip};
use vistafs_tests::vistafs::{MountOptions, Mounted};
use vistafs_tests::{require, require_privileged};

/// A loop device on a file of 16 MiB.
struct Disk {
    path: PathBuf,
    _file: tempfile::NamedTempFile,
}

impl Disk {
    /// `None`: the kernel or the machine lacks loop devices.
    fn new() -> Option<Self> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(16 << 20).unwrap();
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(file.path())
            .output()
            .ok()?;
        let path = String::from_utf8(made.stdout).unwrap();
        made.status.success().then(|| Self {
            path: Path::new(path.trim()).to_owned(),
            _file: file,
        })
    }

    fn name(&self) -> &str {
        self.path.file_name().unwrap().to_str().unwrap()
    }

    /// `MAJOR:MINOR`.
    fn numbers(&self) -> String {
        let path = Path::new("/sys/block").join(self.name()).join("dev");
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// Its line in a diskstats text, by columns after the name.
    fn line(&self, diskstats: &str) -> Option<Vec<u64>> {
        let mut lines = diskstats.lines().map(str::split_whitespace);
        let columns =
            lines.find_map(|mut words| (words.nth(2)? == self.name()).then_some(words))?;
        Some(columns.map(|word| word.parse().unwrap()).collect())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .arg("--detach")
            .arg(&self.path)
            .status();
    }
}

/// Makes v1 account a cgroup's I/O on a disk: without a limit it does not, and some kernels account each
/// direction only when it has a limit.
fn count(cgroup: &TestCgroup, disk: &Disk) {
    if !cgroup.is_v2("blkio") {
        for direction in ["read", "write"] {
            let file = format!("blkio.throttle.{direction}_bps_device");
            let limit = format!("{} {}", disk.numbers(), 1_u64 << 40);
            std::fs::write(cgroup.directory("blkio").join(file), limit).unwrap();
        }
    }
}

#[test]
fn a_container_sees_its_own_io_alone() {
    require_privileged!();
    let Some(disk) = Disk::new() else {
        return skip(module_path!(), "needs a loop device");
    };
    let mounted = Mounted::with(&MountOptions {
        config: "[views]\nenable = [\"partitions\"]\n".into(),
        ..MountOptions::default()
    });
    let (cgroup, idle) = (TestCgroup::new(), TestCgroup::new());
    count(&cgroup, &disk);
    count(&idle, &disk);
    let path = disk.path.display();
    let script = format!(
        "dd if=/dev/zero of={path} bs=1M count=8 oflag=direct 2>&1
         dd if={path} of=/dev/null bs=1M count=4 iflag=direct 2>&1
         echo; cat /proc/diskstats; echo; cat /proc/partitions"
    );
    let text = TestContainer::new(&mounted, &cgroup).run(&script);
    let (_, diskstats) = text.split_once("\n\n").unwrap();
    let columns = disk.line(diskstats);
    let columns = columns.unwrap_or_else(|| panic!("no {}: {text}", disk.name()));
    let [reads, _, read, _, writes, _, written, ..] = columns[..] else {
        panic!("{text}");
    };
    assert_eq!((read, written), (8192, 16384), "sectors: {text}");
    assert!(reads >= 4 && writes >= 8, "{text}");
    let host = std::fs::read_to_string("/proc/diskstats").unwrap();
    let of_host = disk.line(&host).unwrap();
    assert_eq!(columns.len(), of_host.len());
    assert!(of_host[2] >= read && of_host[6] >= written, "{host}");
    assert!(
        diskstats.contains(&format!(" {}\n", disk.name())),
        "partitions: {text}"
    );

    let text = TestContainer::new(&mounted, &idle).run("cat /proc/diskstats /proc/partitions");
    assert!(!text.contains(disk.name()), "{text}");
}

#[test]
fn tools_show_what_was_done() {
    // Without `-p ALL`, iostat reads the host's files below /sys/block.
    require_privileged!();
    require!(program("iostat"), "needs iostat (apt install sysstat)");
    let Some(disk) = Disk::new() else {
        return skip(module_path!(), "needs a loop device");
    };
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    count(&cgroup, &disk);
    let path = disk.path.display();
    let script = format!(
        "dd if=/dev/zero of={path} bs=1M count=8 oflag=direct 2>/dev/null
         dd if={path} of=/dev/null bs=1M count=4 iflag=direct 2>/dev/null
         iostat -d -k -p ALL; vmstat -d"
    );
    let text = TestContainer::new(&mounted, &cgroup).run(&script);
    let mut rows = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.first() == Some(&disk.name()));
    let mut row = || {
        rows.next()
            .unwrap_or_else(|| panic!("{}: {text}", disk.name()))
    };
    // tps, kB/s three times, and kB read and written.
    assert_eq!(row()[5..7], ["4096", "8192"], "{text}");
    // Reads, merges, sectors and ms; the same for writes.
    let vmstat = row();
    assert_eq!((vmstat[3], vmstat[7]), ("8192", "16384"), "{text}");
}

#[test]
fn io_of_a_cgroup_that_was_removed_still_counts() {
    require_privileged!();
    let Some(disk) = Disk::new() else {
        return skip(module_path!(), "needs a loop device");
    };
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    count(&cgroup, &disk);
    let below = cgroup.child("below");
    count(&below, &disk);
    // Values shown to a container are remembered as long as it lives.
    let mut living = TestContainer::new(&mounted, &cgroup).spawn("echo; read _");
    let mut started = BufReader::new(living.stdout.take().unwrap());
    started.read_line(&mut String::new()).unwrap();
    let read = || disk.line(&mounted.read(&cgroup.address("proc/diskstats")));
    let read_sectors = || read().map_or(0, |columns| columns[2]);
    let mut script = below.join_script();
    let path = disk.path.display();
    let dd = format!("exec dd if={path} of=/dev/null bs=1M count=4 iflag=direct 2>/dev/null\n");
    script.extend_from_slice(dd.as_bytes());
    let script = String::from_utf8(script).unwrap();
    assert!(
        Command::new("sh")
            .args(["-c", &script])
            .status()
            .unwrap()
            .success()
    );
    let before = read_sectors();
    assert_eq!(before, 8192);
    drop(below);
    assert_eq!(read_sectors(), before);
    drop(living.stdin.take());
    living.wait().unwrap();
}
