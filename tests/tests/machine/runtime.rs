//! A real runtime with bind mounts: runc.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use vistafs_tests::container::field;
use vistafs_tests::vistafs::{Mounted, printed};
use vistafs_tests::{require, require_privileged};

/// A bundle with the machine's own programs and the views bind-mounted.
fn bundle(dir: &Path, mounted: &Mounted, script: &str) {
    let root = dir.join("rootfs");
    std::fs::create_dir(&root).unwrap();
    for link in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link)).unwrap();
    }
    let bind = |view: &str| {
        json!({
            "destination": format!("/{view}"), "type": "bind",
            "source": mounted.path(view), "options": ["bind", "ro"],
        })
    };
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["bind", "ro"]}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]}),
        json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "ro"]}),
    ];
    for view in [
        "proc/cpuinfo",
        "proc/loadavg",
        "proc/meminfo",
        "proc/stat",
        "proc/uptime",
        "sys/devices/system/cpu",
        "sys/devices/system/node",
    ] {
        mounts.push(bind(view));
    }
    let spec = json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "hostname": "c",
        "process": {
            "cwd": "/",
            "user": {"uid": 0, "gid": 0},
            "args": ["sh", "-c", script],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        },
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
            "cgroupsPath": format!("/vt-runc-{}", std::process::id()),
            "resources": {
                "memory": {"limit": 128 << 20},
                "cpu": {"quota": 100_000, "period": 100_000},
            },
        },
    });
    std::fs::write(dir.join("config.json"), spec.to_string()).unwrap();
}

#[test]
fn runc_with_bind_mounts() {
    require_privileged!();
    require!(
        vistafs_tests::require::program("runc"),
        "needs runc (apt install runc)"
    );
    let mounted = Mounted::new();
    let dir = tempfile::tempdir().unwrap();
    bundle(
        dir.path(),
        &mounted,
        "cat /proc/meminfo; cat /proc/uptime; grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online; free -m",
    );
    let output = Command::new("runc")
        .arg("--root")
        .arg(dir.path().join("state"))
        .args(["run", "--bundle"])
        .arg(dir.path())
        .arg(format!("vt-{}", std::process::id()))
        .output()
        .unwrap();
    let text = printed(&output);
    assert_eq!(field(&text, "MemTotal:"), 128 * 1024, "{text}");
    assert!(text.contains("\n1\n0\n"), "one CPU: {text}");
    assert!(
        text.lines()
            .any(|l| l.starts_with("Mem:") && l.split_whitespace().nth(1) == Some("128")),
        "{text}"
    );
}
