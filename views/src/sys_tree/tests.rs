use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vistafs_cgroup::Hierarchies;
use vistafs_container::Container;
use vistafs_host::FixedFacts;
use vistafs_view::{Asker, Policy, look_up};

use super::*;

/// A tree that renders no files.
#[derive(Debug)]
struct Plain;

impl HostTree for Plain {
    const TOP: &'static str = "sys/devices/system/cpu";
    const LASTING: &'static [&'static str] = &["online"];

    fn text(&self, _: &[&str], _: &mut Seen<'_>, _: &mut Vec<u8>) -> Result<bool, ViewError> {
        Ok(false)
    }
}

/// A host with CPUs 0 and 1, and a container whose cpuset can be set.
struct Little {
    dir: tempfile::TempDir,
    host: Arc<Host>,
    hierarchies: Arc<Hierarchies>,
    container: Arc<Container>,
    tree: SysTree<Plain>,
}

impl Little {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let mounts = "30 1 0:30 / /cgroup rw - cgroup2 cgroup2 rw\n";
        write("proc/self/mountinfo", mounts);
        write("cgroup/app/cgroup.procs", "");
        write("cgroup/app/cpuset.cpus.effective", "0-1\n");
        write("sys/devices/system/cpu/online", "0-1\n");
        for cpu in ["cpu0", "cpu1"] {
            write(
                &format!("sys/devices/system/cpu/{cpu}/topology/core_id"),
                "0\n",
            );
        }
        let top = dir.path().join("sys/devices/system/cpu");
        symlink("../../../../bus/cpu", top.join("cpu1/subsystem")).unwrap();
        let facts = FixedFacts {
            boottime: Duration::ZERO,
            clk_tck: 100,
            page_size: 4096,
        };
        let hierarchies = Hierarchies::discover(mounts.as_bytes(), dir.path()).unwrap();
        let located = hierarchies.locate_path(Path::new("/app")).unwrap();
        let start = Duration::ZERO;
        Self {
            host: Arc::new(Host::captured(dir.path(), facts).unwrap()),
            container: Arc::new(Container::new(
                &hierarchies,
                located,
                start,
                Default::default(),
            )),
            hierarchies: Arc::new(hierarchies),
            tree: SysTree::new(Plain),
            dir,
        }
    }

    fn set_cpus(&self, list: &str) {
        let file = self.dir.path().join("cgroup/app/cpuset.cpus.effective");
        std::fs::write(file, format!("{list}\n")).unwrap();
    }

    fn ask<T>(&self, inside: bool, ask: impl FnOnce(&mut Request<'_>) -> T) -> T {
        let asker = Asker {
            tid: 1,
            uid: 0,
            gid: 0,
        };
        let container = inside.then_some(&self.container);
        let mut scratch = Vec::new();
        let policy = Policy::default();
        ask(&mut Request::new(
            asker,
            container,
            (&self.host, &self.hierarchies),
            policy,
            &mut scratch,
        ))
    }

    fn node(&self, inside: bool, path: &str) -> Result<NodeAttributes, ViewError> {
        self.ask(inside, |request| {
            look_up(&self.tree, request, Path::new(path))
        })
    }

    fn names(&self, inside: bool, node: NodeId) -> Result<Vec<String>, ViewError> {
        let mut names = Vec::new();
        self.ask(inside, |request| {
            let mut found = |name: &OsStr, _, _| names.push(name.to_str().unwrap().to_owned());
            self.tree.list(request, node, &mut found)
        })?;
        names.sort();
        Ok(names)
    }
}

fn answer<T: Debug>(outcome: Result<T, ViewError>) -> Errno {
    match outcome {
        Err(ViewError::Answer(errno)) => errno,
        other => panic!("{other:?}"),
    }
}

const READ: Access = Access {
    read: true,
    write: false,
};
const WRITE: Access = Access {
    read: false,
    write: true,
};

#[test]
fn the_host_sees_everything() {
    let little = Little::new();
    little.set_cpus("1");
    let all = little.names(false, NodeId::TOP).unwrap();
    assert_eq!(all, ["cpu0", "cpu1", "online"]);
    let own = little.names(true, NodeId::TOP).unwrap();
    assert_eq!(own, ["cpu1", "online"]);
    assert!(little.node(false, "cpu0/topology/core_id").is_ok());
    assert_eq!(
        answer(little.node(true, "cpu0/topology/core_id")),
        Errno::NOENT
    );
    let link = little.node(false, "cpu1/subsystem").unwrap();
    assert_eq!(link.kind, NodeKind::Link);
}

/// A tree in which the directories of hidden CPUs stay.
#[derive(Debug)]
struct Offline;

impl HostTree for Offline {
    const TOP: &'static str = "sys/devices/system/cpu";
    const LASTING: &'static [&'static str] = &[];
    const OFFLINE: &'static [&'static str] = &[ONLINE, "uevent"];

    fn withholds(&self, name: &str) -> bool {
        name == "secret"
    }

    fn text(&self, _: &[&str], _: &mut Seen<'_>, _: &mut Vec<u8>) -> Result<bool, ViewError> {
        Ok(false)
    }
}

/// The next process finds the file by its number, though the host has none.
#[test]
fn a_made_up_file_outlives_its_process() {
    let little = Little::new();
    little.set_cpus("1");
    let id = |tree: &SysTree<Offline>, inside| {
        little.ask(inside, |request| {
            look_up(tree, request, Path::new("cpu0/online")).map(|found| found.id)
        })
    };
    let attributes =
        |tree: &SysTree<Offline>, id| little.ask(true, |request| tree.attributes(request, id));
    let (first, next) = (SysTree::new(Offline), SysTree::new(Offline));
    let online = id(&first, true).unwrap();
    assert_eq!(attributes(&next, online).unwrap().kind, NodeKind::File);
    assert_eq!(answer(id(&first, false)), Errno::NOENT, "on the host");
    little.set_cpus("0");
    assert_eq!(answer(attributes(&next, online)), Errno::STALE);
    little.set_cpus("1");
    std::fs::remove_dir_all(little.dir.path().join("sys/devices/system/cpu/cpu0")).unwrap();
    assert_eq!(answer(attributes(&next, online)), Errno::STALE);
}

#[test]
fn what_is_withheld_is_not_there_for_containers() {
    let little = Little::new();
    let top = little.dir.path().join("sys/devices/system/cpu");
    std::fs::create_dir(top.join("cpu1/secret")).unwrap();
    std::fs::write(top.join("cpu1/secret/count"), "1\n").unwrap();
    let tree = SysTree::new(Offline);
    let found = |inside| {
        little.ask(inside, |request| {
            look_up(&tree, request, Path::new("cpu1/secret/count"))
        })
    };
    let file = found(false).unwrap();
    assert_eq!(answer(found(true)), Errno::NOENT);
    let held = little.ask(true, |request| tree.attributes(request, file.id));
    assert_eq!(answer(held), Errno::STALE);
    let mut names = Vec::new();
    let cpu = little.ask(true, |r| look_up(&tree, r, Path::new("cpu1")).unwrap());
    let listed = little.ask(true, |request| {
        tree.list(request, cpu.id, &mut |name, _, _| {
            names.push(name.to_owned())
        })
    });
    listed.unwrap();
    names.sort();
    assert_eq!(names, ["subsystem", "topology"]);
}

/// An open node of a hidden CPU returns the same errno for every request, and works again with the CPU.
#[test]
fn what_is_held_of_a_hidden_cpu_is_stale() {
    let little = Little::new();
    let directory = little.node(true, "cpu0").unwrap();
    let file = little.node(true, "cpu0/topology/core_id").unwrap();
    let tree = &little.tree;
    let held = || -> [Result<(), ViewError>; 5] {
        little.ask(true, |request| {
            [
                tree.attributes(request, directory.id).map(|_| ()),
                tree.list(request, directory.id, &mut |_, _, _| ()),
                tree.lookup(request, directory.id, OsStr::new("topology"))
                    .map(|_| ()),
                tree.open(request, file.id, READ),
                tree.read(request, file.id, &mut Vec::new()),
            ]
        })
    };
    assert!(held().iter().all(Result::is_ok));
    little.set_cpus("1");
    for outcome in held() {
        assert_eq!(answer(outcome), Errno::STALE);
    }
    little.set_cpus("0");
    assert!(held().iter().all(Result::is_ok));
    std::fs::remove_dir_all(little.dir.path().join("sys/devices/system/cpu/cpu0")).unwrap();
    for (index, outcome) in held().into_iter().enumerate() {
        match index {
            2 => assert_eq!(answer(outcome), Errno::NOENT, "a name"),
            // The host is not accessed before the first read.
            3 => assert!(outcome.is_ok()),
            _ => assert_eq!(answer(outcome), Errno::STALE, "{index}"),
        }
    }
}

#[test]
fn nothing_can_be_written() {
    let little = Little::new();
    for inside in [true, false] {
        let file = little.node(inside, "online").unwrap();
        let open = |access| little.ask(inside, |r| little.tree.open(r, file.id, access));
        assert!(open(READ).is_ok());
        assert_eq!(answer(open(WRITE)), Errno::ROFS);
    }
}

#[test]
fn only_what_is_the_same_for_all_is_lasting() {
    let little = Little::new();
    assert!(little.node(true, "online").unwrap().lasting);
    for changing in ["", "cpu0", "cpu0/topology"] {
        assert!(!little.node(true, changing).unwrap().lasting, "{changing}");
    }
}

#[test]
fn names_are_single_components() {
    let little = Little::new();
    for name in ["", ".", "..", "cpu0/topology", "/", "a\0b", "../cpu"] {
        let found = little.ask(false, |r| {
            little.tree.lookup(r, NodeId::TOP, OsStr::new(name))
        });
        assert_eq!(answer(found), Errno::NOENT, "{name:?}");
    }
    let not_utf8 = OsStr::from_bytes(b"cpu\xff");
    let found = little.ask(false, |r| little.tree.lookup(r, NodeId::TOP, not_utf8));
    assert_eq!(answer(found), Errno::NOENT);
    let file = little.node(false, "online").unwrap();
    let below = little.ask(false, |r| little.tree.lookup(r, file.id, OsStr::new("x")));
    assert_eq!(answer(below), Errno::NOTDIR);
}
