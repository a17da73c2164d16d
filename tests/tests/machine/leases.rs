//! A lease delays other opens of the file: no container can take one on a shared file.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::vistafs::{Mounted, printed, vistafs};
use vistafs_tests::{require, require_privileged, user_container};

use crate::page_cache::{Script, kill_worker, python};

const LEASES: &str = include_str!("leases/leases.py");
/// Files of views in proc, and some of a CPU.
const LEAST: usize = 20;
/// Timeout until the process that holds files open reaches all of them.
const SOON: Duration = Duration::from_secs(30);

fn script(mounted: &Mounted) -> PathBuf {
    let path = mounted.root().with_file_name("leases.py");
    std::fs::write(&path, LEASES).unwrap();
    path
}

/// The leases that were granted, on shared files and on a private file.
fn granted(shared: &str, own: &str) -> (Vec<String>, String) {
    let mut words = shared.split_whitespace();
    let tried: usize = words.next().unwrap().parse().unwrap();
    assert!(tried >= LEAST, "{shared}");
    (words.map(String::from).collect(), own.trim_end().to_owned())
}

/// Root without any capability, as in a Docker container, before and after each replacement of the worker.
#[test]
fn no_shared_file_can_be_leased() {
    require_privileged!();
    require!(python(), "needs python3");
    let (mounted, cgroup) = (Mounted::new(), TestCgroup::new());
    let inside = format!(
        "exec setpriv --bounding-set=-all --inh-caps=-all python3 {} \"$M\"",
        script(&mounted).display()
    );
    let mut container = Script::start(TestContainer::new(&mounted, &cgroup).command(&inside), "");
    let mut attempt = || {
        container.tell();
        let shared = container.line();
        granted(&shared, &container.line())
    };
    let began = Instant::now();
    while !attempt().0.is_empty() {
        assert!(began.elapsed() < SOON, "{:?}", attempt());
    }
    let none = (Vec::new(), String::from("write read"));
    assert_eq!(attempt(), none);
    kill_worker(&mounted);
    assert_eq!(attempt(), none, "another worker");
    let root = mounted.root();
    for how in ["reload", "upgrade"] {
        let _ = printed(&vistafs(&[how, "--mount", root.to_str().unwrap()]));
        assert_eq!(attempt(), none, "after {how}");
    }
    container.end();
}

/// In a private user namespace, in which the owner of shared files is nobody.
#[test]
fn no_shared_file_can_be_leased_from_a_user_namespace() {
    require_privileged!();
    require!(python(), "needs python3");
    let (mounted, cgroup) = (Mounted::new(), TestCgroup::new());
    let inside = format!("exec python3 {} \"$M\"", script(&mounted).display());
    let mut child = user_container::spawn(&mounted, &cgroup, &inside);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert_eq!(line(), "ready");
    writeln!(child.stdin.as_mut().unwrap()).unwrap();
    let (leased, own) = granted(&line(), &line());
    assert_eq!((leased, own.as_str()), (Vec::new(), ""));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// The files are held open through a private mount, which does not make the mount busy or keep it alive.
#[test]
fn what_is_held_is_let_go_of_when_the_mount_is_gone() {
    require_privileged!();
    let mut mounted = Mounted::new();
    let root = mounted.root();
    let holder = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let words = root.as_os_str().as_encoded_bytes();
        let mut holders = all.filter(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let is_it = line.starts_with(b"vistafs\0hold\0--stay\0");
            is_it && line.windows(words.len()).any(|part| part == words)
        });
        let held = holders.next().map(|process| {
            let files = std::fs::read_dir(process.path().join("fd"));
            files.map_or(0, Iterator::count)
        });
        held.unwrap_or(0)
    };
    vistafs_tests::vistafs::wait_until("files are held", || holder() > 12);
    nix::mount::umount2(&root, nix::mount::MntFlags::empty()).unwrap();
    let (status, messages) = mounted.wait();
    assert_eq!(status.code(), Some(1), "{messages}");
    assert!(
        messages.contains("unmounted by another process"),
        "{messages}"
    );
    vistafs_tests::vistafs::wait_until("the holder has ended", || holder() == 0);
}
