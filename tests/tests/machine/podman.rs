//! The commands for users on the container hosts page, with Podman.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vistafs_tests::page::block;
use vistafs_tests::require::program;
use vistafs_tests::vistafs::{Mounted, binary, printed};
use vistafs_tests::{require, require_privileged};

use crate::pages::{HOOK, PAGE, PLACE, root_directory};

/// Podman with private storage, in which vistafs is installed and mounted as on the page.
struct Podman {
    mounted: Mounted,
    directory: tempfile::TempDir,
}

/// A shell function, so that a line of the page runs unchanged: with runc (other runtimes need systemd on
/// some layouts), no images, this machine's /usr and network, and limits that do not need CAP_SYS_RESOURCE.
/// /run/cdi is private.
const SHELL: &str = r#"
mkdir -p /run/cdi
mount --bind "$DIRECTORY/cdi" /run/cdi
[ ! -e /etc/cdi ] || mount -t tmpfs none /etc/cdi
vistafs() {
    [ "$1" != docker-args ] || set -- "$@" --mount "$MOUNT"
    "$PROGRAM" "$@"
}
podman() {
    shift
    command podman --runtime "$(command -v runc)" --cgroup-manager cgroupfs --storage-driver vfs \
        --root "$DIRECTORY/storage" --runroot "$DIRECTORY/runroot" --tmpdir "$DIRECTORY/tmp" \
        --hooks-dir "$DIRECTORY/hooks" \
        run --rm --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
        --volume /usr:/usr:ro "$@"
}
docker() { podman "$@"; }
"#;

impl Podman {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["cdi", "hooks"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let _ = root_directory(directory.path());
        Self {
            mounted: Mounted::new(),
            directory,
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// Returns the output of a line of the page, in a container of 256 MiB.
    fn types(&self, line: &str) -> String {
        let line = line.trim_start_matches("# ");
        let root = self.path("root");
        let line = line.replace("debian:12", &format!("--rootfs {}", root.display()));
        let line = line
            .replace(PLACE, self.mounted.root().to_str().unwrap())
            .replace("/etc/cdi", "/run/cdi");
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-euc", &format!("{SHELL}{line}")])
            .env("DIRECTORY", self.directory.path())
            .env("PROGRAM", binary())
            .env("MOUNT", self.mounted.root());
        printed(&command.output().unwrap())
    }
}

/// The total memory in the output of free(1), MiB.
fn memory(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("Mem:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

fn is_there() -> bool {
    program("podman") && program("runc")
}

#[test]
fn options_as_docker_takes_them() {
    require_privileged!();
    require!(
        is_there(),
        "needs podman and runc (apt install podman runc)"
    );
    let podman = Podman::new();
    let text = podman.types(block(PAGE, "podman", "docker-args"));
    assert_eq!(memory(&text), 256);
}

#[test]
fn a_device_of_cdi() {
    require_privileged!();
    require!(
        is_there(),
        "needs podman and runc (apt install podman runc)"
    );
    let podman = Podman::new();
    let _ = podman.types(block(PAGE, "sh", "cdi"));
    let text = podman.types(block(PAGE, "podman", "cdi"));
    assert_eq!(memory(&text), 256);
}

#[test]
fn the_hook_and_its_annotation() {
    require_privileged!();
    require!(
        is_there(),
        "needs podman and runc (apt install podman runc)"
    );
    let podman = Podman::new();
    let mut hook: Value = serde_json::from_str(HOOK).unwrap();
    hook["hook"]["path"] = binary().to_str().unwrap().into();
    let args = hook["hook"]["args"].as_array_mut().unwrap();
    args.extend([
        "--mount".into(),
        podman.mounted.root().to_str().unwrap().into(),
    ]);
    std::fs::write(podman.path("hooks/vistafs.json"), hook.to_string()).unwrap();
    let line = block(PAGE, "podman", "hook");
    assert_eq!(memory(&podman.types(line)), 256);
    // A container without the annotation sees the host.
    let without = line.replace("--annotation dev.vistafs=true ", "");
    assert_ne!(line, without);
    let host = std::fs::read_to_string(Path::new("/proc/meminfo")).unwrap();
    let total = vistafs_tests::container::field(&host, "MemTotal:") / 1024;
    assert!(memory(&podman.types(&without)).abs_diff(total) <= 1);
}
