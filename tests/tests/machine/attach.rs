//! `vistafs attach` and `vistafs detach`: views in running containers.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use serde_json::Value;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::field;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{Mounted, binary, printed, vistafs};

use crate::repair::{Resident, outcome, script};

const LIMIT: u64 = 64 * 1024;

/// A container without views, in a cgroup: runs `prepare` after mounting its own /proc.
pub(crate) fn bare(cgroup: &TestCgroup, prepare: &str, after: &str) -> Resident {
    let inner = script(
        &format!("mount -t proc -o nosuid,nodev,noexec proc /proc\n{prepare}"),
        after,
    );
    let mut outer = cgroup.join_script();
    outer.extend_from_slice(b"exec unshare -mCpf sh -ec \"$INNER\"\n");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(OsString::from_vec(outer))
        .env("INNER", inner);
    Resident::new(command)
}

/// Runs `vistafs attach` or `detach` with `--json`; returns the report and the exit status.
#[track_caller]
fn place(command: &str, mounted: &Mounted, words: &[&str]) -> (Vec<Value>, i32) {
    let root = mounted.root();
    let args = [command, "--json", "--mount", root.to_str().unwrap()];
    let output = vistafs(&[&args, words].concat());
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let rows = rows.as_array().unwrap().clone();
    let is_left = rows.iter().any(|row| row["outcome"] == "left");
    let status = output.status.code().unwrap();
    assert_eq!(status, if is_left { 3 } else { 0 }, "{rows:?}");
    (rows, status)
}

/// The mounts of a process without those of other tests. These change: removing a mount point on the host
/// removes the mounts on it.
fn mountinfo(pid: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let lines = text.lines().filter(|line| !line.contains(" /tmp/"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn why<'r>(rows: &'r [Value], path: &str) -> &'r str {
    let row = rows.iter().find(|row| row["path"] == path).unwrap();
    row["why"].as_str().unwrap()
}

#[test]
fn a_running_container_gets_views_and_loses_them() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(LIMIT * 1024);
    let resident = bare(
        &cgroup,
        "",
        "cat /proc/meminfo; cat /proc/uptime /proc/stat >/dev/null; ls /sys/devices/system/cpu/online",
    );
    let pid = resident.pid().to_string();
    let before = mountinfo(&pid);

    let (rows, _) = place("attach", &mounted, &["--pid", &pid, "--dry-run"]);
    assert_eq!(outcome(&rows, "/proc/meminfo"), "possible");
    assert_eq!(mountinfo(&pid), before);

    let (rows, status) = place("attach", &mounted, &["--pid", &pid]);
    assert_eq!(status, 0, "{rows:?}");
    for path in [
        "/proc/meminfo",
        "/proc/pressure/cpu",
        "/sys/devices/system/cpu",
    ] {
        if std::path::Path::new(path).exists() {
            assert_eq!(outcome(&rows, path), "attached");
        }
    }
    let attached = mountinfo(&pid);
    let (again, _) = place("attach", &mounted, &["--pid", &pid]);
    assert!(
        again.iter().all(|row| row["outcome"] == "present"),
        "{again:?}"
    );
    assert_eq!((again.len(), mountinfo(&pid)), (rows.len(), attached));

    let (removed, status) = place("detach", &mounted, &["--pid", &pid]);
    assert_eq!((status, removed.len()), (0, rows.len()), "{removed:?}");
    assert_eq!(mountinfo(&pid), before);
    assert_eq!(place("detach", &mounted, &["--pid", &pid]), (vec![], 0));

    // Selected by cgroup path, and with a subset of the views.
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let path = paths.max_by_key(|path| path.len()).unwrap();
    let only = ["--cgroup", path, "--only", "meminfo"];
    let (rows, _) = place("attach", &mounted, &only);
    assert_eq!(
        (rows.len(), outcome(&rows, "/proc/meminfo")),
        (1, "attached")
    );
    let (rows, _) = place("attach", &mounted, &["--cgroup", path]);
    assert_eq!(outcome(&rows, "/proc/meminfo"), "present");
    assert_eq!(outcome(&rows, "/proc/stat"), "attached");

    assert!(!mountinfo("self").contains(" /proc/meminfo "));
    let text = resident.go_on();
    assert_eq!(field(&text, "MemTotal:"), LIMIT, "{text}");
    assert!(text.ends_with("/sys/devices/system/cpu/online\n"), "{text}");
}

/// Dry run: other tests' containers are among them.
#[test]
fn all_selects_each_container_once() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    // Contains a service's mount namespace.
    let nested = "exec 3<&0; unshare -m sh -c 'echo ready; read go' <&3 & wait";
    let inner = format!("mount -t proc proc /proc; {nested}");
    let mut outer = cgroup.join_script();
    outer.extend_from_slice(b"exec unshare -mpf sh -ec \"$INNER\"\n");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(OsString::from_vec(outer))
        .env("INNER", inner);
    let resident = Resident::new(command);
    let namespace = |pid: &str| {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
        let link = link.to_str().unwrap().to_owned();
        link[5..link.len() - 1].parse::<u64>().unwrap()
    };
    let init = resident.pid().to_string();
    let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children"));
    let children = children.unwrap();
    let inside = children.split_whitespace().next().unwrap();
    let (rows, _) = place(
        "attach",
        &mounted,
        &["--all", "--dry-run", "--only", "meminfo"],
    );
    for expected in [namespace(&init), namespace(inside)] {
        let found = rows.iter().filter(|row| row["namespace"] == expected);
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), 1, "{rows:?}");
        assert_eq!(found[0]["outcome"], "possible");
    }
    let host = namespace("self");
    assert!(!rows.iter().any(|row| row["namespace"] == host), "{rows:?}");
}

#[test]
fn only_the_kernels_own_files_are_covered() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let dir = tempfile::tempdir().unwrap();
    let prepare = format!(
        "mount --bind /dev/null /proc/meminfo
         mount --bind /proc/cpuinfo /proc/stat
         mount -t tmpfs none {dir}; mkdir {dir}/cpu; mount --bind {dir} /sys/devices/system",
        dir = dir.path().display()
    );
    let resident = bare(&cgroup, &prepare, "cat /proc/meminfo; head -c 9 /proc/stat");
    let pid = resident.pid().to_string();
    let (rows, status) = place("attach", &mounted, &["--pid", &pid]);
    assert_eq!((status, outcome(&rows, "/proc/uptime")), (3, "attached"));
    for path in ["/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu"] {
        assert_eq!(outcome(&rows, path), "left");
        assert!(
            why(&rows, path).contains("not the kernel's file"),
            "{rows:?}"
        );
    }
    assert_eq!(
        why(&rows, "/sys/devices/system/node"),
        "the container has no such file"
    );
    assert_eq!(resident.go_on(), "processor");

    // A symbolic link, and a process that has changed its root directory.
    let fake = format!(
        "mount -t tmpfs none {0}; ln -s /proc/meminfo {0}/meminfo; mount --bind {0} /proc",
        dir.path().display()
    );
    let resident = bare(&cgroup, &fake, "");
    let pid = resident.pid().to_string();
    let (rows, _) = place("attach", &mounted, &["--pid", &pid, "--only", "meminfo"]);
    assert_eq!(outcome(&rows, "/proc/meminfo"), "left");
    let chrooted = bare(
        &cgroup,
        "exec chroot /usr /bin/sh -c 'echo ready; read go'",
        "",
    );
    let pid = chrooted.pid().to_string();
    let (rows, _) = place("attach", &mounted, &["--pid", &pid]);
    assert_eq!(rows.len(), 1);
    assert!(
        rows[0]["why"].as_str().unwrap().contains("chroot"),
        "{rows:?}"
    );
}

/// A mount on a shared mount appears in every namespace that shares it.
#[test]
fn nothing_appears_on_the_host() {
    require_privileged!();
    let mounted = Mounted::new();
    // The outer namespace plays the host: `vistafs attach` runs in it.
    let outer = r#"
        mount --make-rshared /
        unshare -m --propagation unchanged sh -c 'echo $$ >"$D/pid"; read go' <"$D/wait" &
        exec 8>"$D/wait"
        while [ ! -s "$D/pid" ]; do sleep 0.02; done
        grep -c ' /proc/meminfo ' /proc/self/mountinfo || true
        "$V" attach --json --mount "$M" --pid "$(cat "$D/pid")" --only meminfo || echo "exit $?"
        grep -c ' /proc/meminfo ' /proc/self/mountinfo || true"#;
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("wait");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-ec", outer])
        .env("D", dir.path())
        .env("M", mounted.root())
        .env("V", binary())
        .output()
        .unwrap();
    let text = printed(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.first(), lines.last(), "{text}");
    assert!(
        text.contains("shared with the host's") && text.contains("exit 3"),
        "{text}"
    );

    // Sharing among namespaces of the same container is allowed.
    let cgroup = TestCgroup::new();
    let resident = bare(
        &cgroup,
        "mount --make-rshared /",
        "grep -c ' /proc/stat ' /proc/self/mountinfo",
    );
    let pid = resident.pid().to_string();
    let (rows, _) = place("attach", &mounted, &["--pid", &pid, "--only", "stat"]);
    assert_eq!(outcome(&rows, "/proc/stat"), "attached");
    assert_eq!(resident.go_on(), "1\n");
}

/// Containers may end during the operation; the command still succeeds.
#[test]
fn containers_that_end_meanwhile() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let stays = bare(&cgroup, "", "head -n 1 /proc/stat");
    let pid = stays.pid().to_string();
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let path = paths.max_by_key(|path| path.len()).unwrap().to_owned();
    let mut join = cgroup.join_script();
    join.extend_from_slice(b"i=0; while [ $i -lt 200 ]; do unshare -mpf true; i=$((i+1)); done\n");
    let mut churn = Command::new("sh")
        .arg("-c")
        .arg(OsString::from_vec(join))
        .spawn()
        .unwrap();
    while churn.try_wait().unwrap().is_none() {
        let (rows, _) = place("attach", &mounted, &["--cgroup", &path, "--only", "stat"]);
        for row in rows {
            let outcome = row["outcome"].as_str().unwrap();
            // Before it mounts /proc, a container has a private copy of the host's.
            assert!(["attached", "present", "gone"].contains(&outcome), "{row}");
        }
    }
    assert!(stays.go_on().starts_with("cpu "));
}

#[test]
fn what_cannot_be_selected_is_an_error() {
    require_privileged!();
    let mounted = Mounted::new();
    let root = mounted.root();
    let said = |words: &[&str]| {
        let args = ["attach", "--mount", root.to_str().unwrap()];
        let output = vistafs(&[&args, words].concat());
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said(&[]).contains("--all"));
    assert!(said(&["--all", "--pid", "1"]).contains("cannot be used with"));
    assert!(said(&["--pid", "4194305"]).contains("no process 4194305"));
    assert!(said(&["--cgroup", "/no/such/cgroup"]).contains("no process"));
    assert!(said(&["--all", "--only", "nonsense"]).contains("no view nonsense"));
    let own = std::process::id().to_string();
    let (rows, _) = place("attach", &mounted, &["--pid", &own]);
    assert!(
        rows[0]["why"].as_str().unwrap().contains("of the host"),
        "{rows:?}"
    );
}
