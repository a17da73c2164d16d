//! The cgroup tree: contents and permitted operations.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use vistafs_cgroup::Version;
use vistafs_tests::cgroup::{TestCgroup, hierarchies};
use vistafs_tests::container::{Namespaces, TestContainer};
use vistafs_tests::require_privileged;
use vistafs_tests::user_container;
use vistafs_tests::vistafs::{Mounted, wait_until};

/// The name of each hierarchy below `cgroup/`, and its directory on the host.
fn shown() -> Vec<(String, PathBuf)> {
    let all = hierarchies();
    let one = |hierarchy: &std::sync::Arc<vistafs_cgroup::Hierarchy>| {
        let name = hierarchy.name();
        let name = name.strip_prefix("name=").unwrap_or(name).to_owned();
        (name, hierarchy.root().path().to_owned())
    };
    all.all().iter().map(one).collect()
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The host sees its own tree: the same names, texts, modes and owners.
#[test]
fn a_caller_on_the_host_finds_what_the_host_has() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.delegate(1234);
    let all = shown();
    let wanted: BTreeSet<String> = all.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names(&mounted.path("cgroup")), wanted);
    for (name, host) in all {
        let own = cgroup.path().strip_prefix("/").unwrap();
        let (ours, kernels) = (mounted.path("cgroup").join(&name).join(own), host.join(own));
        if !kernels.exists() {
            continue;
        }
        assert_eq!(names(&ours), names(&kernels), "{name}");
        for file in names(&kernels) {
            use std::os::unix::fs::MetadataExt;
            let stat = |dir: &Path| {
                let stat = std::fs::metadata(dir.join(&file)).unwrap();
                (stat.mode(), stat.uid(), stat.gid())
            };
            assert_eq!(stat(&ours), stat(&kernels), "{name}/{file}");
            let read = |dir: &Path| {
                let text = std::fs::read(dir.join(&file));
                text.map_err(|error| error.raw_os_error())
            };
            // Files that change by themselves are not compared.
            if !file.contains("stat") && !file.contains("pressure") {
                assert_eq!(read(&ours), read(&kernels), "{name}/{file}");
            }
        }
    }
}

/// As in the announcement of lxcfs: `find` shows only the path down to the container.
#[test]
fn a_container_sees_the_way_to_its_own_cgroup_and_what_is_below() {
    require_privileged!();
    let mounted = Mounted::new();
    let slice = TestCgroup::new();
    let (own, sibling) = (slice.child("c1"), slice.child("c2"));
    for namespaces in [Namespaces::Pid, Namespaces::Both] {
        let script = format!(
            "cd $M/cgroup; for h in *; do mkdir $h{0}/job; find $h -type d | sort; rmdir $h{0}/job; done",
            own.path().display()
        );
        let found = TestContainer::with(&mounted, &own, namespaces).run(&script);
        let mut expected = String::new();
        let mut all = shown();
        all.sort();
        for (name, host) in all {
            let directory = host.join(own.path().strip_prefix("/").unwrap());
            if directory.exists() {
                let (above, own) = (slice.path().display(), own.path().display());
                expected += &format!("{name}\n{name}{above}\n{name}{own}\n{name}{own}/job\n");
            }
        }
        assert_eq!(found, expected, "{namespaces:?}");
    }
    drop(sibling);
}

/// Operations through the tree change the kernel's cgroups.
#[test]
fn groups_are_made_used_and_removed() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let memory = if cgroup.is_v2("memory") {
        "memory.max"
    } else {
        "memory.limit_in_bytes"
    };
    let top = mounted_directory(&mounted, &cgroup, "memory");
    let script = format!(
        "cd '{}' || exit 1\n\
         umask 002; mkdir job || exit 1\n\
         sleep 1000 & echo $! >job/cgroup.procs || exit 1\n\
         read _ <&3; cat job/cgroup.procs; echo $!\n\
         [ ! -e job/{memory} ] || {{ echo 67108864 >job/{memory}; cat job/{memory}; }}\n\
         kill $!; wait\n\
         rmdir job && [ ! -e job ] && echo gone",
        top.display()
    );
    let job = cgroup.directory("memory").join("job");
    let mut container = TestContainer::with(&mounted, &cgroup, Namespaces::Pid)
        .spawn(&format!("exec 3<&0\n{script}"));
    wait_until("there is a task in it", || {
        std::fs::read_to_string(job.join("cgroup.procs")).is_ok_and(|list| !list.is_empty())
    });
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&job).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o775);
    container.stdin.take().unwrap().write_all(b"\n").unwrap();
    let output = container.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], lines[1], "{text}");
    assert!(
        lines[2..] == ["67108864", "gone"] || lines[2..] == ["gone"],
        "{text}"
    );
    assert!(!job.exists());
}

/// The path of a cgroup below the mount.
pub(crate) fn mounted_directory(
    mounted: &Mounted,
    cgroup: &TestCgroup,
    controller: &str,
) -> PathBuf {
    let kernels = cgroup.directory(controller);
    let mut all = shown().into_iter();
    let (name, _) = all.find(|(_, host)| kernels.starts_with(host)).unwrap();
    let own = cgroup.path().strip_prefix("/").unwrap();
    mounted.path("cgroup").join(name).join(own)
}

/// IDs are translated to the caller's user namespace: an unmapped owner is shown as nobody, and the caller
/// owns the groups that it creates.
#[test]
fn a_user_namespace_owns_what_it_was_given_and_what_it_makes() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.delegate(user_container::ROOT);
    let top = mounted_directory(&mounted, &cgroup, "memory");
    let limit = if cgroup.is_v2("memory") {
        "memory.max"
    } else {
        "memory.limit_in_bytes"
    };
    let script = format!(
        "cd '{}' || exit 1\n\
         stat -c '%u:%g %n' . cgroup.procs\n\
         [ ! -e {limit} ] || stat -c '%u:%g' {limit}\n\
         mkdir job && stat -c '%u:%g %n' job job/cgroup.procs\n\
         sleep 1000 & first=$!; echo $! >job/cgroup.procs && [ \"$(cat job/cgroup.procs)\" = $! ] && echo moved\n\
         chown -R 1000:1000 job && stat -c '%u:%g %n' job\n\
         sleep 1000 & echo $! >job/cgroup.procs && echo moved\n\
         kill $first $!; wait; rmdir job && echo gone",
        top.display()
    );
    let text = user_container::run(&mounted, &cgroup, &script);
    let lines: Vec<&str> = text.lines().collect();
    let first = ["0:0 .", "0:0 cgroup.procs", "65534:65534"];
    let rest = [
        "0:0 job",
        "0:0 job/cgroup.procs",
        "moved",
        "1000:1000 job",
        "moved",
        "gone",
    ];
    assert_eq!(lines, [&first[..], &rest[..]].concat());
}

/// A process that the reader cannot see is omitted, and writing 0 moves the writer.
#[test]
fn numbers_of_tasks_are_the_caller_s() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    // A process of the host in the container's cgroup.
    let mut stranger = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    cgroup.add(stranger.id());
    for (name, host) in shown() {
        let own = cgroup.path().strip_prefix("/").unwrap();
        if !host.join(own).exists() {
            continue;
        }
        let top = mounted.path("cgroup").join(&name).join(own);
        let script = format!(
            "cd '{}' || exit 1\n\
             cat cgroup.procs; echo -; mkdir job\n\
             for f in cpuset.cpus cpuset.mems; do\n\
             [ ! -e tasks ] || [ ! -e $f ] || cat $f >job/$f; done\n\
             sh -c 'echo $$; echo 0 >job/cgroup.procs; cat job/cgroup.procs'; echo -\n\
             sh -c 'echo 0 >job/cgroup.procs; \
             unshare -pf --mount-proc sh -c \"echo \\$\\$; cat job/cgroup.procs\"'\n\
             rmdir job",
            top.display()
        );
        let text = TestContainer::with(&mounted, &cgroup, Namespaces::Pid).run(&script);
        let parts: Vec<Vec<&str>> = text
            .split("-\n")
            .map(|part| part.lines().collect())
            .collect();
        // The shell, and the reader.
        assert_eq!(parts[0].len(), 2, "{name}: {text}");
        assert_eq!(parts[0][0], "1", "{name}: {text}");
        assert_eq!(parts[1][0], parts[1][1], "{name}: {text}");
        // In a nested container, its shell is process 1, and no other process is visible.
        assert_eq!(parts[2][..2], ["1", "1"], "{name}: {text}");
    }
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// poll(2) reports events of a group until they are read, like the kernel's file. The first poll(2) of an
/// open file may report an event that was already read.
#[test]
fn events_can_be_waited_for() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let v2 = hierarchies();
    let Some(hierarchy) = v2.all().iter().find(|h| h.version() == Version::V2) else {
        // Only v2 has such files; this runs on the layouts with v2.
        assert!(!cgroup.is_v2("pressure"));
        return;
    };
    let own = cgroup.path().strip_prefix("/").unwrap();
    let top = mounted.path("cgroup/unified").join(own);
    assert!(hierarchy.root().path().join(own).exists());
    let script = format!(
        "exec python3 -c '\n\
         import os, select, subprocess\n\
         os.chdir(\"{}\")\n\
         os.mkdir(\"job\")\n\
         events = os.open(\"job/cgroup.events\", os.O_RDONLY)\n\
         poll = select.poll(); poll.register(events, select.POLLPRI)\n\
         def news(ms): return [bits & select.POLLPRI for _, bits in poll.poll(ms)]\n\
         news(0)\n\
         print(os.pread(events, 100, 0).split()[1].decode())\n\
         print(bool(news(0)))\n\
         child = subprocess.Popen([\"sleep\", \"1000\"])\n\
         open(\"job/cgroup.procs\", \"w\").write(str(child.pid))\n\
         print(bool(news(20000)), os.pread(events, 100, 0).split()[1].decode())\n\
         print(bool(news(0)))\n\
         child.kill(); child.wait()\n\
         print(bool(news(20000)), os.pread(events, 100, 0).split()[1].decode())\n\
         os.rmdir(\"job\")'",
        top.display()
    );
    let text = TestContainer::with(&mounted, &cgroup, Namespaces::Pid).run(&script);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["0", "False", "True 1", "False", "True 0"]);
}

/// root on the host reaches a container's subtree by its path.
#[test]
fn a_named_container_has_its_part() {
    require_privileged!();
    let mounted = Mounted::new();
    let slice = TestCgroup::new();
    let (own, _sibling) = (slice.child("c1"), slice.child("c2"));
    let top = mounted_directory(&mounted, &slice, "memory");
    let below = top.strip_prefix(mounted.root()).unwrap();
    let there = mounted.path(&own.address(below.to_str().unwrap()));
    assert_eq!(names(&there), BTreeSet::from(["c1".to_owned()]));
}
