//! The page-cache tree survives the end of workers and supervisors; and its contents after a container ends.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::require::resends;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted, children, vistafs, wait_until};

use crate::page_cache::{
    AFTER_THE_TTL, MIB, Script, by_all_ways, check, descriptor, kill_worker, limited,
    outlive_workers, total,
};
use crate::page_cache_tree::{tree, tree_with};
use crate::repair::{Resident, machine, outcome, repair, script};

#[test]
fn kept_descriptors_outlive_workers() {
    require_privileged!();
    let (mounted, cgroup) = (tree(50), limited(96));
    let inside = outlive_workers(&mounted, &mounted.own(), &cgroup);
    let listed = std::fs::read_dir(mounted.path("c")).unwrap().count();
    assert_eq!(listed, 1, "the one that has asked");
    inside.end();
}

/// Resent requests, and requests that wait while no worker serves.
#[test]
fn readers_do_not_notice_that_workers_are_killed() {
    require_privileged!();
    let (mounted, cgroup) = (tree(20), limited(96));
    let script = "exec 2>\"$M/../../../errors\"; echo ready; n=0; until [ -e \"$M/../../../stop\" ]; do \
                  for f in /proc/meminfo $M/proc/meminfo; do \
                  read line <$f || { $FAIL 3; continue; }; \
                  [ \"$line\" = 'MemTotal:          98304 kB' ] || { echo \"$line\"; exit 4; }; done; \
                  ls $M/proc $M/.. >/dev/null || $FAIL 5; n=$((n + 1)); done; echo $n";
    let mut command = TestContainer::new(&mounted.own(), &cgroup).command(script);
    command.env("FAIL", if resends() { "exit" } else { ":" });
    let mut inside = Script::start(command, "");
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(50));
        kill_worker(&mounted);
    }
    std::fs::write(mounted.root().with_file_name("stop"), "").unwrap();
    let count = inside.line();
    let errors = std::fs::read_to_string(mounted.root().with_file_name("errors")).unwrap();
    assert!(
        count.trim().parse::<u64>().is_ok_and(|n| n > 0),
        "{count:?} {errors}"
    );
    // Without resending, a request that a worker had read and not recorded fails with EINTR, and with no
    // other error.
    let is_lost = |line: &str| !resends() && line.ends_with("Interrupted system call");
    assert!(errors.lines().all(is_lost), "{errors}");
    inside.end();
}

/// A nested container has no name for the files that it inherited, and is the first caller.
#[test]
fn who_is_in_the_owner_may_ask_a_new_worker_first() {
    require_privileged!();
    let (mounted, cgroup) = (tree(50), limited(96));
    // The shell around it stays as the parent, without any request.
    let script = "echo ready; exec 5<&0; \
                  sh -c 'read _; exec unshare -mCpf sh -c \"$NESTED\"' <&5; exit 0";
    let nested = "while read _; do head -1 /proc/meminfo; readlink $M || echo none; done";
    let mut command = TestContainer::new(&mounted.own(), &cgroup).command(script);
    command.env("NESTED", nested);
    let mut inside = Script::start(command, "");
    let inner = limited(48);
    let init = cgroup.namespace_init().unwrap().cast_unsigned();
    wait_until("the inner shell is there", || !children(init).is_empty());
    inner.add(children(init)[0]);
    inside.tell();
    let mut asked = || {
        inside.tell();
        (field(&inside.line(), "MemTotal:") >> 10, inside.line())
    };
    let (total, name) = asked();
    assert_eq!(total, 96, "what it was given is the owner's");
    assert_eq!(name.trim_end().len(), 12, "{name}");
    for mib in [64, 80] {
        kill_worker(&mounted);
        cgroup.limit_memory(mib * MIB);
        std::thread::sleep(AFTER_THE_TTL);
        assert_eq!(asked(), (mib, name.clone()));
    }
    inside.end();
}

#[test]
fn what_is_kept_of_a_container_that_has_ended_is_an_error() {
    require_privileged!();
    let (mounted, cgroup) = (tree(50), limited(96));
    let inside = by_all_ways(&mounted.own(), &cgroup);
    let file = File::from(descriptor(&cgroup, 3));
    assert_eq!(total(&file).unwrap(), 96 << 10);
    let pid = cgroup.namespace_init().unwrap();
    let again = File::open(format!("/proc/{pid}/root/proc/stat")).unwrap();
    inside.end();
    cgroup.remove();
    std::thread::sleep(AFTER_THE_TTL);
    // A new container may look the same.
    let next = limited(64);
    let other = TestContainer::new(&mounted.own(), &next).run("cat /proc/meminfo");
    assert_eq!(field(&other, "MemTotal:"), 64 << 10);
    let is_gone = |error: std::io::Error| {
        let gone = [Errno::ENODEV, Errno::ESTALE].map(|errno| Some(errno as i32));
        assert!(gone.contains(&error.raw_os_error()), "{error}");
    };
    is_gone(total(&file).unwrap_err());
    is_gone((&again).read_to_end(&mut Vec::new()).unwrap_err());
    kill_worker(&mounted);
    std::thread::sleep(AFTER_THE_TTL);
    is_gone(total(&file).unwrap_err());
}

/// From one supervisor to the next, which must serve the same tree.
#[test]
fn it_is_handed_over_as_what_it_is() {
    require_privileged!();
    let handing_over = |ms, more: &[&str]| {
        let args = [&["--handover"], more].concat();
        MountOptions {
            args: args.into_iter().map(String::from).collect(),
            ..tree_with(ms)
        }
    };
    let mut mounted = Mounted::with(&handing_over(50, &["--page-cache"]));
    let cgroup = limited(96);
    let mut inside = by_all_ways(&mounted.own(), &cgroup);
    check(&mut inside, 96);
    let refused = mounted.command(&handing_over(50, &[])).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(
        why.contains("is a mount of the page-cache tree: mount with --page-cache"),
        "{why}"
    );
    check(&mut inside, 96);
    let worker = mounted.pid();
    let mut before = mounted.succeed(&handing_over(50, &["--page-cache"]));
    wait_until("the next one's worker serves", || {
        let root = mounted.root();
        let output = vistafs(&["status", "--json", "--mount", root.to_str().unwrap()]);
        let status = serde_json::from_slice::<serde_json::Value>(&output.stdout);
        status.is_ok_and(|status| {
            let pid = status["worker"]["pid"].as_u64();
            pid.is_some_and(|pid| pid != u64::from(worker)) && status["worker"]["serving"] == true
        })
    });
    cgroup.limit_memory(64 * MIB);
    std::thread::sleep(AFTER_THE_TTL);
    check(&mut inside, 64);
    kill(Pid::from_raw(before.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(before.wait().unwrap().success());
    check(&mut inside, 64);
    inside.end();
}

/// Everything has died: mounts of one tree are repaired from a mount of the same tree only.
#[test]
fn the_dead_are_repaired_from_their_own_tree() {
    require_privileged!();
    let _machine = machine();
    let (mut mounted, other) = (tree(50), Mounted::new());
    let cgroup = limited(96);
    let own = mounted.own();
    let container = TestContainer::new(&own, &cgroup);
    let resident = Resident::new(container.command(&script("true", "cat /proc/meminfo")));
    mounted.die();
    mounted.start(&tree_with(50));
    let (rows, _) = repair(&other, &[&resident], &[]);
    assert!(
        rows.iter().all(|row| row["path"] != "/proc/meminfo"),
        "{rows:?}"
    );
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    assert_eq!(status, 0, "{rows:?}");
    assert_eq!(outcome(&rows, "/proc/meminfo"), "repaired");
    assert_eq!(repair(&mounted, &[&resident], &[]), (vec![], 0));
    assert_eq!(field(&resident.go_on(), "MemTotal:"), 96 << 10);
}
