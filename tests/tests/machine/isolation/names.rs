//! A name that exists, but is hidden from the caller, must stay: dropping it would remove every mount on it,
//! in every mount namespace, and make concurrent bind mounts fail.

use std::time::Duration;

use vistafs_tests::arena::Arena;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer};
use vistafs_tests::require_privileged;
use vistafs_tests::role::{Running, Start};
use vistafs_tests::vistafs::page_cache;

use super::words;

const STARTS: usize = 8;

/// Looks up all names of other containers, and those that only the host sees.
fn lookers(arena: &Arena, cgroup: &TestCgroup, others: &[&TestCgroup]) -> Running {
    let root = arena.mounted().root();
    let mut args = words![4];
    for other in others {
        let group = root.join(other.below_mount());
        args.extend(words![group.display(), group.join("sub").display()]);
        args.extend(words![root.join(other.address("proc")).display()]);
    }
    let shown = [
        "metrics",
        "at",
        "self",
        "c",
        "proc/meminfo",
        "proc/stat",
        "proc/uptime",
    ];
    args.extend(shown.map(|name| root.join(name).display().to_string()));
    let start = Start {
        args,
        ..Start::default()
    };
    arena.attack(cgroup, Namespaces::Both, "lookers", start)
}

/// A container that has bound its cgroup elsewhere, with a mount below it.
#[test]
fn mounts_of_a_container_outlast_look_ups_by_another() {
    require_privileged!();
    let arena = Arena::new(&page_cache(50));
    let (owner, attackers) = (arena.slice().child("owner"), arena.attackers("looker"));
    std::fs::create_dir(owner.directory("cpu").join("sub")).unwrap();
    let script = format!(
        "mount --bind \"$M/{}\" /mnt && mount -t tmpfs own /mnt/sub || exit 1\n\
         for round in $(seq 30); do\n\
         sleep 0.1; grep -q ' /mnt/sub ' /proc/self/mountinfo || {{ echo \"gone in round $round\"; exit; }}\n\
         done; echo there",
        owner.below_mount().display()
    );
    let mut keeper = TestContainer::new(arena.mounted(), &owner)
        .command(&script)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let attack = lookers(&arena, &attackers, &[&owner]);
    keeper.wait().unwrap();
    let mut kept = String::new();
    std::io::Read::read_to_string(&mut keeper.stdout.take().unwrap(), &mut kept).unwrap();
    assert_eq!(kept.trim(), "there");
    arena.withstand(vec![attack]);
}

#[test]
fn containers_start_while_another_looks_their_names_up() {
    require_privileged!();
    let arena = Arena::new(&page_cache(50));
    let attackers = arena.attackers("looker");
    let starting: Vec<TestCgroup> = (0..STARTS)
        .map(|number| arena.slice().child(format!("c{number}")))
        .collect();
    let attack = lookers(&arena, &attackers, &starting.iter().collect::<Vec<_>>());
    let mut failed = Vec::new();
    for cgroup in &starting {
        // The files of proc and sys, and several times its cgroup, bound as in LXC.
        let script = format!(
            "for round in $(seq 20); do mount --bind \"$M/{}\" /mnt || exit 90; umount /mnt; done",
            cgroup.below_mount().display()
        );
        let output = TestContainer::new(arena.mounted(), cgroup)
            .command(&script)
            .output()
            .unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            failed.push(format!("{}: {said}", output.status));
        }
    }
    assert!(failed.is_empty(), "of {STARTS} starts failed: {failed:#?}");
    arena.withstand(vec![attack]);
}
