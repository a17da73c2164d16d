//! `vistafs oci-runtime`: every container of an engine, by one line of its configuration.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use vistafs_tests::bundle::Bundle;
use vistafs_tests::container::field;
use vistafs_tests::vistafs::{Mounted, binary, printed};
use vistafs_tests::{require, require_privileged};

const LIMIT: u64 = 128 * 1024;
const MOUNTS: &str = "grep ' fuse.vistafs ' /proc/self/mountinfo | cut -d ' ' -f 5";

macro_rules! require_runtime {
    () => {
        require_privileged!();
        require!(
            vistafs_tests::require::program("runc"),
            "needs runc (apt install runc)"
        );
    };
}

/// A configuration of vistafs with a mount, and a program named `vistafs-runtime`.
struct Installed {
    dir: tempfile::TempDir,
}

impl Installed {
    fn new(mount: &Path, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("[runtime]\nmount = {mount:?}\n{more}");
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
        std::os::unix::fs::symlink(binary(), dir.path().join("vistafs-runtime")).unwrap();
        Self { dir }
    }

    /// `vistafs --config FILE oci-runtime`.
    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .arg("--config")
            .arg(self.dir.path().join("config.toml"));
        command.arg("oci-runtime");
        command
    }

    /// Runs a bundle as it is, until it ends.
    fn run(&self, bundle: &Bundle, log: Option<&Path>) -> Output {
        let mut command = self.command();
        if let Some(log) = log {
            command.arg("--log").arg(log).args(["--log-format", "json"]);
        }
        command
            .arg("--root")
            .arg(self.dir.path().join("state"))
            .args(["run", "--bundle"])
            .arg(bundle.path())
            .arg(bundle.name())
            .output()
            .unwrap()
    }
}

fn config(bundle: &Bundle) -> String {
    std::fs::read_to_string(bundle.path().join("config.json")).unwrap()
}

#[test]
fn a_container_gets_the_views_without_an_option() {
    require_runtime!();
    let mounted = Mounted::new();
    let installed = Installed::new(&mounted.root(), "");
    let mut bundle = Bundle::new(&format!("cat /proc/meminfo; {MOUNTS}"));
    bundle.config["x-unknown"] = json!({"z": [1.5, null], "a": u64::MAX});
    bundle.write();
    let before = config(&bundle);
    let text = printed(&installed.run(&bundle, None));
    assert_eq!(field(&text, "MemTotal:"), LIMIT, "{text}");
    assert!(text.contains("\n/proc/vmstat\n"), "all views: {text}");

    // The hook is appended, and every other byte is unchanged.
    let after = config(&bundle);
    let kept = before.strip_suffix('}').unwrap();
    let hook = after.strip_prefix(kept).unwrap();
    assert!(
        hook.starts_with(",\"hooks\":{\"createContainer\":["),
        "{hook}"
    );
    // The hook is added only once.
    assert_eq!(
        field(&printed(&installed.run(&bundle, None)), "MemTotal:"),
        LIMIT
    );
    assert_eq!(config(&bundle), after);
}

#[test]
fn annotations_choose() {
    require_runtime!();
    let mounted = Mounted::new();
    let installed = Installed::new(&mounted.root(), "");
    let mut bundle = Bundle::new(MOUNTS);
    bundle.config["annotations"] = json!({"dev.vistafs.views": "uptime,vmstat"});
    bundle.write();
    assert_eq!(
        printed(&installed.run(&bundle, None)),
        "/proc/uptime\n/proc/vmstat\n"
    );
    // A name that looks like an option is an unknown view.
    bundle.config["annotations"] = json!({"dev.vistafs.views": "--required"});
    bundle.write();
    assert_eq!(printed(&installed.run(&bundle, None)), "");

    bundle.config["annotations"] = json!({"dev.vistafs": "false"});
    bundle.write();
    let before = config(&bundle);
    assert_eq!(printed(&installed.run(&bundle, None)), "");
    assert_eq!(config(&bundle), before);
}

#[test]
fn a_bundle_that_cannot_be_written_to() {
    require_runtime!();
    let mounted = Mounted::new();
    let installed = Installed::new(&mounted.root(), "");
    let mut bundle = Bundle::new("cat /proc/meminfo; cat /data/x");
    std::fs::create_dir(bundle.path().join("data")).unwrap();
    std::fs::write(bundle.path().join("data/x"), "of the bundle").unwrap();
    bundle.bind(Path::new("data"), "/data", "ro");
    // Directories that a runtime would create.
    for place in ["proc", "usr", "dev", "sys", "data"] {
        std::fs::create_dir(bundle.path().join("rootfs").join(place)).unwrap();
    }
    bundle.write();
    let before = config(&bundle);
    let read_only = r#"
        mount --bind "$B" "$B"
        mount -o remount,bind,ro "$B"
        exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-ec", read_only, "sh"])
        .arg(binary())
        .arg("--config")
        .arg(installed.dir.path().join("config.toml"))
        .arg("oci-runtime")
        .arg("--root")
        .arg(installed.dir.path().join("state"))
        .args(["run", "--bundle"])
        .arg(bundle.path())
        .arg(bundle.name())
        .env("B", bundle.path());
    let text = printed(&command.output().unwrap());
    assert_eq!(field(&text, "MemTotal:"), LIMIT, "{text}");
    assert!(text.ends_with("of the bundle"), "{text}");
    assert_eq!(config(&bundle), before);

    // The second copy of the bundle is deleted when the first is gone, and a new one is created.
    let copies = |path: &Path| {
        let all = std::fs::read_dir("/run/vistafs/bundles").unwrap().flatten();
        let is_of = |entry: &std::fs::DirEntry| {
            std::fs::read_link(entry.path().join("original")).is_ok_and(|link| link == path)
        };
        all.filter(is_of).count()
    };
    let path = bundle.path().to_owned();
    assert_eq!(copies(&path), 1);
    drop(bundle);
    let other = Bundle::new("true");
    other.write();
    // A symbolic link is not replaced either.
    let real = other.path().join("real.json");
    std::fs::rename(other.path().join("config.json"), &real).unwrap();
    std::os::unix::fs::symlink("real.json", other.path().join("config.json")).unwrap();
    assert_eq!(printed(&installed.run(&other, None)), "");
    assert_eq!((copies(&path), copies(other.path())), (0, 1));
    let left = std::fs::read_dir("/run/vistafs/bundles").unwrap().flatten();
    for own in left.filter(|own| {
        std::fs::read_link(own.path().join("original")).is_ok_and(|link| link == other.path())
    }) {
        std::fs::remove_dir_all(own.path()).unwrap();
    }
}

#[test]
fn without_a_mount() {
    require_runtime!();
    let nothing = tempfile::tempdir().unwrap();
    let log = nothing.path().join("log.json");
    let installed = Installed::new(nothing.path(), "");
    let bundle = Bundle::new("echo started");
    bundle.write();
    let before = config(&bundle);
    let output = installed.run(&bundle, Some(&log));
    // The container's standard error is not used for messages.
    assert_eq!(
        (printed(&output), output.stderr.len()),
        ("started\n".to_owned(), 0)
    );
    assert_eq!(config(&bundle), before);
    let logged = std::fs::read_to_string(&log).unwrap();
    let line: serde_json::Value = serde_json::from_str(logged.lines().next().unwrap()).unwrap();
    assert_eq!(line["level"], "warning");
    assert!(
        line["msg"]
            .as_str()
            .unwrap()
            .contains("vistafs is not serving at"),
        "{line}"
    );

    let installed = Installed::new(nothing.path(), "required = true");
    let output = installed.run(&bundle, None);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("[runtime] required is set"), "{said}");
}

/// The real runtime replaces the process: its arguments, and its exit status.
#[test]
fn everything_else_passes_through() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let real: PathBuf = dir.path().join("real");
    let script = "#!/bin/sh\nfor word; do echo \"<$word>\"; done\ncat <&7\necho $$ >&2\nexit 42\n";
    std::fs::write(&real, script).unwrap();
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o755)).unwrap();
    let installed = Installed::new(dir.path(), &format!("path = {real:?}"));
    let words = [
        "-v", "--config", "x", "exec", "--help", "a b", "", "--", "create",
    ];
    std::fs::write(dir.path().join("seven"), "seventh\n").unwrap();
    let command = installed.command();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec 7<\"$S\"; echo $$ >\"$P\"; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .args(words)
        .env("S", dir.path().join("seven"))
        .env("P", dir.path().join("pid"));
    let output = shell.output().unwrap();
    let expected: String = words.iter().map(|word| format!("<{word}>\n")).collect();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        expected + "seventh\n"
    );
    assert_eq!(output.status.code(), Some(42));
    // The PID is that of the started process, which receives signals.
    let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), pid);

    // Configured by name only, and found in PATH.
    std::fs::copy(&real, dir.path().join("crun")).unwrap();
    let link = installed.dir.path().join("vistafs-runtime");
    std::os::unix::fs::symlink(binary(), dir.path().join("runc")).unwrap();
    let output = Command::new("sh")
        .args(["-c", "exec 7</dev/null; exec \"$0\" --version"])
        .arg(link)
        .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
        .output()
        .unwrap();
    // Not runc itself: here that name is vistafs.
    if !Path::new("/usr/bin/runc").exists() {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "<--version>\n");
    }
    let itself = Installed::new(dir.path(), &format!("path = {:?}", binary()));
    let output = itself.command().arg("state").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("vistafs itself"));
}

/// With an invalid configuration of vistafs, containers still start.
#[test]
fn a_broken_configuration() {
    require_runtime!();
    let nothing = tempfile::tempdir().unwrap();
    let installed = Installed::new(nothing.path(), "nonsense = 1");
    let bundle = Bundle::new("echo started");
    bundle.write();
    let output = installed.run(&bundle, None);
    assert_eq!(printed(&output), "started\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nonsense"));
}
