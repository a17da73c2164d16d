//! Real container hosts, set up as the documents describe: each shows a container its own limits, and a
//! reader in it survives the death of the worker.
//!
//! They run only in the guest with the container hosts (`cargo xtask test --layout hosts`), each test in its
//! own process, two at a time. A container gets 256 MiB and one of two CPUs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the report"
)]

/// Checks a container from its start to its end.
#[path = "hosts/container.rs"]
mod container;
/// vistafs as the packages' services.
#[path = "hosts/service.rs"]
mod service;

/// containerd, as a kubelet uses it.
#[path = "hosts/containerd.rs"]
mod containerd;
/// crun alone, with the hook in the container's configuration.
#[path = "hosts/crun.rs"]
mod crun;
/// Docker, with bind mounts and with CDI.
#[path = "hosts/docker.rs"]
mod docker;
/// The life cycle of a container on each of them (`cargo xtask test --hosts full`).
#[path = "hosts/full.rs"]
mod full;
/// Incus, which expects lxcfs.
#[path = "hosts/incus.rs"]
mod incus;
/// LXC, with its hook.
#[path = "hosts/lxc.rs"]
mod lxc;
/// containerd's pods, with `vistafs nri`.
#[path = "hosts/nri.rs"]
mod nri;
/// Podman, with its hook.
#[path = "hosts/podman.rs"]
mod podman;

/// The page whose commands are run.
const PAGE: &str = include_str!("../../contrib/doc/CONTAINER_HOSTS.md");

/// The image on the page, also the name of the image in the guest, which has no network.
const PAGE_IMAGE: &str = "debian:12";
const IMAGE: &str = "localhost/box:latest";
/// The image as the container hosts import it, and as a directory.
const ARCHIVE: &str = "/srv/images/image.tar";
const ROOT: &str = "/srv/images/root";

/// Skips the test unless the machine has the container hosts.
macro_rules! require_hosts {
    () => {
        vistafs_tests::require!(
            vistafs_tests::require::guest() && std::path::Path::new(crate::ROOT).exists(),
            "needs the guest with container hosts (cargo xtask test --layout hosts)"
        );
    };
}
pub(crate) use require_hosts;

/// Returns the output of a command; fails if the command does.
#[track_caller]
fn run(words: &[&str]) -> String {
    let mut command = std::process::Command::new(words[0]);
    command.args(&words[1..]).stdin(std::process::Stdio::null());
    vistafs_tests::vistafs::printed(&command.output().unwrap())
}

/// Runs the page's command that generates the CDI devices.
fn make_cdi_devices() {
    let _alone = service::SetUp::begin();
    if !std::path::Path::new("/etc/cdi/vistafs.json").exists() {
        let line = vistafs_tests::page::block(PAGE, "sh", "cdi");
        let _ = run(&["sh", "-euc", line.trim_start_matches("# ")]);
    }
}

/// A command line of the page for a shell: `docker run … debian:12 free -m`, with further options after
/// `run`, and a script as the container's command.
fn typed(line: &str, options: &str, script: &str) -> std::process::Command {
    typed_run(line, &format!("--rm {options}"), script)
}

/// The same for a detached container.
fn typed_detached(line: &str, options: &str, script: &str) -> std::process::Command {
    typed_run(line, &format!("--detach {options}"), script)
}

fn typed_run(line: &str, options: &str, script: &str) -> std::process::Command {
    let line = line.trim().trim_start_matches("# ");
    let (head, tail) = line.split_once(PAGE_IMAGE).unwrap();
    assert_eq!(tail.trim(), "free -m");
    let head = head.replacen(" run ", &format!(" run {options} "), 1);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-euc", &format!("exec {head} {IMAGE} sh -c \"$SCRIPT\"")])
        .env("SCRIPT", script);
    command
}
