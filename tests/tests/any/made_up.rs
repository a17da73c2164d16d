//! A small host in a temporary directory.
//!
//! By default it is minimal: four CPUs, 16 GiB, up for 100 s, no cgroup files. The v2 hierarchy is always
//! mounted (at `unified`, as on a hybrid host); writing the first file of a v1 hierarchy mounts it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::captured::{Captured, Facts};

/// "No limit" as v1 prints it on a machine with 4 KiB pages.
pub(crate) const NO_LIMIT_V1: u64 = 9_223_372_036_854_771_712;

/// Version of the hierarchy that a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    V1,
    V2,
}

#[derive(Debug)]
pub(crate) struct MadeUp {
    dir: TempDir,
    v1: BTreeSet<&'static str>,
    meminfo: Vec<(String, u64)>,
    pub(crate) facts: Facts,
}

impl MadeUp {
    /// The default host; `cgroup` is the container.
    pub(crate) fn new(cgroup: &str) -> Self {
        let fields = [
            ("MemTotal", 16 << 20),
            ("MemFree", 8 << 20),
            ("MemAvailable", 12 << 20),
            ("Buffers", 1024),
            ("Cached", 4 << 20),
            ("SwapTotal", 0),
            ("SwapFree", 0),
        ];
        let host = Self {
            dir: tempfile::tempdir().unwrap(),
            v1: BTreeSet::new(),
            meminfo: fields.map(|(name, kib)| (name.to_owned(), kib)).into(),
            facts: Facts {
                cgroup: cgroup.into(),
                start_ticks: 0,
                boottime_ns: 100_000_000_000,
                clk_tck: 100,
                page_size: 4096,
            },
        };
        host.set_cpus(&[0, 1, 2, 3]);
        host.write(
            "proc/diskstats",
            "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n",
        );
        host.write(
            "proc/partitions",
            "major minor  #blocks  name\n\n   8        0 1000 sda\n",
        );
        host.write(
            "proc/swaps",
            "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
        );
        host.write(
            "proc/slabinfo",
            "slabinfo - version: 2.1\n# name\ndentry 1 2 3 4 5\n",
        );
        host.write("proc/vmstat", "nr_free_pages 1\npgfault 2\n");
        host.write("proc/zoneinfo", "Node 0, zone Normal\n  pages free 1\n");
        host.write_meminfo();
        host.set_last_pid(200);
        host.make_cgroup("unified");
        host
    }

    /// The path of a file of the host.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Writes a file of the host, by its path below `/`.
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Sets the online CPUs, with their cpuinfo paragraphs and counters.
    pub(crate) fn set_cpus(&self, cpus: &[u32]) {
        let list: Vec<String> = cpus.iter().map(u32::to_string).collect();
        self.write("sys/devices/system/cpu/online", list.join(",") + "\n");
        self.make_cpus(cpus);
        let mut stat = format!("cpu  {} 0 0 0 0 0 0 0 0 0\n", cpus.len() * 100);
        let mut cpuinfo = String::new();
        for cpu in cpus {
            writeln!(stat, "cpu{cpu} 100 0 0 0 0 0 0 0 0 0").unwrap();
            write!(cpuinfo, "processor\t: {cpu}\nmodel name\t: made up\n\n").unwrap();
        }
        stat += "intr 1\nctxt 2\nbtime 1700000000\nprocesses 3\nprocs_running 1\nprocs_blocked 0\n";
        self.write("proc/stat", stat);
        self.write("proc/cpuinfo", cpuinfo);
        let names: String = cpus.iter().map(|cpu| format!("CPU{cpu} ")).collect();
        let numbers: String = cpus.iter().map(|cpu| format!(" {}", cpu + 100)).collect();
        self.write(
            "proc/interrupts",
            format!("   {names}\n 1:{numbers} timer\nERR: 7\n"),
        );
        self.write("proc/softirqs", format!("   {names}\nTIMER:{numbers}\n"));
        let lines: String = cpus
            .iter()
            .map(|cpu| format!("cpu{cpu} 1 2 3\ndomain0 f 0\n"))
            .collect();
        self.write(
            "proc/schedstat",
            format!("version 15\ntimestamp 1\n{lines}"),
        );
    }

    /// Sets the ID of the host's newest task.
    pub(crate) fn set_last_pid(&self, pid: u32) {
        self.write("proc/loadavg", format!("0.52 0.58 0.59 1/100 {pid}\n"));
    }

    /// Adds a thread in this state; `inside` is its ID in its pid namespace.
    pub(crate) fn set_thread(&self, tid: u32, state: char, inside: u32) {
        let stat = format!("{tid} (made up) {state} 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0\n");
        self.write(format!("proc/{tid}/task/{tid}/stat"), stat);
        let status = format!("Name:\tmade up\nNSpid:\t{tid}\t{inside}\n");
        self.write(format!("proc/{tid}/status"), status);
    }

    /// Creates the directories of the CPUs: pairs of threads in one package with one cache.
    fn make_cpus(&self, cpus: &[u32]) {
        const TOP: &str = "sys/devices/system/cpu";
        let highest = cpus.iter().max().copied().unwrap_or(0);
        let list = |cpus: &mut dyn Iterator<Item = u32>| {
            let numbers: Vec<String> = cpus.map(|cpu| cpu.to_string()).collect();
            numbers.join(",") + "\n"
        };
        let mask = |members: &dyn Fn(u32) -> bool| {
            let words = (0..=highest / 32).rev().map(|word| {
                let bits = (0..32).filter(|bit| members(word * 32 + bit));
                format!("{:08x}", bits.fold(0_u32, |word, bit| word | 1 << bit))
            });
            words.collect::<Vec<_>>().join(",") + "\n"
        };
        let online = |cpu: u32| cpus.contains(&cpu);
        self.write(format!("{TOP}/present"), format!("0-{highest}\n"));
        self.write(format!("{TOP}/possible"), format!("0-{highest}\n"));
        self.write(format!("{TOP}/isolated"), "\n");
        let offline = list(&mut (0..=highest).filter(|cpu| !online(*cpu)));
        self.write(format!("{TOP}/offline"), offline);
        for cpu in cpus {
            let pair = |other: u32| online(other) && other / 2 == cpu / 2;
            let of = |path: &str, text: &str| self.write(format!("{TOP}/cpu{cpu}/{path}"), text);
            of("online", "1\n");
            of("topology/core_id", &format!("{}\n", cpu / 2));
            of("topology/thread_siblings", &mask(&pair));
            of(
                "topology/thread_siblings_list",
                &list(&mut (0..=highest).filter(|c| pair(*c))),
            );
            of("topology/package_cpus", &mask(&online));
            of(
                "topology/package_cpus_list",
                &list(&mut cpus.iter().copied()),
            );
            of("cache/index3/size", "32768K\n");
            of("cache/index3/shared_cpu_map", &mask(&online));
            of(
                "cache/index3/shared_cpu_list",
                &list(&mut cpus.iter().copied()),
            );
            self.link(format!("{TOP}/cpu{cpu}/subsystem"), "../../../../bus/cpu");
        }
    }

    /// Creates a symbolic link of the host, by its path below `/`.
    pub(crate) fn link(&self, path: impl AsRef<Path>, target: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Sets the NUMA nodes (ID, KiB, CPUs); call `set_cpus` first.
    pub(crate) fn set_nodes(&self, nodes: &[(u32, u64, &[u32])]) {
        const TOP: &str = "sys/devices/system/node";
        let numbers: Vec<String> = nodes.iter().map(|(node, ..)| node.to_string()).collect();
        let list = numbers.join(",") + "\n";
        for name in [
            "online",
            "possible",
            "has_memory",
            "has_normal_memory",
            "has_cpu",
        ] {
            self.write(format!("{TOP}/{name}"), &list);
        }
        for (node, kib, cpus) in nodes {
            let of = |path: &str, text: &str| self.write(format!("{TOP}/node{node}/{path}"), text);
            let fields = [
                ("MemTotal", *kib),
                ("MemFree", kib / 2),
                ("MemUsed", kib / 2),
            ];
            let zeros = ["AnonPages", "FilePages", "Shmem", "Slab"].map(|name| (name, 7));
            let mut text = String::new();
            for (name, kib) in fields.into_iter().chain(zeros) {
                writeln!(text, "Node {node} {:<15}{kib:>8} kB", format!("{name}:")).unwrap();
            }
            text += &format!(
                "Node {node} HugePages_Total:     4\nNode {node} HugePages_Free:      2\n"
            );
            of("meminfo", &text);
            let near = |other: &(u32, u64, &[u32])| if other.0 == *node { "10" } else { "21" };
            of(
                "distance",
                &(nodes.iter().map(near).collect::<Vec<_>>().join(" ") + "\n"),
            );
            of("numastat", "numa_hit 5\nnuma_miss 6\n");
            of("vmstat", "nr_free_pages 7\n");
            let list: Vec<String> = cpus.iter().map(u32::to_string).collect();
            of("cpulist", &(list.join(",") + "\n"));
            let mask = cpus.iter().fold(0_u64, |mask, cpu| mask | 1 << cpu);
            of(
                "cpumap",
                &format!("{:08x},{:08x}\n", mask >> 32, mask & 0xffff_ffff),
            );
            for cpu in *cpus {
                self.link(
                    format!("{TOP}/node{node}/cpu{cpu}"),
                    &format!("../../cpu/cpu{cpu}"),
                );
                let there = format!("sys/devices/system/cpu/cpu{cpu}/node{node}");
                self.link(there, &format!("../../node/node{node}"));
            }
        }
    }

    /// Sets a field of the host's meminfo, KiB.
    pub(crate) fn set_meminfo(&mut self, field: &str, kib: u64) {
        match self.meminfo.iter_mut().find(|(name, _)| name == field) {
            Some((_, value)) => *value = kib,
            None => self.meminfo.push((field.to_owned(), kib)),
        }
        self.write_meminfo();
    }

    fn write_meminfo(&self) {
        let mut text = String::new();
        for (name, kib) in &self.meminfo {
            writeln!(text, "{:<16}{kib:>8} kB", format!("{name}:")).unwrap();
        }
        self.write("proc/meminfo", text);
    }

    /// Writes a file of a cgroup (`box/app`; empty: the root) in the hierarchy of its controller.
    pub(crate) fn set(&mut self, layout: Layout, cgroup: &str, file: &str, text: &str) {
        let mount = match layout {
            Layout::V2 => "unified",
            Layout::V1 => self.mount_v1(file),
        };
        self.write(cgroup_dir(mount).join(cgroup).join(file), text);
        // The kernel provides usage and statistics along with a limit.
        let companions = match file {
            "memory.max" => [("memory.current", "0\n"), ("memory.stat", "anon 0\n")],
            "memory.limit_in_bytes" => [
                ("memory.usage_in_bytes", "0\n"),
                ("memory.stat", "cache 0\n"),
            ],
            _ => return,
        };
        for (name, text) in companions {
            let path = cgroup_dir(mount).join(cgroup).join(name);
            if !self.dir.path().join(&path).exists() {
                self.write(path, text);
            }
        }
    }

    /// Mounts the v1 hierarchy that has `file`.
    fn mount_v1(&mut self, file: &str) -> &'static str {
        let mount = match file.split('.').next().unwrap() {
            "memory" | "tasks" => "memory",
            "cpuset" => "cpuset",
            "hugetlb" => "hugetlb",
            "blkio" => "blkio",
            "cpu" | "cpuacct" => "cpu,cpuacct",
            other => panic!("no v1 controller has {other}.*"),
        };
        if self.v1.insert(mount) {
            self.make_cgroup(mount);
        }
        mount
    }

    fn make_cgroup(&self, mount: &str) {
        let cgroup = self.facts.cgroup.strip_prefix("/").unwrap();
        self.write(cgroup_dir(mount).join(cgroup).join("cgroup.procs"), "");
    }

    /// Opens the host. Later writes affect files that were not read yet.
    pub(crate) fn open(&self) -> Captured {
        let mut mounts = "30 1 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n".to_owned();
        for (number, mount) in (31..).zip(&self.v1) {
            writeln!(
                mounts,
                "{number} 1 0:{number} / /sys/fs/cgroup/{mount} rw - cgroup cgroup rw,{mount}"
            )
            .unwrap();
        }
        self.write("proc/self/mountinfo", mounts);
        Captured::of(self.dir.path(), self.facts.clone())
    }
}

fn cgroup_dir(mount: &str) -> PathBuf {
    Path::new("sys/fs/cgroup").join(mount)
}
