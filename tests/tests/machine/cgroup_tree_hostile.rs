//! The cgroup tree under attack by callers that try to leave their container.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use vistafs_tests::cgroup::{TestCgroup, hierarchies};
use vistafs_tests::container::{Namespaces, TestContainer};
use vistafs_tests::require::rounds;
use vistafs_tests::require_privileged;
use vistafs_tests::user_container;
use vistafs_tests::vistafs::{Mounted, printed};

use crate::cgroup_tree::mounted_directory;

const HOSTILE: &str = include_str!("cgroup_tree/hostile.py");
const UNPRIVILEGED: &str = include_str!("cgroup_tree/unprivileged.py");
const RACE: &str = include_str!("cgroup_tree/race.py");

/// A slice with the cgroups of two containers, and a process outside of the attacker's.
struct Scene {
    mounted: Mounted,
    stranger: Child,
    own: TestCgroup,
    sibling: TestCgroup,
    // Removed after the two cgroups in it.
    slice: TestCgroup,
}

impl Scene {
    fn new() -> Self {
        let mounted = Mounted::new();
        let slice = TestCgroup::new();
        let (own, sibling) = (slice.child("c1"), slice.child("c2"));
        let stranger = Command::new("sleep").arg("1000").spawn().unwrap();
        sibling.add(stranger.id());
        Self {
            mounted,
            slice,
            own,
            sibling,
            stranger,
        }
    }

    /// The shell line that runs the hostile caller.
    fn script(&self, environment: &str) -> String {
        let tree = self.mounted.path("cgroup");
        format!(
            "cd / && {environment} exec python3 -ISc \"$HOSTILE\" '{}' '{}' '{}' {} 4194303",
            tree.display(),
            self.own.path().display(),
            self.sibling.path().display(),
            self.stranger.id(),
        )
    }

    /// The state outside of the container's cgroup: owners, modes, and contents that do not change by
    /// themselves.
    fn outside(&self) -> BTreeMap<PathBuf, (u32, u32, u32, Option<String>)> {
        let mut all = BTreeMap::new();
        for top in [&self.slice, &self.sibling] {
            for directory in top.directories() {
                let files = std::fs::read_dir(&directory).unwrap();
                let files = files.map(|entry| entry.unwrap().path());
                for path in files.chain([directory.clone()]) {
                    let stat = std::fs::metadata(&path).unwrap();
                    let settled = ["procs", "tasks", "limit", "max", "weight", "state", "list"];
                    let name = path.file_name().unwrap().to_str().unwrap();
                    let text = settled
                        .iter()
                        .any(|end| name.ends_with(end) && !name.contains("max_usage"))
                        .then(|| std::fs::read_to_string(&path).ok())
                        .flatten();
                    all.insert(path, (stat.mode(), stat.uid(), stat.gid(), text));
                }
            }
        }
        all
    }

    /// Runs an attack and checks that it changes nothing outside, and that the server survives.
    fn survives(&self, attack: impl FnOnce() -> String) -> String {
        let before = self.outside();
        let report = attack();
        assert_eq!(self.outside(), before);
        assert!(self.mounted.path("proc/uptime").exists());
        report
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.stranger.kill();
        let _ = self.stranger.wait();
    }
}

fn assert_no_way_out(report: &str, own: &TestCgroup) {
    let count = own.directories().len();
    let lines: Vec<&str> = report.lines().collect();
    let [last] = lines[..] else {
        panic!("{report}");
    };
    assert!(last.starts_with("attempts "), "{report}");
    assert!(last.ends_with(&format!(" hierarchies {count}")), "{report}");
}

/// The attacker has all privileges of the host's root, but its own namespaces.
#[test]
fn root_of_a_container_stays_inside() {
    require_privileged!();
    let scene = Scene::new();
    let report = scene.survives(|| {
        let container = TestContainer::with(&scene.mounted, &scene.own, Namespaces::Pid);
        let mut command = container.command(&scene.script(""));
        printed(&command.env("HOSTILE", HOSTILE).output().unwrap())
    });
    assert_no_way_out(&report, &scene.own);
}

#[test]
fn root_of_an_unprivileged_container_stays_inside() {
    require_privileged!();
    let scene = Scene::new();
    scene.own.delegate(user_container::ROOT);
    let report = scene.survives(|| {
        let script = scene.script("UNPRIVILEGED=1");
        let script = format!("HOSTILE=$(cat <<'END'\n{HOSTILE}\nEND\n)\n{script}");
        user_container::run(&scene.mounted, &scene.own, &script)
    });
    assert_no_way_out(&report, &scene.own);
}

/// Every attempt fails with the same errno as in the kernel's tree.
#[test]
fn a_user_of_the_host_may_what_the_kernel_lets_him() {
    require_privileged!();
    let scene = Scene::new();
    let all = hierarchies();
    let controllers = ["memory", "cpu", "devices", "name=systemd"];
    // On v2 they share one hierarchy.
    let trees: BTreeMap<_, _> = controllers
        .into_iter()
        .filter_map(|controller| Some((all.index_of(controller)?, controller)))
        .collect();
    let report = scene.survives(|| {
        let mut report = String::new();
        for controller in trees.values() {
            let ours = mounted_directory(&scene.mounted, &scene.slice, controller);
            let output = Command::new("python3")
                .args(["-ISc", UNPRIVILEGED])
                .args([&ours, &scene.slice.directory(controller)])
                .arg(scene.stranger.id().to_string())
                .uid(12_345)
                .gid(12_345)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            report += &printed(&output);
        }
        report
    });
    assert_eq!(report.lines().count(), trees.len(), "{report}");
    for line in report.lines() {
        assert!(line.starts_with("attempts "), "{report}");
    }
}

/// One thread moves a process back and forth while another lists the processes.
#[test]
fn moves_and_looks_may_race() {
    require_privileged!();
    let scene = Scene::new();
    let directory = mounted_directory(&scene.mounted, &scene.own, "memory");
    let before = scene.mounted.descriptors();
    let moves = rounds(10_000);
    let report = scene.survives(|| {
        let container = TestContainer::with(&scene.mounted, &scene.own, Namespaces::Pid);
        let script = format!(
            "exec python3 -Sc \"$RACE\" '{}' {moves}",
            directory.display()
        );
        let mut command = container.command(&script);
        printed(&command.env("RACE", RACE).output().unwrap())
    });
    assert_eq!(report, format!("moves {moves}\n"));
    // Descriptors opened for the attack are closed with a delay.
    vistafs_tests::vistafs::wait_until("descriptors are given back", || {
        scene.mounted.descriptors() <= before + 40
    });
}

/// The host removes and recreates a group, and moves the container, while a caller in the container reads.
#[test]
fn the_host_may_take_everything_away() {
    require_privileged!();
    let scene = Scene::new();
    let directory = mounted_directory(&scene.mounted, &scene.own, "memory");
    let job = scene.own.directory("memory").join("job");
    std::fs::create_dir(&job).unwrap();
    let script = format!(
        "cd '{}/job' || exit 1; exec 4<cgroup.procs; echo there; read _\n\
         ls; cat cgroup.procs; cat <&4; mkdir x; echo $? >&2; echo $$ >cgroup.procs\n\
         ls '{}' | head -1; ls '{}'; echo end",
        directory.display(),
        directory.display(),
        directory.parent().unwrap().display(),
    );
    let mut child = TestContainer::with(&scene.mounted, &scene.own, Namespaces::Pid)
        .command(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "there\n");
    std::fs::remove_dir(&job).unwrap();
    std::fs::create_dir(&job).unwrap();
    let init = scene.own.namespace_init().unwrap();
    scene.sibling.add(u32::try_from(init).unwrap());
    // The cgroup of a container is checked again every second, by its init.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    drop(child.stdin.take());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    child.wait().unwrap();
    // The old cgroup is no longer visible, and the path to the new one is.
    assert_eq!(rest, "c2\nend\n");
    std::fs::remove_dir(&job).unwrap();
    assert!(Path::new(&scene.sibling.directory("memory")).exists());
}
