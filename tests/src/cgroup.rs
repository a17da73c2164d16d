//! A cgroup in every hierarchy, whatever the layout, that removes itself.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_cgroup::{Hierarchies, Hierarchy, Version};

use crate::vistafs::wait_until;

/// How long a failed test tries to remove its cgroups.
const FAILED: Duration = Duration::from_secs(20);

/// A cgroup of the same path in every hierarchy that matters here.
#[derive(Debug)]
pub struct TestCgroup {
    path: PathBuf,
    hierarchies: Hierarchies,
    // Children remove themselves; the parent must outlive them.
    _sole: (),
}

/// The hierarchies of this machine.
#[must_use]
pub fn hierarchies() -> Hierarchies {
    let text = std::fs::read("/proc/self/mountinfo").unwrap();
    Hierarchies::discover(&text, Path::new("/")).unwrap()
}

fn matters(hierarchy: &Hierarchy) -> bool {
    let wanted = [
        "memory",
        "cpu",
        "cpuacct",
        "cpuset",
        "blkio",
        "devices",
        "freezer",
        "pids",
        "name=systemd",
    ];
    hierarchy.version() == Version::V2 || hierarchy.name().split(',').any(|c| wanted.contains(&c))
}

impl TestCgroup {
    /// A fresh one below the roots.
    #[must_use]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::at(Path::new(&format!("/vt-{}-{count}", std::process::id())))
    }

    /// One below this. On v2 this one then cannot hold processes itself.
    #[must_use]
    pub fn child(&self, name: impl AsRef<OsStr>) -> Self {
        Self::at(&self.path.join(name.as_ref()))
    }

    fn at(path: &Path) -> Self {
        let cgroup = Self {
            path: path.to_owned(),
            hierarchies: hierarchies(),
            _sole: (),
        };
        for dir in cgroup.directories() {
            enable_controllers(dir.parent().unwrap());
            make(&dir);
            // v1: a cpuset without CPUs and nodes takes no tasks.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if dir.join("cpuset.effective_cpus").exists() {
                    let parents = std::fs::read(dir.parent().unwrap().join(file)).unwrap();
                    std::fs::write(dir.join(file), parents).unwrap();
                }
            }
        }
        cgroup
    }

    /// Gives it to a user of the host, as who makes a container for one does.
    pub fn delegate(&self, id: u32) {
        for dir in self.directories() {
            let files = [
                "",
                "cgroup.procs",
                "tasks",
                "cgroup.threads",
                "cgroup.subtree_control",
            ];
            for file in files.map(|file| dir.join(file)) {
                if file.exists() {
                    std::os::unix::fs::chown(&file, Some(id), Some(id)).unwrap();
                }
            }
        }
    }

    /// Its path in every hierarchy.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path below `at/`.
    #[must_use]
    pub fn address(&self, view: &str) -> String {
        format!("at{}/{view}", self.path.to_str().unwrap())
    }

    /// Its directory in the hierarchy of a controller.
    #[must_use]
    pub fn directory(&self, controller: &str) -> PathBuf {
        let index = self.hierarchies.index_of(controller).unwrap();
        self.in_hierarchy(&self.hierarchies.all()[index])
    }

    /// Whether a controller is served by v2 here.
    #[must_use]
    pub fn is_v2(&self, controller: &str) -> bool {
        self.hierarchies.version_of(controller) == Some(Version::V2)
    }

    /// Its path below a mount of vistafs, in the hierarchy of the cpu controller.
    #[must_use]
    pub fn below_mount(&self) -> PathBuf {
        let index = self.hierarchies.index_of("cpu").unwrap();
        let name = self.hierarchies.all()[index].name();
        let own = self.path.strip_prefix("/").unwrap();
        PathBuf::from("cgroup").join(name).join(own)
    }

    /// Makes cgroups in it, in the hierarchy whose tasks vistafs counts: the first one of v1, if there is any.
    pub fn widen(&self, count: usize) {
        let mut all = self.hierarchies.all().iter();
        let v1 = all.find(|one| one.version() == Version::V1);
        let counted = v1.map(|one| self.in_hierarchy(one));
        let counted = counted.unwrap_or_else(|| self.directory("cpu"));
        (0..count).for_each(|number| make(&counted.join(format!("g{number}"))));
    }

    /// Makes a cgroup at that depth, each below the previous one and named `d`, in the hierarchy of the cpu
    /// controller.
    pub fn deepen(&self, levels: usize) {
        let mut directory = self.directory("cpu");
        for _ in 0..levels {
            directory.push("d");
            make(&directory);
        }
    }

    /// Sets the memory limit, bytes.
    pub fn limit_memory(&self, bytes: u64) {
        let file = if self.is_v2("memory") {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        };
        self.write("memory", file, &bytes.to_string());
    }

    /// Sets the CPU quota in percent of one CPU; `None`: no limit.
    pub fn limit_cpu(&self, percent: Option<u32>) {
        let quota = percent.map(|p| p * 1000);
        if self.is_v2("cpu") {
            let quota = quota.map_or("max".to_owned(), |q| q.to_string());
            self.write("cpu", "cpu.max", &format!("{quota} 100000"));
        } else {
            let quota = quota.map_or("-1".to_owned(), |q| q.to_string());
            self.write("cpu", "cpu.cfs_quota_us", &quota);
        }
    }

    /// Sets the CPUs.
    pub fn limit_cpus(&self, list: &str) {
        self.write("cpuset", "cpuset.cpus", list);
    }

    /// Reads a file of it.
    #[must_use]
    #[track_caller]
    pub fn read(&self, controller: &str, file: &str) -> String {
        let path = self.directory(controller).join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// CPU time used, ns.
    #[must_use]
    pub fn cpu_used(&self) -> u64 {
        if self.is_v2("cpuacct") {
            let text = self.read("cpuacct", "cpu.stat");
            let line = text
                .lines()
                .find_map(|l| l.strip_prefix("usage_usec "))
                .unwrap();
            line.parse::<u64>().unwrap() * 1000
        } else {
            self.read("cpuacct", "cpuacct.usage")
                .trim()
                .parse()
                .unwrap()
        }
    }

    /// Moves a process into it, in every hierarchy.
    pub fn add(&self, pid: u32) {
        for dir in self.directories() {
            let file = dir.join("cgroup.procs");
            std::fs::write(&file, pid.to_string())
                .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
    }

    /// The process in it that is process 1 of a pid namespace, if there is one.
    #[must_use]
    pub fn namespace_init(&self) -> Option<i32> {
        let pids = self.read("memory", "cgroup.procs");
        let is_init = |pid: &&str| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status
                .lines()
                .any(|l| l.starts_with("NSpid:") && l.ends_with("\t1"))
        };
        pids.lines().find(is_init)?.parse().ok()
    }

    /// A shell line that moves the shell into it.
    #[must_use]
    pub fn join_script(&self) -> Vec<u8> {
        let mut script = Vec::new();
        for dir in self.directories() {
            script.extend_from_slice(b"echo $$ > '");
            script.extend_from_slice(dir.as_os_str().as_bytes());
            script.extend_from_slice(b"/cgroup.procs' || exit 99\n");
        }
        script
    }

    /// Kills what is in it.
    pub fn kill(&self) {
        self.directories().iter().for_each(|dir| kill_in(dir));
    }

    /// Kills what is in it and below it, and removes all of it.
    pub fn remove(&self) {
        wait_until("a cgroup is empty and removed", || self.is_removed());
    }

    /// Tries to remove it in every hierarchy.
    fn is_removed(&self) -> bool {
        let left = self.directories().into_iter();
        left.filter(|dir| !remove_tree(dir)).count() == 0
    }

    /// Sets the CPU weight, in percent of the usual one.
    pub fn weigh(&self, percent: u64) {
        let (file, usual) = if self.is_v2("cpu") {
            ("cpu.weight", 100)
        } else {
            ("cpu.shares", 1024)
        };
        let weight = (usual * percent / 100).max(2);
        self.write("cpu", file, &weight.to_string());
    }

    #[track_caller]
    fn write(&self, controller: &str, file: &str, text: &str) {
        let path = self.directory(controller).join(file);
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{text} > {}: {e}", path.display()));
    }

    fn in_hierarchy(&self, hierarchy: &Hierarchy) -> PathBuf {
        hierarchy
            .root()
            .path()
            .join(self.path.strip_prefix("/").unwrap())
    }

    /// Its directories, one in each hierarchy.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let all = self.hierarchies.all().iter();
        all.filter(|h| matters(h))
            .map(|h| self.in_hierarchy(h))
            .collect()
    }
}

impl Default for TestCgroup {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return self.remove();
        }
        // Processes that a failed test leaves behind would disturb all that follow.
        let begun = Instant::now();
        while !self.is_removed() && begun.elapsed() < FAILED {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn make(dir: &Path) {
    std::fs::create_dir(dir).unwrap_or_else(|e| panic!("mkdir {}: {e}", dir.display()));
}

/// Removes a cgroup and all below it, and kills what is in them. Returns whether it is gone.
fn remove_tree(dir: &Path) -> bool {
    if std::fs::remove_dir(dir).is_ok() || !dir.exists() {
        return true;
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for child in directories {
        remove_tree(&child.path());
    }
    kill_in(dir);
    std::fs::remove_dir(dir).is_ok()
}

fn kill_in(dir: &Path) {
    let procs = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    // 0 is a process that this pid namespace cannot see; to kill(2) it would be ourselves.
    let pids = procs.lines().filter_map(|l| l.parse().ok());
    for pid in pids.filter(|&pid| pid > 0) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// v2: children have only the controllers that their parent hands down.
fn enable_controllers(dir: &Path) {
    let Ok(offered) = std::fs::read_to_string(dir.join("cgroup.controllers")) else {
        return;
    };
    for controller in offered
        .split_whitespace()
        .filter(|c| ["memory", "cpu", "cpuset", "io"].contains(c))
    {
        let file = dir.join("cgroup.subtree_control");
        std::fs::write(&file, format!("+{controller}"))
            .unwrap_or_else(|e| panic!("+{controller} > {}: {e}", file.display()));
    }
}
