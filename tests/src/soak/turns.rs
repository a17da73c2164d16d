//! The attacks, with sizes that the seed decides.

use fastrand::Rng;
use vistafs_tests::arena::Arena;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::Namespaces;
use vistafs_tests::role::{Running, Start};

const MIB: u64 = 1 << 20;

/// One attack, under way.
pub(crate) struct Turn {
    pub(crate) what: String,
    pub(crate) attack: Vec<Running>,
    pub(crate) cgroup: TestCgroup,
}

/// The program of a turn: a role of `vistafs_tests::attackers` and its arguments.
struct Plan {
    role: &'static str,
    namespaces: Namespaces,
    args: Vec<String>,
}

/// Begins the attack of a turn: each kind comes before any comes again.
pub(crate) fn begin(arena: &Arena, rng: &mut Rng, turn: usize) -> Turn {
    let cgroup = arena.attackers(&format!("turn{turn}"));
    cgroup.limit_memory(rng.u64(256..1024) * MIB);
    let Plan {
        role,
        namespaces,
        args,
    } = plan(arena, rng, turn, &cgroup);
    let what = format!("{role} {} in {namespaces:?}", args.join(" "));
    let start = Start {
        args,
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, namespaces, role, start);
    Turn {
        what,
        attack: vec![attack],
        cgroup,
    }
}

fn plan(arena: &Arena, rng: &mut Rng, turn: usize, cgroup: &TestCgroup) -> Plan {
    let root = arena.mounted().root();
    let path = |below: &str| root.join(below).display().to_string();
    let own = root.join(cgroup.below_mount()).display().to_string();
    let files = ["uptime", "meminfo", "stat", "loadavg", "cpuinfo", "vmstat"];
    let files = files.map(|name| path(&format!("proc/{name}")));
    let mut any = |namespaces: &[Namespaces]| rng.choice(namespaces).copied();
    let any = any(&[Namespaces::Both, Namespaces::Cgroup, Namespaces::Pid]);
    let mut namespaces = any.unwrap_or(Namespaces::Both);
    let number = |number: usize| number.to_string();
    let with_files = |first: Vec<String>| [first, files.to_vec()].concat();
    let (role, args) = match turn % 11 {
        0 => ("leases", with_files(vec!["write".into()])),
        1 => {
            namespaces = Namespaces::Both;
            let processes = number(rng.usize(50..500));
            let args = vec![
                number(rng.usize(1..5)),
                "0".into(),
                processes,
                path("proc/uptime"),
            ];
            ("namespaces", args)
        }
        2 => {
            cgroup.widen(rng.usize(100..5000));
            (
                "readers",
                vec![number(rng.usize(1..16)), path("proc/loadavg")],
            )
        }
        3 => {
            let levels = rng.usize(10..1000);
            cgroup.deepen(levels);
            ("deep", vec![number(rng.usize(1..300)), own, number(levels)])
        }
        4 => (
            "readers",
            vec![number(rng.usize(10..200)), path("proc/site/slow")],
        ),
        5 => ("holders", with_files(vec![number(rng.usize(100..8000))])),
        6 => {
            cgroup.widen(rng.usize(100..2000));
            ("listings", vec![number(rng.usize(10..500)), own])
        }
        7 => {
            namespaces = Namespaces::Cgroup;
            let args = vec![
                number(2),
                number(rng.usize(50..500)),
                "0".into(),
                path("proc/uptime"),
            ];
            ("namespaces", args)
        }
        8 => {
            let others = ["victim", "fuzz0", "fuzz1", "nobody"];
            let above = root.join(arena.slice().below_mount());
            let names = others.map(|name| above.join(name).display().to_string());
            let shown = ["metrics", "at", "self", "c"].map(path);
            let args = [
                vec![number(rng.usize(1..8))],
                names.to_vec(),
                shown.to_vec(),
                files.to_vec(),
            ];
            ("lookers", args.concat())
        }
        9 => {
            let shared = root.join(arena.slice().below_mount()).display().to_string();
            (
                "makers",
                vec![number(rng.usize(2..40)), shared, path("proc/site/slow")],
            )
        }
        _ => (
            "leases",
            vec![
                "read".into(),
                path("proc/pressure/memory"),
                path("proc/uptime"),
            ],
        ),
    };
    Plan {
        role,
        namespaces,
        args,
    }
}
