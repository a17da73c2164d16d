//! Pods whose views are from `vistafs nri`, at a containerd with NRI of its own: the other tests use the
//! machine's, which these restart.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use rustix::fs::{FlockOperation, flock};
use vistafs_tests::page::block;
use vistafs_tests::vistafs::wait_until;

use crate::container::{Container, SCRIPT, check};
use crate::containerd::pod;
use crate::service::{Service, start};
use crate::{ARCHIVE, require_hosts, run};

/// The page with the unit of the plugin and the configuration of containerd.
const PAGE: &str = include_str!("../../../contrib/doc/KUBERNETES.md");

const SOCKET: &str = "/run/containerd-nri/containerd.sock";
const CONTAINERD: &str = "containerd-nri";
const PLUGIN: &str = "vistafs-nri";

const UNIT: &str = "[Service]
Type=notify
Environment=GOGC=400
ExecStart=/usr/bin/containerd --config /etc/containerd/nri.toml
Delegate=yes
KillMode=process
";

/// Prints the mount on its /proc/meminfo, if there is one.
const LOOK: &str = "grep ' /proc/meminfo ' /proc/self/mountinfo; echo ready; read -r _";

/// vistafs and containerd. One test at a time has them.
struct Node {
    service: Service,
    _alone: File,
}

impl Node {
    /// Both run, and the plugin does not.
    fn start() -> Node {
        let alone = File::create("/run/vistafs-tests-nri").unwrap();
        flock(&alone, FlockOperation::LockExclusive).unwrap();
        let service = Service::vistafs();
        let unit = format!("/etc/systemd/system/{CONTAINERD}.service");
        if !Path::new(&unit).exists() {
            let of_machine = std::fs::read_to_string("/etc/containerd/config.toml").unwrap();
            let rest = of_machine.strip_prefix("version = 2\n").unwrap();
            let nri = block(PAGE, "toml", "nri");
            let config = format!(
                "version = 2\nroot = '/var/lib/containerd-nri'\nstate = '/run/containerd-nri'\n\
                 [grpc]\naddress = '{SOCKET}'\n{nri}{rest}"
            );
            std::fs::write("/etc/containerd/nri.toml", config).unwrap();
            std::fs::write(unit, UNIT).unwrap();
            let plugin = format!("/etc/systemd/system/{PLUGIN}.service");
            std::fs::write(plugin, block(PAGE, "unit", "nri")).unwrap();
            let _ = run(&["systemctl", "daemon-reload"]);
            start(CONTAINERD);
            let _ = run(&[
                "ctr",
                "--address",
                SOCKET,
                "--namespace",
                "k8s.io",
                "images",
                "import",
                ARCHIVE,
            ]);
        }
        let _ = run(&["systemctl", "stop", PLUGIN]);
        // Left by a failed test.
        let _ = run(&["systemctl", "revert", PLUGIN]);
        Node {
            service,
            _alone: alone,
        }
    }

    /// How often the plugin has registered and got the list of containers.
    fn registrations(&self) -> usize {
        let log = run(&["journalctl", "--no-pager", "--output=cat", "--unit", PLUGIN]);
        let registered = log.matches("registered with containerd 1.7").count();
        registered.min(log.matches("the runtime has ").count())
    }

    /// Waits for one more registration than `before`.
    fn registers(&self, before: usize) {
        wait_until("the plugin registers", || self.registrations() > before);
    }

    /// Changes the command of the plugin, until the next [`Node::start`].
    fn command(&self, command: &str) {
        let dir = format!("/etc/systemd/system/{PLUGIN}.service.d");
        std::fs::create_dir_all(&dir).unwrap();
        let text = format!("[Service]\nExecStart=\nExecStart={command}\n");
        std::fs::write(format!("{dir}/command.conf"), text).unwrap();
        let _ = run(&["systemctl", "daemon-reload"]);
    }

    fn start_plugin(&self) {
        let before = self.registrations();
        start(PLUGIN);
        self.registers(before);
    }
}

fn with(script: &str, annotations: &[&str]) -> Command {
    pod(SOCKET, "", script, annotations)
}

#[test]
fn pods_get_the_views_by_nri() {
    require_hosts!();
    let node = Node::start();
    node.start_plugin();
    check("containerd, NRI", &node.service, &mut with(SCRIPT, &[]));

    let mut opted_out = with(LOOK, &["dev.vistafs=false"]);
    let container = Container::start(&mut opted_out);
    let mounts = container.description();
    assert!(mounts.is_empty(), "{mounts:?}");
    container.end();
}

#[test]
fn pods_of_containerd_get_bind_mounts_without_hooks() {
    require_hosts!();
    let node = Node::start();
    node.command("/usr/bin/vistafs nri --no-hooks");
    node.start_plugin();
    check(
        "containerd, NRI without hooks",
        &node.service,
        &mut with(SCRIPT, &[]),
    );
}

#[test]
fn nri_works_again_after_a_restart_of_containerd() {
    require_hosts!();
    let node = Node::start();
    // A pod without the plugin, and its views when the plugin comes.
    let container = Container::start(&mut with(SCRIPT, &[]));
    let seen = container.description().join("\n");
    assert!(!seen.contains(" /proc/meminfo "), "{seen}");
    node.start_plugin();
    container.becomes_ok("the running container gets its views");
    container.rounds("after the views were placed");

    let before = node.registrations();
    let _ = run(&["systemctl", "restart", CONTAINERD]);
    node.registers(before);
    container.rounds("after containerd was restarted");
    let mut second = with(SCRIPT, &[]);
    check(
        "containerd, NRI after a restart",
        &node.service,
        &mut second,
    );
    container.end();
}
