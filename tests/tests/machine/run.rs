//! `vistafs run`.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::cgroup::hierarchies;
use vistafs_tests::container::field;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{binary, printed, vistafs, wait_until};

/// Runs `vistafs run ARGS` with a unique name, and asserts that it leaves nothing behind.
fn run(name: &str, args: &[&str]) -> Output {
    let mut all = vec!["run", "--name", name];
    all.extend_from_slice(args);
    let output = vistafs(&all);
    assert_nothing_left(name);
    output
}

#[track_caller]
fn assert_nothing_left(name: &str) {
    for hierarchy in hierarchies().all() {
        let left = hierarchy.root().path().join("vistafs").join(name);
        assert!(!left.exists(), "{} is left", left.display());
    }
}

#[test]
fn the_readme_s_first_command_shows_a_small_machine() {
    require_privileged!();
    let readme = include_str!("../../../README.md");
    let line = readme
        .lines()
        .find_map(|l| l.strip_prefix("# cargo run --"))
        .unwrap();
    let script = format!("exec \"$VISTAFS\" {line}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("VISTAFS", binary())
        .output()
        .unwrap();
    let text = printed(&output);
    let second = |start: &str| {
        let line = text.lines().find(|l| l.trim_start().starts_with(start));
        line.unwrap_or_else(|| panic!("no {start}: {text}"))
            .split_whitespace()
            .last()
            .map(str::to_owned)
    };
    assert_eq!(field(&text, "Mem:"), 256);
    assert_eq!(
        second("On-line CPU(s) list:").as_deref(),
        Some("0"),
        "{text}"
    );
    assert!(text.contains("up 0 min"), "{text}");
}

/// Files of the configuration are bound like built-in views.
#[test]
fn a_custom_file_is_bound() {
    require_privileged!();
    let config = tempfile::NamedTempFile::new().unwrap();
    let text = "[views]\ndisable = [\"uptime\"]\n[[file]]\npath = \"proc/version\"\n\
                text = \"{{ memory.limit | mib }} MiB\\n\"\n\
                [[file]]\npath = \"proc/vistafs-test\"\ntext = \"x\"\n";
    std::fs::write(config.path(), text).unwrap();
    let output = vistafs(&[
        "--config",
        config.path().to_str().unwrap(),
        "run",
        "--memory",
        "256M",
        "--",
        "sh",
        "-c",
        "cat /proc/version; grep -c ' /proc/uptime ' /proc/self/mountinfo; ls /proc/vistafs-test",
    ]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The kernel has no place for the other file.
    assert_eq!(text, "256 MiB\n0\n", "{output:?}");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn tools_show_the_limits() {
    require_privileged!();
    let text = printed(&run(
        "t-small",
        &["--memory", "256M", "--cpus", "1", "--", "free", "-m"],
    ));
    assert!(
        text.lines()
            .any(|l| l.starts_with("Mem:") && l.split_whitespace().nth(1) == Some("256")),
        "{text}"
    );
    let text = printed(&run(
        "t-small",
        &[
            "--memory",
            "256M",
            "--cpus",
            "1",
            "--",
            "cat",
            "/proc/cpuinfo",
        ],
    ));
    assert_eq!(
        text.lines().filter(|l| l.starts_with("processor")).count(),
        1,
        "{text}"
    );
    let text = printed(&run(
        "t-small",
        &["--memory", "256M", "--", "top", "-b", "-n1"],
    ));
    assert!(text.contains("MiB Mem :    256.0 total"), "{text}");
    assert!(text.contains("up 0 min"), "{text}");
}

#[test]
fn memory_and_swap_have_a_limit_together() {
    require_privileged!();
    let args = ["--memory", "64M", "--memory-swap", "96M", "--"];
    let script = "cat /sys/fs/cgroup/memory.swap.max /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes 2>/dev/null; true";
    let output = run("t-swap", &[&args[..], &["sh", "-c", script]].concat());
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    // Without swap accounting in the kernel it reports that.
    if output.status.success() {
        let text = printed(&output);
        let bytes: u64 = text.trim().parse().unwrap();
        assert!([32 << 20, 96 << 20].contains(&bytes), "{text}");
    } else {
        assert_eq!(output.status.code(), Some(125));
        assert!(message.contains("swap"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn it_has_namespaces_of_its_own() {
    require_privileged!();
    let script = "hostname; cat /proc/self/cgroup; ls /proc | grep -c '^[0-9]'";
    let text = printed(&run("t-own", &["--", "sh", "-c", script]));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "t-own");
    assert!(
        lines[1..lines.len() - 1].iter().any(|l| l.ends_with(":/")),
        "{text}"
    );
    assert!(lines.last().unwrap().parse::<u32>().unwrap() < 10, "{text}");
}

#[test]
fn exit_statuses_are_passed_on() {
    require_privileged!();
    let status = |args: &[&str]| run("t-status", args).status.code();
    assert_eq!(status(&["--", "true"]), Some(0));
    assert_eq!(status(&["--", "sh", "-c", "exit 7"]), Some(7));
    assert_eq!(status(&["--", "sh", "-c", "kill -9 $$"]), Some(128 + 9));
    assert_eq!(status(&["--", "no-such-command"]), Some(127));
    assert_eq!(status(&["--", "/etc/passwd"]), Some(126));
}

#[test]
fn input_and_output_are_those_of_the_caller() {
    require_privileged!();
    let mut child = Command::new(binary())
        .args(["run", "--name", "t-io", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(printed(&output), "hello\n");
    assert_nothing_left("t-io");
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    require_privileged!();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = Command::new(binary())
            .args([
                "run",
                "--name",
                "t-signal",
                "--memory",
                "64M",
                "--",
                "sh",
                "-c",
                "echo ready; exec sleep 600",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let started = Instant::now();
        let status = child.wait().unwrap();
        assert!(started.elapsed() < Duration::from_secs(10), "{signal}");
        assert_eq!(status.code(), Some(128 + signal as i32), "{signal}");
        assert_nothing_left("t-signal");
    }
}

#[test]
fn what_it_leaves_when_killed_the_next_one_clears_away() {
    require_privileged!();
    let mut child = Command::new(binary())
        .args([
            "run",
            "--name",
            "t-killed",
            "--",
            "sh",
            "-c",
            "echo ready; exec sleep 601",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The command dies with it; its cgroup can be reused immediately.
    let text = printed(&run(
        "t-killed",
        &["--memory", "64M", "--", "cat", "/proc/meminfo"],
    ));
    assert_eq!(field(&text, "MemTotal:"), 64 * 1024);
}

#[test]
fn descendants_and_cgroups_that_the_command_leaves_are_cleared_away() {
    require_privileged!();
    let script = "setsid sleep 602 & mkdir -p /sys/fs/cgroup/memory/sub /sys/fs/cgroup/sub 2>/dev/null; exit 3";
    assert_eq!(
        run("t-left", &["--", "sh", "-c", script]).status.code(),
        Some(3)
    );
}

#[test]
fn mistakes_are_told_in_one_line() {
    require_privileged!();
    let message = |args: &[&str]| {
        let output = run("t-wrong", args);
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for args in [
        ["--memory", "lots", "--", "true"],
        ["--cpus", "0", "--", "true"],
        ["--cpus", "-1", "--", "true"],
        ["--cpuset", "3-1", "--", "true"],
        ["--cpuset", "4096", "--", "true"],
        ["--memory-swap", "512M", "--", "true"],
    ] {
        let text = message(&args);
        assert!(text.contains(args[0]), "{args:?}: {text}");
    }
}

#[test]
fn two_of_one_name_are_refused() {
    require_privileged!();
    let mut first = Command::new(binary())
        .args([
            "run",
            "--name",
            "t-twice",
            "--",
            "sh",
            "-c",
            "echo ready; read _",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(first.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let second = vistafs(&["run", "--name", "t-twice", "--", "true"]);
    assert_eq!(second.status.code(), Some(125));
    let text = String::from_utf8(second.stderr).unwrap();
    assert!(text.contains("t-twice"), "{text}");
    drop(first.stdin.take());
    first.wait().unwrap();
    wait_until("the first has cleared away", || {
        hierarchies()
            .all()
            .iter()
            .all(|h| !h.root().path().join("vistafs/t-twice").exists())
    });
}
