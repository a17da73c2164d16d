//! `/sys/devices/system/cpu` and `node` in containers, compared with the tools that read them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::require::program;
use vistafs_tests::stop_at_end::StopAtEnd;
use vistafs_tests::vistafs::{Mounted, printed, vistafs, wait_until};
use vistafs_tests::{require, require_privileged};

const CPU: &str = "sys/devices/system/cpu";
const NODE: &str = "sys/devices/system/node";
const MIB: u64 = 1 << 20;

/// The number of online CPUs.
fn cpus() -> usize {
    glob("/sys/devices/system/cpu", "cpu").len()
}

/// The names in a directory that are `stem` and a number.
fn glob(dir: impl AsRef<Path>, stem: &str) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            let digits = name.strip_prefix(stem);
            digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect();
    names.sort();
    names
}

/// Runs a container with each kind of limit, and its visible CPUs: no limit, a quota of one CPU, a cpuset of
/// CPU 1.
fn each_limit(run: impl Fn(&TestContainer<'_>, usize, &str)) {
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let container = TestContainer::new(&mounted, &cgroup);
    run(&container, cpus(), "no limit");
    cgroup.limit_cpu(Some(100));
    run(&container, 1, "a quota of 1 CPU");
    cgroup.limit_cpu(None);
    cgroup.limit_cpus("1");
    run(&container, 1, "a cpuset of CPU 1");
}

#[test]
fn every_tool_counts_the_visible_cpus() {
    require_privileged!();
    require!(cpus() >= 2, "needs 2 CPUs");
    let script = "lscpu -p=cpu | grep -vc '^#'; lscpu -e=cpu | tail -n +2 | wc -l; \
                  lscpu | sed -n 's/^CPU(s): *//p'; \
                  getconf _NPROCESSORS_ONLN; \
                  python3 -c 'import os; print(os.cpu_count())'; \
                  ls -d /sys/devices/system/cpu/cpu[0-9]*/topology | wc -l; \
                  ls -d /sys/devices/system/node/node0/cpu[0-9]* | wc -l";
    each_limit(|container, expected, limit| {
        let text = container.run(script);
        let counts: Vec<&str> = text.lines().collect();
        assert_eq!(counts, vec![expected.to_string(); 7], "{limit}");
    });
}

#[test]
fn hwloc_finds_the_visible_cpus() {
    require_privileged!();
    require!(cpus() >= 2, "needs 2 CPUs");
    require!(
        program("lstopo-no-graphics"),
        "needs lstopo (apt install hwloc-nox)"
    );
    each_limit(|container, expected, limit| {
        let text = container.run("lstopo-no-graphics --only pu; lstopo-no-graphics --no-io");
        let units = text
            .lines()
            .take_while(|line| line.starts_with("PU "))
            .count();
        assert_eq!(units, expected, "{limit}: {text}");
        assert_eq!(
            text.matches("PU L#").count(),
            2 * expected,
            "{limit}: {text}"
        );
    });
}

#[test]
fn numactl_shows_the_share_of_the_nodes() {
    require_privileged!();
    require!(cpus() >= 2, "needs 2 CPUs");
    require!(program("numactl"), "needs numactl (apt install numactl)");
    require!(
        glob(format!("/{NODE}"), "node").len() == 1,
        "knows what one node shows"
    );
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(256 * MIB);
    cgroup.limit_cpus("1");
    let text = TestContainer::new(&mounted, &cgroup).run("numactl -H; cat /proc/meminfo");
    assert!(
        text.contains("available: 1 nodes (0)\nnode 0 cpus: 1\n"),
        "{text}"
    );
    assert_eq!(field(&text, "node 0 size:"), 256, "{text}");
    let free = field(&text, "node 0 free:");
    let free_in_all = field(&text, "MemFree:") / 1024;
    assert!(free <= 256 && free.abs_diff(free_in_all) <= 32, "{text}");
}

/// A tree, by path: the type of each entry, and the target of each link.
fn walk(top: &Path) -> BTreeMap<PathBuf, (char, Option<OsString>)> {
    let mut found = BTreeMap::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(top.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            let looked_up = std::fs::symlink_metadata(top.join(&path)).unwrap();
            let kind = entry.file_type().unwrap();
            assert_eq!(kind, looked_up.file_type(), "{}", path.display());
            assert_eq!(entry.ino(), looked_up.ino(), "{}", path.display());
            let link = kind.is_symlink().then(|| {
                let target = std::fs::read_link(top.join(&path)).unwrap();
                target.into_os_string()
            });
            if kind.is_dir() {
                directories.push(path.clone());
            }
            let letter = match (kind.is_dir(), kind.is_symlink()) {
                (true, _) => 'd',
                (_, true) => 'l',
                _ => 'f',
            };
            found.insert(path, (letter, link));
        }
    }
    found
}

/// Whether the contents are constant; counters are not.
fn is_steady(path: &Path) -> bool {
    let moving = [
        "cpuidle",
        "numastat",
        "vmstat",
        "meminfo",
        "cpufreq",
        "thermal_throttle",
        "acpi_cppc",
    ];
    let text = path.to_str().unwrap();
    moving.iter().all(|part| !text.contains(part))
}

/// A caller on the host sees the host's directories, entry by entry and byte for byte.
#[test]
fn on_the_host_the_trees_are_the_host_s() {
    require_privileged!();
    let mounted = Mounted::new();
    for tree in [CPU, NODE] {
        let host = Path::new("/").join(tree);
        let ours = walk(&mounted.path(tree));
        assert_eq!(ours, walk(&host));
        for (path, (kind, _)) in &ours {
            let stat = |top: &Path| std::fs::symlink_metadata(top.join(path)).unwrap();
            let (a, b) = (stat(&mounted.path(tree)), stat(&host));
            // Nothing is writable, and a world-readable file has the owner `nobody`, which no container
            // can become.
            let (mode, uid) = match kind {
                'f' if b.mode() & 0o444 == 0o444 => (b.mode() & !0o222, 65_534),
                'f' => (b.mode() & !0o222, b.uid()),
                _ => (b.mode(), b.uid()),
            };
            assert_eq!((a.mode(), a.uid(), a.gid()), (mode, uid, b.gid()));
            assert_eq!(a.len(), b.len(), "{}", path.display());
            // A file without a read bit is a trigger; root could open it nevertheless.
            if *kind == 'f' && is_steady(path) && b.mode() & 0o444 != 0 {
                let read = |top: &Path| {
                    let text = std::fs::read(top.join(path));
                    text.map_err(|error| error.raw_os_error())
                };
                assert_eq!(read(&mounted.path(tree)), read(&host), "{}", path.display());
            }
        }
    }
}

/// In a container only hidden CPUs are omitted, and SEMANTICS lists all changes.
#[test]
fn in_a_container_the_rest_is_the_host_s() {
    require_privileged!();
    require!(cpus() >= 2, "needs 2 CPUs");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_cpus("1");
    let is_hidden = |path: &Path| {
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        let is_of_hidden = |part: &&str| glob_matches(part) && *part != "cpu1";
        let stays = |part: &&str| {
            [
                "driver",
                "firmware_node",
                "of_node",
                "power",
                "subsystem",
                "uevent",
            ]
            .contains(part)
                || part.starts_with("node")
        };
        match &parts[..] {
            [cpu] if glob_matches(cpu) => false,
            [cpu, entry, ..] if is_of_hidden(cpu) => !stays(entry),
            parts => parts.iter().any(is_of_hidden) || parts.contains(&"thermal_throttle"),
        }
    };
    for tree in [CPU, NODE] {
        let ours = walk(&mounted.path(&cgroup.address(tree)));
        let mut expected = walk(&Path::new("/").join(tree));
        expected.retain(|path, _| !is_hidden(path));
        if tree == CPU {
            let hidden = glob(format!("/{CPU}"), "cpu")
                .into_iter()
                .filter(|cpu| cpu != "cpu1");
            let made_up = hidden.map(|cpu| (Path::new(&cpu).join("online"), ('f', None)));
            expected.extend(made_up);
        }
        let policies = |path: &Path| path.starts_with("cpufreq");
        expected.retain(|path, _| !policies(path));
        let ours: BTreeMap<_, _> = ours
            .into_iter()
            .filter(|(path, _)| !policies(path))
            .collect();
        assert_eq!(ours, expected);
    }
    let read = |path: &str| mounted.read(&cgroup.address(&format!("{CPU}/{path}")));
    for list in ["online", "present", "cpu1/topology/core_siblings_list"] {
        assert_eq!(read(list), "1\n", "{list}");
    }
    assert_eq!(read("cpu0/online"), "0\n");
    let shown = |path: &str| {
        printed(&vistafs(&[
            "show",
            path,
            "--cgroup",
            cgroup.path().to_str().unwrap(),
        ]))
    };
    assert_eq!(shown(&format!("{CPU}/online")), "1\n");
    assert_eq!(
        shown(&format!("/{CPU}/cpu1/subsystem")),
        "../../../../bus/cpu"
    );
    let hidden = vistafs(&[
        "show",
        &format!("{CPU}/cpu0/topology/core_id"),
        "--cgroup",
        cgroup.path().to_str().unwrap(),
    ]);
    assert!(!hidden.status.success());
}

fn glob_matches(name: &str) -> bool {
    let digits = name.strip_prefix("cpu");
    digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
}

/// find(1) and ls(1) in the container, through the bind mounts.
#[test]
fn listings_agree_with_look_ups_in_a_container() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_cpus("0");
    let script = "cd /sys/devices/system; ls -lR cpu node >/tmp/vt-ls-$$ || exit 1; \
                  find cpu node | sort; echo ---; find cpu node -exec stat -c %n {} + | sort; rm /tmp/vt-ls-$$; \
                  echo ---; find cpu -name subsystem | xargs readlink | sort -u";
    let text = TestContainer::new(&mounted, &cgroup).run(script);
    let parts: Vec<&str> = text.split("---\n").collect();
    assert_eq!(parts[0], parts[1]);
    assert!(parts[0].contains("cpu/cpu0/topology/core_id\n"));
    assert!(!parts[0].contains("cpu/cpu1/topology"));
    assert_eq!(parts[2], "../../../../bus/cpu\n");
}

#[test]
fn nothing_can_be_written_by_anybody() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let writable = format!("{CPU}/uevent");
    for path in [writable.clone(), cgroup.address(&writable)] {
        let path = mounted.path(&path);
        let error = OpenOptions::new().write(true).open(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EACCES as i32));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        let error = std::fs::set_permissions(&path, mode).unwrap_err();
        // Of a file without an owner.
        assert_eq!(error.raw_os_error(), Some(Errno::EOVERFLOW as i32));
        assert!(std::fs::create_dir(path.with_file_name("new")).is_err());
    }
    let script = "echo 0 2>/dev/null >/sys/devices/system/cpu/cpu0/uevent && echo written; \
                  setpriv --reuid 65534 --regid 65534 --clear-groups cat /sys/devices/system/node/node0/compact 2>&1; \
                  setpriv --reuid 65534 --regid 65534 --clear-groups cat /sys/devices/system/cpu/online; true";
    let text = TestContainer::new(&mounted, &cgroup).run(script);
    let online = std::fs::read_to_string(format!("/{CPU}/online")).unwrap();
    assert!(
        text.ends_with(&format!("Permission denied\n{online}")),
        "{text}"
    );
    assert!(!text.contains("written"), "{text}");
}

/// Walks while CPUs appear and disappear; missing entries are the only errors.
#[test]
fn a_cpuset_that_changes_under_a_walk() {
    require_privileged!();
    require!(cpus() >= 2, "needs 2 CPUs");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _done = StopAtEnd(&done);
            for round in 0..200 {
                cgroup.limit_cpus(["0", "0-1", "1"][round % 3]);
            }
        });
        let top = mounted.path(&cgroup.address(CPU));
        while !done.load(Ordering::Relaxed) {
            let mut directories = vec![top.clone()];
            while let Some(directory) = directories.pop() {
                let entries = match std::fs::read_dir(&directory) {
                    Ok(entries) => entries,
                    Err(error) => {
                        assert_gone(&error);
                        continue;
                    }
                };
                for entry in entries {
                    let Ok(entry) = entry.map_err(|error| assert_gone(&error)) else {
                        continue;
                    };
                    let kind = entry.file_type().unwrap();
                    if kind.is_dir() {
                        directories.push(entry.path());
                    } else if kind.is_file() && entry.path().ends_with("core_id") {
                        let _ = std::fs::read(entry.path()).map_err(|error| assert_gone(&error));
                    }
                }
            }
        }
    });
}

fn assert_gone(error: &std::io::Error) {
    let errno = error.raw_os_error();
    assert!(
        // The last is the error for a CPU that other callers see.
        [Errno::ENOENT, Errno::ESTALE, Errno::ENOMEM]
            .map(|errno| Some(errno as i32))
            .contains(&errno),
        "{error}"
    );
}

/// A process whose working directory is a CPU's: stale while hidden, valid again when shown.
#[test]
fn a_directory_that_is_held() {
    require_privileged!();
    require!(cpus() >= 2, "needs 2 CPUs");
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let script = "cd /sys/devices/system/cpu/cpu1/topology; while echo ready; read x; do \
                  cat core_id >/dev/null 2>&1 && echo seen || echo hidden; done";
    let mut child = TestContainer::new(&mounted, &cgroup).spawn(script);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut input = child.stdin.take().unwrap();
    let mut next = move |go_on: bool| {
        if go_on {
            writeln!(input).unwrap();
        }
        lines.next().unwrap().unwrap()
    };
    assert_eq!(next(false), "ready");
    for (cpuset, expected) in [
        ("0-1", "seen"),
        ("0", "hidden"),
        ("0-1", "seen"),
        ("1", "seen"),
    ] {
        cgroup.limit_cpus(cpuset);
        assert_eq!(next(true), expected, "{cpuset}");
        assert_eq!(next(false), "ready");
    }
    drop(next);
    child.wait().unwrap();
}

/// Plugs the machine's CPU 1 in on drop, however the test ends.
struct Unplugged;

impl Unplugged {
    fn set(online: &str) -> std::io::Result<()> {
        std::fs::write("/sys/devices/system/cpu/cpu1/online", online)
    }

    fn new() -> Self {
        Self::set("0").unwrap();
        Self
    }
}

impl Drop for Unplugged {
    fn drop(&mut self) {
        Self::set("1").unwrap();
    }
}

/// A CPU of the machine is unplugged while a container polls and walks, and plugged in again. This affects
/// the whole machine: it runs in a virtual machine only, and `cargo xtask test` runs it there after all other
/// tests.
#[test]
fn a_cpu_is_unplugged_while_mounted() {
    require_privileged!();
    require!(
        std::env::var_os("VISTAFS_LAYOUT").is_some(),
        "takes a CPU away: in a virtual machine only"
    );
    require!(
        cpus() >= 2 && Path::new("/sys/devices/system/cpu/cpu1/online").exists(),
        "needs a CPU that can go"
    );
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let counts = "getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo; \
                  grep -c '^cpu[0-9]' /proc/stat; lscpu -p=cpu | grep -vc '^#'; \
                  ls -d /sys/devices/system/cpu/cpu[0-9]*/topology | wc -l; \
                  ls -d /sys/devices/system/node/node0/cpu[0-9]* | wc -l";
    let container = TestContainer::new(&mounted, &cgroup);
    let count = || {
        let text = container.run(counts);
        text.lines()
            .map(|line| line.parse().unwrap())
            .collect::<Vec<usize>>()
    };
    let all = cpus();
    let cpuset = std::fs::read_to_string(format!("/{CPU}/online")).unwrap();
    assert_eq!(count(), vec![all; 6]);
    // Prints the number of rounds with an error other than a missing CPU. The terminating line may be lost in
    // a read that times out; the end of the input is not.
    let poll = "bad=0; while read -t 0.01 x; [ $? -gt 128 ]; do \
                find /sys/devices/system/cpu /sys/devices/system/node >/dev/null 2>/tmp/vt-errors; \
                cat /sys/devices/system/cpu/cpu*/topology/core_id /sys/devices/system/cpu/online \
                    /proc/stat /proc/cpuinfo >/dev/null 2>>/tmp/vt-errors; \
                grep -v -e 'No such file' -e 'Stale file' -e 'Cannot allocate' /tmp/vt-errors && bad=$((bad + 1)); done; echo bad $bad";
    let mut child = container.spawn(&format!("exec bash -c '{}'", poll.replace('\'', "'\\''")));
    for _ in 0..3 {
        let unplugged = Unplugged::new();
        wait_until("every view has one CPU less", || {
            let seen = count();
            assert!(seen.iter().all(|n| *n == all || *n == all - 1), "{seen:?}");
            seen == vec![all - 1; 6]
        });
        drop(unplugged);
        if !cgroup.is_v2("cpuset") {
            // v1 removes it from the requested CPUs permanently.
            cgroup.limit_cpus(&cpuset);
        }
        wait_until("every view has the CPU again", || count() == vec![all; 6]);
    }
    writeln!(child.stdin.take().unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("bad 0\n"), "{text}");
}
