//! The Debian packages: installed, upgraded while a container runs, removed, purged.
//!
//! `VISTAFS_DEBS` contains two builds of them in `1` and `2`. Only one of the VMs gets them: dpkg and systemd
//! are the same in all.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::require_guest;
use vistafs_tests::vistafs::{printed, wait_until};

const INSTALL: &str = include_str!("../../../contrib/doc/INSTALL.md");
const DROP_IN: &str = include_str!("../../../contrib/doc/LXCFS_DROP_IN.md");
const MOUNTS: [&str; 2] = ["/var/lib/vistafs", "/var/lib/lxcfs"];

#[track_caller]
fn run(program: &str, args: &[&str]) -> String {
    printed(&Command::new(program).args(args).output().unwrap())
}

/// Returns the commands for root on a page, by the comment before them.
fn typed(page: &str, name: &str) -> String {
    let mark = format!("<!-- run: {name} -->\n```console\n");
    let (_, rest) = page.split_once(&mark).expect(name);
    let lines = rest.split("```").next().unwrap().lines();
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix("# ").unwrap()).collect();
    format!("set -e\n{}\n", lines.join("\n"))
}

/// Runs these commands in the directory with the packages of a build.
fn follow(page: &str, name: &str, build: &str) -> Output {
    let dir = std::env::var_os("VISTAFS_DEBS").expect("VISTAFS_DEBS: where the packages are");
    Command::new("sh")
        .args(["-c", &typed(page, name)])
        .current_dir(Path::new(&dir).join(build))
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .unwrap()
}

#[track_caller]
fn install(build: &str) {
    let output = follow(INSTALL, "install", build);
    let _ = printed(&output);
    // A failed reload is reported there and breaks nothing, but it is not an upgrade.
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("goes on with the version before"), "{text}");
}

fn of_unit(unit: &str, property: &str) -> String {
    let property = format!("--property={property}");
    let text = run("systemctl", &["show", &property, "--value", unit]);
    text.trim().to_owned()
}

fn is_mounted(place: &str) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.contains(&format!(" {place} "))
}

/// Removes leftovers of a failed run.
struct Cleared;

impl Drop for Cleared {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = Command::new("journalctl")
                .args(["--no-pager", "-u", "vistafs", "-u", "lxcfs"])
                .output();
            eprintln!("{}", String::from_utf8_lossy(&journal.unwrap().stdout));
            let purge = "dpkg --purge vistafs-plugin-examples vistafs-lxcfs vistafs";
            let _ = Command::new("sh").args(["-c", purge]).status();
        }
    }
}

#[test]
fn packages_come_and_go_and_no_reader_notices() {
    require_guest!();
    let _cleared = Cleared;
    install("1");
    for unit in ["vistafs", "lxcfs"] {
        assert_eq!(of_unit(unit, "ActiveState"), "active", "{unit}");
        assert_eq!(run("systemctl", &["is-enabled", unit]).trim(), "enabled");
    }
    assert!(MOUNTS.into_iter().all(is_mounted));
    // The unit name and the pid file are those of lxcfs.
    let supervisor = of_unit("lxcfs", "MainPID");
    let kept = std::fs::read_to_string("/run/lxcfs.pid").unwrap();
    assert_eq!(kept.trim(), supervisor);
    let security = run(
        "systemd-analyze",
        &["security", "--no-pager", "vistafs.service"],
    );
    let last = security
        .lines()
        .rfind(|line| line.contains("exposure level"));
    println!("{}", last.unwrap());

    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 << 20);
    let mut script = cgroup.join_script();
    // Stops at the first error.
    script.extend_from_slice(
        b"exec unshare -mCpf sh -ec '\n\
          mount -t proc proc /proc\n\
          mount --bind /var/lib/lxcfs/proc/meminfo /proc/meminfo\n\
          mount --bind /var/lib/vistafs/proc/uptime /proc/uptime\n\
          while [ ! -e /run/vistafs-test-end ]; do\n\
          read -r key total kb < /proc/meminfo; read -r up idle < /proc/uptime\n\
          echo \"$total\"; done'\n",
    );
    let mut reader = Command::new("sh")
        .arg("-c")
        .arg(String::from_utf8(script).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(reader.stdout.take().unwrap());
    let reads = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let reads = &reads;
        scope.spawn(move || {
            for line in output.lines() {
                assert_eq!(line.unwrap(), "65536");
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        let goes_on = || {
            let seen = reads.load(Ordering::Relaxed);
            wait_until("the container's reader goes on", || {
                reads.load(Ordering::Relaxed) > seen + 2
            });
        };
        goes_on();
        let worker = |unit: &str| {
            let supervisor = of_unit(unit, "MainPID").parse().unwrap();
            let mut children = vistafs_tests::vistafs::children(supervisor);
            children.sort_unstable();
            children
        };
        let before = worker("lxcfs");
        install("2");
        goes_on();
        // The same process has executed another program and has another worker.
        assert_eq!(of_unit("lxcfs", "MainPID"), supervisor);
        assert_ne!(worker("lxcfs"), before);
        let version = run(
            "dpkg-query",
            &["--show", "--showformat=${Version}", "vistafs"],
        );
        assert!(version.ends_with("-2"), "{version}");
        std::fs::write("/run/vistafs-test-end", "").unwrap();
    });
    let status = reader.wait().unwrap();
    std::fs::remove_file("/run/vistafs-test-end").unwrap();
    assert!(status.success(), "the container's reader: {status}");
    drop(cgroup);
    let _ = printed(&follow(DROP_IN, "toggle", "2"));
    let shown = printed(&follow(INSTALL, "example", "2"));
    assert!(shown.ends_with("\nnone\n"), "{shown}");
    let _ = printed(&follow(INSTALL, "example again", "2"));
    assert!(!Path::new("/var/lib/vistafs/proc/container").exists());

    std::fs::write("/etc/vistafs/config.toml", "# kept by a removal\n").unwrap();
    let _ = printed(&follow(INSTALL, "remove", "2"));
    assert!(!MOUNTS.into_iter().any(is_mounted));
    assert!(Path::new("/etc/vistafs/config.toml").exists());
    assert!(!Path::new("/usr/bin/lxcfs").exists());
    let _ = printed(&follow(INSTALL, "purge", "2"));
    for gone in MOUNTS.into_iter().chain(["/etc/vistafs", "/run/lxcfs.pid"]) {
        assert!(!Path::new(gone).exists(), "{gone}");
    }
}
