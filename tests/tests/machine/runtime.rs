//! Real runtimes: bind mounts, `vistafs oci-hook`, `vistafs cdi` and `vistafs docker-args`.

use std::path::{Path, PathBuf};

use serde_json::json;
use vistafs_tests::bundle::Bundle;
use vistafs_tests::cdi;
use vistafs_tests::container::field;
use vistafs_tests::vistafs::{Mounted, binary, printed, vistafs};
use vistafs_tests::{require, require_privileged};

const LIMIT: u64 = 128 * 1024;

macro_rules! require_runtime {
    () => {
        require_privileged!();
        require!(
            vistafs_tests::require::program("runc"),
            "needs runc (apt install runc)"
        );
    };
}

#[test]
fn runc_with_bind_mounts() {
    require_runtime!();
    let mounted = Mounted::new();
    let mut bundle = Bundle::new(
        "cat /proc/meminfo; cat /proc/uptime; grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online; free -m",
    );
    for view in [
        "proc/cpuinfo",
        "proc/loadavg",
        "proc/meminfo",
        "proc/stat",
        "proc/uptime",
        "sys/devices/system/cpu",
        "sys/devices/system/node",
    ] {
        bundle.bind(&mounted.path(view), &format!("/{view}"), "ro");
    }
    let text = printed(&bundle.run("runc"));
    assert_eq!(field(&text, "MemTotal:"), LIMIT, "{text}");
    assert!(text.contains("\n1\n0\n"), "one CPU: {text}");
    assert!(
        text.lines()
            .any(|l| l.starts_with("Mem:") && l.split_whitespace().nth(1) == Some("128")),
        "{text}"
    );
}

/// The container's mounts from vistafs, by its mount table.
const MOUNTS: &str = "grep ' fuse.vistafs ' /proc/self/mountinfo | cut -d ' ' -f 5";

fn hook(bundle: &mut Bundle, mount: &Path, more: &[&str]) {
    let mount = mount.to_str().unwrap();
    let args = [&["vistafs", "oci-hook", "--mount", mount], more].concat();
    bundle.config["hooks"] =
        json!({"createContainer": [{"path": binary(), "args": args, "timeout": 120}]});
}

fn runtimes() -> Vec<&'static str> {
    // crun does not run on every layout without systemd; if it is installed, it must.
    let there = |name: &&str| vistafs_tests::require::program(name);
    ["runc", "crun"].into_iter().filter(there).collect()
}

#[test]
fn the_hook_binds_every_view() {
    require_runtime!();
    let mounted = Mounted::new();
    let mut bundle = Bundle::new(&format!(
        "cat /proc/meminfo; head -1 /proc/vmstat; {MOUNTS}"
    ));
    hook(&mut bundle, &mounted.root(), &["--required"]);
    for runtime in runtimes() {
        let text = printed(&bundle.run(runtime));
        assert_eq!(field(&text, "MemTotal:"), LIMIT, "{runtime}: {text}");
        let views = printed(&vistafs(&["views", "--json"]));
        let views: serde_json::Value = serde_json::from_str(&views).unwrap();
        for view in views.as_array().unwrap() {
            let target = format!("/{}", view["path"].as_str().unwrap());
            let is_bound = text.lines().any(|line| line == target);
            let is_there = Path::new(&target).exists();
            let expected = view["on"] == true && is_there;
            assert_eq!(is_bound, expected, "{runtime}: {target}: {text}");
        }
    }
}

#[test]
fn the_hook_binds_what_it_is_asked_for() {
    require_runtime!();
    let mounted = Mounted::new();
    let mut bundle = Bundle::new(MOUNTS);
    hook(&mut bundle, &mounted.root(), &["--only", "vmstat,uptime"]);
    let text = printed(&bundle.run("runc"));
    assert_eq!(text, "/proc/uptime\n/proc/vmstat\n");

    bundle.config["annotations"] = json!({"dev.vistafs": "false"});
    assert_eq!(printed(&bundle.run("runc")), "");
}

/// Files bound from the page-cache tree are opened in the container without a request; the rest is bound from
/// the usual mount.
#[test]
fn the_hook_binds_from_the_page_cache_tree() {
    require_runtime!();
    let (mounted, tree) = (Mounted::new(), crate::page_cache_tree::tree(50));
    // The device and the source of each bind mount.
    let bound = "grep ' fuse.vistafs ' /proc/self/mountinfo | cut -d ' ' -f 3,4,5";
    let mut bundle = Bundle::new(&format!("cat /proc/meminfo; {bound}"));
    let at = tree.root();
    hook(
        &mut bundle,
        &mounted.root(),
        &["--required", "--page-cache", at.to_str().unwrap()],
    );
    for runtime in runtimes() {
        let text = printed(&bundle.run(runtime));
        assert_eq!(field(&text, "MemTotal:"), LIMIT, "{runtime}: {text}");
        let root_of = |target: &str| {
            let mut lines = text.lines().map(|line| line.split(' '));
            let words = lines.find_map(|mut words| {
                let [device, root, at] = std::array::from_fn(|_| words.next());
                (at? == target).then(|| (device.unwrap(), root.unwrap()))
            });
            words.unwrap_or_else(|| panic!("{runtime}: {target}: {text}"))
        };
        let (device, root) = root_of("/proc/meminfo");
        // Below the container's ID, ten digits.
        assert_eq!(
            (root.len(), &root[13..]),
            (26, "/proc/meminfo"),
            "{runtime}"
        );
        assert_eq!(root_of("/proc/stat").0, device);
        // Also the container's own file, of the usual mount.
        let (usual, root) = root_of("/proc/pressure/cpu");
        assert!(
            usual != device && root[13..] == *"/proc/pressure/cpu",
            "{runtime}"
        );
        let (other, root) = root_of("/sys/devices/system/cpu");
        assert!(
            other != device && root == "/sys/devices/system/cpu",
            "{runtime}"
        );
    }
    let nothing = tempfile::tempdir().unwrap();
    let nowhere = nothing.path().to_str().unwrap();
    hook(
        &mut bundle,
        &mounted.root(),
        &["--required", "--page-cache", nowhere],
    );
    let said = String::from_utf8_lossy(&bundle.run("runc").stderr).into_owned();
    assert!(said.contains("vistafs mount --page-cache"), "{said}");
}

/// By default, a container starts even without the views.
#[test]
fn a_hook_without_a_mount() {
    require_runtime!();
    let nothing = tempfile::tempdir().unwrap();
    let mut bundle = Bundle::new("echo started");
    hook(&mut bundle, nothing.path(), &[]);
    assert_eq!(printed(&bundle.run("runc")), "started\n");

    hook(&mut bundle, nothing.path(), &["--required"]);
    let output = bundle.run("runc");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is vistafs mounted at"), "{said}");
}

/// Replacements of the kernel's files in the image are not covered, and nothing outside is.
#[test]
fn a_hook_stays_in_the_container() {
    require_runtime!();
    let mounted = Mounted::new();
    let mut bundle = Bundle::new(&format!("echo started; {MOUNTS}"));
    let trap = tempfile::tempdir().unwrap();
    std::fs::write(trap.path().join("meminfo"), "trap").unwrap();
    bundle.bind(trap.path(), "/trap", "rw");
    // /proc is a plain directory in the container.
    bundle.config["mounts"][0] = json!({
        "destination": "/proc", "type": "bind", "source": trap.path(), "options": ["bind", "rw"],
    });
    hook(&mut bundle, &mounted.root(), &["--required"]);
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!bundle.run("runc").status.success());
    let after = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    // Compared by device: other tests mount and unmount in parallel.
    let device = |line: &str| line.split(' ').nth(2).map(str::to_owned);
    let root = mounted.root().display().to_string();
    let mine = device(before.lines().find(|line| line.contains(&root)).unwrap());
    let ours = |text: &str| text.lines().filter(|line| device(line) == mine).count();
    assert_eq!((ours(&before), ours(&after)), (1, 1));
    let trap = std::fs::read_to_string(trap.path().join("meminfo")).unwrap();
    assert_eq!(trap, "trap");
}

#[test]
fn options_for_docker() {
    require_runtime!();
    let mounted = Mounted::new();
    let mount = mounted.root();
    let text = printed(&vistafs(&[
        "docker-args",
        "--mount",
        mount.to_str().unwrap(),
    ]));
    let mut bundle = Bundle::new(&format!("cat /proc/meminfo; {MOUNTS}"));
    let mut options = 0;
    for line in text.lines() {
        let fields = line.strip_prefix("--mount type=bind,src=").unwrap();
        let (source, rest) = fields.split_once(",dst=").unwrap();
        let (target, access) = match rest.strip_suffix(",readonly") {
            Some(target) => (target, "ro"),
            None => (rest, "rw"),
        };
        bundle.bind(Path::new(source), target, access);
        options += 1;
    }
    let text = printed(&bundle.run("runc"));
    assert_eq!(field(&text, "MemTotal:"), LIMIT, "{text}");
    let bound = text.lines().filter(|line| line.starts_with('/')).count();
    assert_eq!((bound, options > 8), (options, true), "{text}");

    for odd in ["/a b", "/a,b", "/a\"b"] {
        let odd = vistafs(&["docker-args", "--mount", odd]);
        assert!(!odd.status.success() && odd.stdout.is_empty());
    }
}

#[test]
fn devices_of_cdi() {
    require_runtime!();
    let mounted = Mounted::new();
    let mount = mounted.root();
    let text = printed(&vistafs(&[
        "cdi",
        "generate",
        "--mount",
        mount.to_str().unwrap(),
    ]));
    let spec = cdi::Spec::read(&text);
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("cdi/vistafs.json");
    let generate = |more: &[&str]| {
        let place = [mount.to_str().unwrap(), "--output", path.to_str().unwrap()];
        let output = vistafs(&[&["cdi", "generate", "--mount"], &place[..], more].concat());
        assert_eq!(printed(&output), "");
        std::fs::read_to_string(&path).unwrap()
    };
    // The output for a pod, whose program is not on the host.
    let without = generate(&["--no-hooks"]);
    assert!(
        !without.contains("hook") && !without.contains("vmstat"),
        "{without}"
    );
    assert!(generate(&["--hook", "/opt/v"]).contains("\"path\": \"/opt/v\""));
    assert!(
        !vistafs(&["cdi", "generate", "--hook", "v"])
            .status
            .success()
    );
    assert!(
        !vistafs(&["cdi", "generate", "--output", "/tmp/v.yml"])
            .status
            .success()
    );
    assert_eq!(generate(&[]), text);
    assert_eq!(
        std::fs::read_dir(dir.path().join("cdi")).unwrap().count(),
        1
    );

    for (device, expected) in [
        ("all", "every view"),
        ("meminfo", "/proc/meminfo\n"),
        ("vmstat", "/proc/vmstat\n"),
    ] {
        let mut bundle = Bundle::new(MOUNTS);
        spec.apply(device, &mut bundle.config);
        let text = printed(&bundle.run("runc"));
        if expected == "every view" {
            for one in ["/proc/meminfo", "/proc/vmstat", "/sys/devices/system/cpu"] {
                assert!(text.lines().any(|line| line == one), "{one}: {text}");
            }
        } else {
            assert_eq!(text, expected);
        }
    }
}
