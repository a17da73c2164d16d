//! `at/`, `vistafs show` and `vistafs views`.

use std::fs::File;
use std::io::ErrorKind;
use std::process::Command;

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{Mounted, printed, vistafs, wait_until};

const MIB: u64 = 1 << 20;

fn limited(mib: u64) -> TestCgroup {
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(mib * MIB);
    cgroup
}

#[test]
fn the_address_shows_the_named_container() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = limited(64);
    let inner = cgroup.child("inner");
    inner.limit_memory(32 * MIB);
    assert_eq!(
        field(&mounted.read(&cgroup.address("proc/meminfo")), "MemTotal:"),
        64 * 1024
    );
    assert_eq!(
        field(&mounted.read(&inner.address("proc/meminfo")), "MemTotal:"),
        32 * 1024
    );
    let names = |path: &str| {
        let mut names: Vec<_> = std::fs::read_dir(mounted.path(path))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&cgroup.address("")),
        ["cgroup", "inner", "proc", "sys"]
    );
    assert_eq!(
        names(&cgroup.address("sys/devices/system")),
        ["cpu", "node"]
    );
    let missing = File::open(mounted.path(&cgroup.address("no/proc/meminfo"))).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

/// A host service that runs as uid 0 without the capability, or with it in a private user namespace.
#[test]
fn root_without_cap_sys_admin_finds_neither_addresses_nor_metrics() {
    require_privileged!();
    let mounted = Mounted::new();
    let finds = |wrapper: &[&str], name: &str| {
        let path = mounted.path(name);
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg("stat").arg(&path);
        command.output().unwrap().status.success()
    };
    let without = [
        "setpriv",
        "--bounding-set=-sys_admin",
        "--inh-caps=-sys_admin",
    ];
    let elsewhere = ["unshare", "--user", "--map-root-user"];
    for name in ["at", "metrics"] {
        assert!(finds(&["env"], name), "{name}");
        assert!(!finds(&without, name), "{name}");
        assert!(!finds(&elsewhere, name), "{name}");
        assert!(finds(&without, "proc/meminfo") && finds(&elsewhere, "proc/meminfo"));
    }
}

#[test]
fn no_container_finds_an_address() {
    require_privileged!();
    let mounted = Mounted::new();
    let (own, other) = (limited(64), limited(32));
    let script = format!(
        "ls $M; cat $M/{} 2>&1; ls $M/at 2>&1; true",
        other.address("proc/meminfo")
    );
    let text = TestContainer::new(&mounted, &own).run(&script);
    assert!(text.starts_with("c\ncgroup\nproc\nself\nsys\n"), "{text}");
    assert_eq!(text.matches("Cannot allocate memory").count(), 2, "{text}");
    assert!(!text.contains("MemTotal"), "{text}");
    // The host still finds it.
    assert_eq!(
        field(&mounted.read(&other.address("proc/meminfo")), "MemTotal:"),
        32 * 1024
    );
}

#[test]
fn a_bind_mount_of_an_address_shows_it_to_anybody() {
    require_privileged!();
    let mounted = Mounted::new();
    let (own, shown) = (limited(64), limited(32));
    let source = mounted.path(&shown.address("proc/meminfo"));
    let file = tempfile::NamedTempFile::new().unwrap();
    let mount = |args: &[&std::path::Path]| {
        Command::new("mount")
            .arg("--bind")
            .args(args)
            .status()
            .unwrap()
    };
    assert!(mount(&[&source, file.path()]).success());
    let script = format!("cat {}", file.path().display());
    let text = TestContainer::new(&mounted, &own).run(&script);
    let unmounted = Command::new("umount").arg(file.path()).status().unwrap();
    assert!(unmounted.success());
    assert_eq!(field(&text, "MemTotal:"), 32 * 1024);
}

#[test]
fn show_prints_what_a_process_or_a_cgroup_would_see() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = limited(64);
    let mut child = TestContainer::new(&mounted, &cgroup).spawn("read _");
    let mut pid = None;
    wait_until("the container runs", || {
        pid = cgroup.namespace_init();
        pid.is_some()
    });
    let pid = pid.unwrap().to_string();
    for args in [
        ["--pid", &pid],
        ["--cgroup", cgroup.path().to_str().unwrap()],
    ] {
        for view in ["proc/meminfo", "/proc/meminfo", "meminfo"] {
            let text = printed(&vistafs(&["show", view, args[0], args[1]]));
            assert_eq!(field(&text, "MemTotal:"), 64 * 1024, "{args:?} {view}");
        }
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    let host = printed(&vistafs(&["show", "proc/meminfo"]));
    assert_eq!(
        field(&host, "MemTotal:"),
        field(
            &std::fs::read_to_string("/proc/meminfo").unwrap(),
            "MemTotal:"
        )
    );
    let gone = vistafs(&["show", "meminfo", "--pid", "4194304"]);
    assert!(!gone.status.success());
    assert_eq!(
        String::from_utf8(gone.stderr).unwrap(),
        "vistafs: no process 4194304 (its number is the one that the host has for it)\n"
    );
    let unknown = vistafs(&["show", "proc/mem"]);
    assert!(
        String::from_utf8(unknown.stderr)
            .unwrap()
            .contains("did you mean")
    );
}

#[test]
fn the_table_of_views() {
    require_privileged!();
    let table = printed(&vistafs(&["views"]));
    assert!(table.starts_with("PATH "), "{table}");
    for path in [
        "proc/cpuinfo",
        "proc/meminfo",
        "proc/stat",
        "proc/uptime",
        "sys/devices/system/cpu",
        "sys/devices/system/node",
    ] {
        let line = table
            .lines()
            .find(|l| l.starts_with(path))
            .unwrap_or_else(|| panic!("{path}: {table}"));
        assert!(
            line.contains("on by default") && line.contains("built in"),
            "{line}"
        );
    }
    let version = if TestCgroup::new().is_v2("memory") {
        "memory v2"
    } else {
        "memory v1"
    };
    assert!(table.contains(version), "{table}");

    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    std::fs::write(&config, "[views]\ndisable = [\"stat\"]\n").unwrap();
    let json = printed(&vistafs(&[
        "views",
        "--json",
        "--config",
        config.to_str().unwrap(),
    ]));
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    let stat = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["path"] == "proc/stat")
        .unwrap();
    assert_eq!(stat["on"], false);
    assert_eq!(stat["why"], "disabled in the configuration");
    assert_eq!(stat["options"][0]["name"], "steal");
}

#[test]
fn addresses_that_are_forgotten_leave_nothing() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = limited(64);
    // Warm-up: the kernel files behind it stay open.
    let _ = mounted.read(&cgroup.address("proc/stat"));
    let before = mounted.descriptors();
    for _ in 0..200 {
        let _ = mounted.read(&cgroup.address("proc/stat"));
        assert!(std::fs::read_dir(mounted.path("at")).unwrap().count() > 0);
    }
    // The last file is closed after the reply to its reader.
    wait_until("the descriptors are given back", || {
        mounted.descriptors() <= before + 4
    });
}
