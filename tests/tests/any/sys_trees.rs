//! Trees of CPUs and nodes: large hosts, hostile texts, entries that appear and disappear.

use std::os::unix::fs::PermissionsExt;

use rustix::io::Errno;
use vistafs_view::ViewError;

use crate::captured::{Captured, cpu_list, meminfo_field};
use crate::made_up::{Layout, MadeUp};

pub(crate) const CPU: &str = "sys/devices/system/cpu";
const NODE: &str = "sys/devices/system/node";
const KIB_OF_GIB: u64 = 1 << 20;

/// A host with this number of CPUs, and a container on some of them.
pub(crate) fn with_cpus(count: u32, cpuset: &str) -> MadeUp {
    let mut host = MadeUp::new("/box/app");
    host.set_cpus(&(0..count).collect::<Vec<_>>());
    host.set(
        Layout::V2,
        "box/app",
        "cpuset.cpus.effective",
        &format!("{cpuset}\n"),
    );
    host
}

/// Two nodes of 8 GiB and 24 GiB with two CPUs each.
fn two_nodes() -> MadeUp {
    let host = MadeUp::new("/box/app");
    host.set_nodes(&[(0, 8 * KIB_OF_GIB, &[0, 1]), (1, 24 * KIB_OF_GIB, &[2, 3])]);
    host
}

pub(crate) fn answer(shown: Result<Vec<u8>, ViewError>) -> Errno {
    match shown {
        Err(ViewError::Answer(errno)) => errno,
        other => panic!("{other:?}"),
    }
}

/// The names of the entries at the top of a tree.
pub(crate) fn names(host: &Captured, tree: &str, stem: &str) -> Vec<String> {
    let is_top = |line: &&str| line.ends_with('/') && line.matches('/').count() == 1;
    let numbered = |line: &str| {
        let digits = line.strip_prefix(stem)?.strip_suffix('/')?;
        digits
            .parse::<u32>()
            .is_ok()
            .then(|| line.trim_end_matches('/').to_owned())
    };
    let text = host.show(tree);
    text.lines().filter(is_top).filter_map(numbered).collect()
}

#[test]
fn every_list_agrees_with_the_directory() {
    let made_up = with_cpus(4, "1-2");
    let host = made_up.open();
    let show = |path: &str| host.show(&format!("{CPU}/{path}"));
    for list in ["online", "present"] {
        assert_eq!(show(list), "1-2\n", "{list}");
    }
    assert_eq!(show("possible"), "0-3\n");
    assert_eq!(show("offline"), "0,3\n");
    assert_eq!(names(&host, CPU, "cpu"), ["cpu0", "cpu1", "cpu2", "cpu3"]);
    for (cpu, siblings, mask) in [(1, "1\n", "00000002\n"), (2, "2\n", "00000004\n")] {
        assert_eq!(
            show(&format!("cpu{cpu}/topology/thread_siblings_list")),
            siblings
        );
        assert_eq!(show(&format!("cpu{cpu}/topology/thread_siblings")), mask);
        assert_eq!(
            show(&format!("cpu{cpu}/topology/package_cpus_list")),
            "1-2\n"
        );
        assert_eq!(
            show(&format!("cpu{cpu}/topology/package_cpus")),
            "00000006\n"
        );
        assert_eq!(
            show(&format!("cpu{cpu}/cache/index3/shared_cpu_list")),
            "1-2\n"
        );
        assert_eq!(
            show(&format!("cpu{cpu}/cache/index3/shared_cpu_map")),
            "00000006\n"
        );
        assert_eq!(show(&format!("cpu{cpu}/online")), "1\n");
        assert_eq!(show(&format!("cpu{cpu}/subsystem")), "../../../../bus/cpu");
    }
    for hidden in [
        "cpu0/topology",
        "cpu3/topology/core_id",
        "cpu3/cache",
        "cpu4",
        "cpu01",
        "cpu",
    ] {
        assert_eq!(
            answer(host.try_show(&format!("{CPU}/{hidden}"))),
            Errno::NOENT
        );
    }
}

#[test]
fn a_host_with_512_cpus() {
    let mut made_up = with_cpus(512, "64-127,300-511");
    made_up.set(Layout::V2, "box/app", "cpu.max", "6600000 100000\n");
    let host = made_up.open();
    let online = cpu_list(&host.show(&format!("{CPU}/online")));
    assert_eq!(online, (64..128).chain(300..302).collect::<Vec<_>>());
    let mut listed: Vec<u32> = names(&host, CPU, "cpu")
        .iter()
        .map(|name| name[3..].parse().unwrap())
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, (0..512).collect::<Vec<_>>());
    listed.retain(|cpu| host.show(&format!("{CPU}/cpu{cpu}/online")) == "1\n");
    assert_eq!(listed, online);
    let package = host.show(&format!("{CPU}/cpu64/topology/package_cpus"));
    let words = "00000000,".repeat(6) + "00003000," + &"00000000,".repeat(5);
    assert_eq!(package, words + "ffffffff,ffffffff,00000000,00000000\n");
    assert_eq!(package.len(), 16 * 9);
}

/// Names, lists, masks and links use the same CPU numbers.
#[test]
fn cpus_are_renumbered_alike() {
    let mut made_up = with_cpus(4, "1,3");
    made_up.set_nodes(&[(0, KIB_OF_GIB, &[0, 1]), (1, KIB_OF_GIB, &[2, 3])]);
    made_up.write(format!("{CPU}/cpu3/topology/ppin"), "0xabc\n");
    made_up.set(Layout::V2, "box/app", "cpu.max", "max 100000\n");
    let mut host = made_up.open();
    host.policy.cpus.renumber = true;
    let show = |path: &str| host.show(&format!("sys/devices/system/{path}"));
    assert_eq!(names(&host, CPU, "cpu"), ["cpu0", "cpu1", "cpu2", "cpu3"]);
    assert_eq!(show("cpu/online"), "0-1\n");
    assert_eq!(
        show("cpu/cpu1/topology/ppin"),
        "0xabc\n",
        "the host's CPU 3"
    );
    assert_eq!(show("cpu/cpu1/topology/thread_siblings"), "00000002\n");
    assert_eq!(show("cpu/cpu0/topology/package_cpus_list"), "0-1\n");
    assert_eq!(show("cpu/cpu1/node1"), "../../node/node1");
    assert_eq!(show("node/node1/cpu1"), "../../cpu/cpu1");
    assert_eq!(show("node/node1/cpulist"), "1\n");
    assert_eq!(show("node/node1/cpumap"), "00000000,00000002\n");
    for hidden in [
        "cpu/cpu3/topology",
        "cpu/cpu4",
        "cpu/cpu01",
        "node/node1/cpu3",
        "node/node0/cpu1",
    ] {
        let shown = host.try_show(&format!("sys/devices/system/{hidden}"));
        assert_eq!(answer(shown), Errno::NOENT, "{hidden}");
    }
}

#[test]
fn policies_go_with_their_cpus() {
    let host = with_cpus(4, "1,3");
    for (policy, cpus) in [(0, "0 1"), (2, "2"), (3, "3"), (4, "")] {
        let of = |file: &str, text: &str| {
            host.write(format!("{CPU}/cpufreq/policy{policy}/{file}"), text)
        };
        of("related_cpus", &format!("{cpus}\n"));
        of("affected_cpus", &format!("{cpus} \n"));
        of("scaling_cur_freq", "1000\n");
    }
    host.write(format!("{CPU}/cpufreq/policy9/scaling_cur_freq"), "1000\n");
    host.link(format!("{CPU}/cpu1/cpufreq"), "../cpufreq/policy0");
    let host = host.open();
    let show = |path: &str| host.try_show(&format!("{CPU}/cpufreq/{path}"));
    assert_eq!(show("policy0/related_cpus").unwrap(), b"1\n");
    assert_eq!(show("policy0/affected_cpus").unwrap(), b"1\n");
    assert_eq!(show("policy3/scaling_cur_freq").unwrap(), b"1000\n");
    for hidden in ["policy2", "policy4", "policy9", "policy2/related_cpus"] {
        assert_eq!(answer(show(hidden)), Errno::NOENT, "{hidden}");
    }
    assert_eq!(
        host.show(&format!("{CPU}/cpu1/cpufreq")),
        "../cpufreq/policy0"
    );
}

#[test]
fn nodes_are_those_of_the_cpuset() {
    for (layout, file) in [
        (Layout::V2, "cpuset.mems.effective"),
        (Layout::V1, "cpuset.effective_mems"),
        (Layout::V1, "cpuset.mems"),
    ] {
        let mut made_up = two_nodes();
        made_up.set(layout, "box", file, "1\n");
        if layout == Layout::V1 {
            made_up.set(layout, "box/app", file, "\n");
        }
        let host = made_up.open();
        let show = |path: &str| host.show(&format!("{NODE}/{path}"));
        assert_eq!(names(&host, NODE, "node"), ["node1"], "{file}");
        for list in ["online", "has_memory", "has_normal_memory", "has_cpu"] {
            assert_eq!(show(list), "1\n", "{file}: {list}");
        }
        // getcpu(2) can report any of these, whatever nodes the thread allocates from.
        assert_eq!(show("possible"), "0,1\n", "{file}");
        assert_eq!(show("node1/distance"), "10\n");
        assert_eq!(show("node1/cpulist"), "2-3\n");
        assert_eq!(show("node1/numastat"), "numa_hit 0\nnuma_miss 0\n");
        assert_eq!(show("node1/vmstat"), "nr_free_pages 0\n");
        assert_eq!(host.show(&format!("{CPU}/cpu2/node1")), "../../node/node1");
        for hidden in ["node/node0", "node/node0/meminfo", "cpu/cpu0/node0"] {
            let shown = host.try_show(&format!("sys/devices/system/{hidden}"));
            assert_eq!(answer(shown), Errno::NOENT, "{hidden}");
        }
    }
}

#[test]
fn a_node_s_cpus_are_the_visible_ones() {
    let mut made_up = two_nodes();
    made_up.set(Layout::V2, "box/app", "cpuset.cpus.effective", "0-1\n");
    made_up.set(Layout::V2, "box/app", "cpu.max", "100000 100000\n");
    let host = made_up.open();
    let show = |path: &str| host.show(&format!("{NODE}/{path}"));
    assert_eq!(
        (show("online"), show("has_cpu")),
        ("0-1\n".into(), "0\n".into())
    );
    assert_eq!(
        (show("node0/cpulist"), show("node1/cpulist")),
        ("0\n".into(), "\n".into())
    );
    assert_eq!(show("node0/cpumap"), "00000000,00000001\n");
    assert_eq!(show("node0/distance"), "10 21\n");
    assert_eq!(
        answer(host.try_show(&format!("{NODE}/node0/cpu1"))),
        Errno::NOENT
    );
}

/// The memory of the nodes adds up to the container's.
#[test]
fn the_limit_is_shared_by_the_nodes() {
    let stat = [
        (
            Layout::V2,
            "memory.max",
            "memory.current",
            "anon N0=1073741824 N1=0\nfile N0=0 N1=4096\n",
        ),
        (
            Layout::V1,
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "hierarchical_total=262145 N0=262144 N1=1\nhierarchical_anon=262144 N0=262144 N1=0\n\
             hierarchical_file=1 N0=0 N1=1\n",
        ),
    ];
    for (layout, limit, usage, numa_stat) in stat {
        let mut made_up = two_nodes();
        made_up.set(layout, "box/app", limit, "4294967296\n");
        made_up.set(layout, "box/app", usage, "1073745920\n");
        made_up.set(layout, "box/app", "memory.numa_stat", numa_stat);
        let host = made_up.open();
        let field = |node: u32, name: &str| {
            let text = host.show(&format!("{NODE}/node{node}/meminfo"));
            let text = text.replace(&format!("Node {node} "), "");
            meminfo_field(&text, name).unwrap()
        };
        assert_eq!(
            (field(0, "MemTotal"), field(1, "MemTotal")),
            (KIB_OF_GIB, 3 * KIB_OF_GIB)
        );
        // All of node 0's share is used, and one page of node 1's.
        assert_eq!(
            (field(0, "MemFree"), field(1, "MemFree")),
            (0, 3 * KIB_OF_GIB - 4)
        );
        assert_eq!((field(0, "MemUsed"), field(1, "MemUsed")), (KIB_OF_GIB, 4));
        assert_eq!(
            (field(0, "AnonPages"), field(1, "AnonPages")),
            (KIB_OF_GIB, 0)
        );
        assert_eq!((field(0, "FilePages"), field(1, "FilePages")), (0, 4));
        assert_eq!(field(1, "Slab"), 0);
    }
}

#[test]
fn without_a_memory_controller_a_node_is_the_host_s() {
    let made_up = two_nodes();
    let host = made_up.open();
    let path = format!("{NODE}/node1/meminfo");
    assert_eq!(host.show(&path), host.host_file(&path));
}

/// A text that cannot be parsed is an error of its file, not of the tree.
#[test]
fn garbage_is_an_error() {
    let lists = [
        ("cpu/cpu1/topology/package_cpus_list", &b"0-x\n"[..]),
        ("cpu/cpu1/topology/package_cpus", b"fg\n"),
        ("cpu/cpu1/topology/package_cpus", b""),
        ("cpu/cpu1/cache/index3/shared_cpu_map", b"\xff\n"),
        ("cpu/isolated", b"0-70000\n"),
        ("node/node0/cpumap", b"none\n"),
        ("node/node0/distance", b"10\n"),
        ("node/node0/distance", b"10 far\n"),
        ("node/node0/numastat", b"numa_hit -1\n"),
        ("node/node0/meminfo", b"Node 0 MemTotal: x kB\n"),
        ("node/node0/meminfo", b""),
        ("node/has_cpu", b"?\n"),
    ];
    for (path, text) in lists {
        let mut made_up = two_nodes();
        made_up.set(Layout::V2, "box/app", "memory.max", "4294967296\n");
        made_up.write(format!("sys/devices/system/{path}"), text);
        let host = made_up.open();
        let shown = host.try_show(&format!("sys/devices/system/{path}"));
        assert!(
            matches!(shown, Err(ViewError::Kernel(_))),
            "{path}: {shown:?}"
        );
        assert_eq!(host.show(&format!("{CPU}/online")), "0-3\n");
    }
    for text in ["anon N0=x\n", "anon N0=99999999999999999999\n", "anon 1\n"] {
        let mut made_up = two_nodes();
        made_up.set(Layout::V2, "box/app", "memory.max", "4294967296\n");
        made_up.set(Layout::V2, "box/app", "memory.numa_stat", text);
        let shown = made_up.open().try_show(&format!("{NODE}/node0/meminfo"));
        assert!(
            matches!(shown, Err(ViewError::Kernel(_))),
            "{text}: {shown:?}"
        );
    }
    // Some kernels write this without a value.
    let host = MadeUp::new("/box/app");
    host.write(format!("{CPU}/nohz_full"), "  (null)\n");
    assert_eq!(host.open().show(&format!("{CPU}/nohz_full")), "\n");
}

/// A limit that cannot be read is an error: the host's value is not shown instead.
#[test]
fn without_the_visible_cpus_there_is_an_error() {
    let mut made_up = two_nodes();
    made_up.set(Layout::V2, "box/app", "cpuset.cpus.effective", "a few\n");
    made_up.set(Layout::V2, "box/app", "cpuset.mems.effective", "some\n");
    let host = made_up.open();
    for path in [
        "cpu",
        "cpu/online",
        "cpu/offline",
        "cpu/cpu0",
        "cpu/cpu0/online",
        "node",
        "node/online",
        "node/node0",
    ] {
        let shown = host.try_show(&format!("sys/devices/system/{path}"));
        assert!(
            matches!(shown, Err(ViewError::Kernel(_))),
            "{path}: {shown:?}"
        );
    }
    assert_eq!(
        host.show(&format!("{CPU}/possible")),
        "0-3\n",
        "needs to know nothing"
    );
}

#[test]
fn odd_names_are_passed_on_or_not_there() {
    let host = MadeUp::new("/box/app");
    for name in [
        "cpu99999999999999999999/x",
        "cpu0x/y",
        "a b/z",
        "cpufreq/policyx/w",
    ] {
        host.write(format!("{CPU}/{name}"), "1\n");
    }
    host.link(format!("{CPU}/escape"), "/etc/shadow");
    host.link(format!("{CPU}/up"), "../../../..");
    let host = host.open();
    let show = |path: &str| host.try_show(&format!("{CPU}/{path}"));
    for passed_on in ["cpu0x/y", "a b/z", "cpufreq/policyx/w"] {
        assert_eq!(show(passed_on).unwrap(), b"1\n", "{passed_on}");
    }
    assert_eq!(
        show("escape").unwrap(),
        b"/etc/shadow",
        "a link stays a link"
    );
    assert_eq!(answer(show("cpu99999999999999999999/x")), Errno::NOENT);
    assert!(show("up/proc").is_err());
    assert_eq!(answer(show("escape/x")), Errno::LOOP);
    assert!(!host.show(CPU).contains("cpu99999"));
}

/// An unplugged CPU disappears; when it returns, it has its previous inode.
#[test]
fn cpus_come_and_go() {
    let made_up = MadeUp::new("/box/app");
    let host = made_up.open();
    let core_id = format!("{CPU}/cpu3/topology/core_id");
    assert_eq!(host.show(&core_id), "1\n");
    let top = host.root.join(CPU);
    std::fs::rename(top.join("cpu3"), host.root.join("cpu3")).unwrap();
    assert_eq!(answer(host.try_show(&core_id)), Errno::NOENT);
    made_up.set_cpus(&[0, 1, 2]);
    assert_eq!(names(&made_up.open(), CPU, "cpu"), ["cpu0", "cpu1", "cpu2"]);
    std::fs::rename(host.root.join("cpu3"), top.join("cpu3")).unwrap();
    made_up.write(format!("{CPU}/possible"), "0-3\n");
    let host = made_up.open();
    let all = ["cpu0", "cpu1", "cpu2", "cpu3"];
    assert_eq!(names(&host, CPU, "cpu"), all);
    assert_eq!(host.show(&format!("{CPU}/cpu3/online")), "0\n");
    assert_eq!(answer(host.try_show(&core_id)), Errno::NOENT);
    made_up.set_cpus(&[0, 1, 2, 3]);
    assert_eq!(made_up.open().show(&core_id), "1\n");
}

/// The reader gets the kernel's own errno.
#[test]
fn a_file_that_the_host_refuses() {
    let host = MadeUp::new("/box/app");
    host.write(format!("{CPU}/crash_notes"), "0x1\n");
    let host = host.open();
    let path = host.root.join(CPU).join("crash_notes");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root can read the file nevertheless.
    if std::fs::read(&path).is_err() {
        assert_eq!(
            answer(host.try_show(&format!("{CPU}/crash_notes"))),
            Errno::ACCESS
        );
    }
}
