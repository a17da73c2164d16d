//! The life cycle of a container on each host: changed limits, a neighbour's load, a service that is killed,
//! upgraded, stopped and started, and the restart of the container.

use std::process::Command;
use std::time::{Duration, Instant};

use vistafs_tests::page::block;
use vistafs_tests::vistafs::{printed, wait_until};

use crate::container::{LIMITS, check_limits, device};
use crate::service::{Service, start};
use crate::{ARCHIVE, PAGE, ROOT, require_hosts, run, typed_detached};

/// The container's command.
const IDLE: &str = "while :; do sleep 60; done";

/// A host's commands for one container with 256 MiB and one CPU.
struct Host {
    name: &'static str,
    service: Service,
    /// The prefix of a command that runs in the container.
    exec: &'static [&'static str],
    /// Changes the limit to 512 MiB.
    raise: &'static [&'static str],
    restart: &'static [&'static str],
    remove: &'static [&'static str],
}

impl Host {
    fn inside(&self, script: &str) -> String {
        let mut command = Command::new(self.exec[0]);
        command.args(&self.exec[1..]).args(["sh", "-c", script]);
        printed(&command.output().unwrap())
    }

    /// Total memory by free(1), MiB.
    fn total(&self) -> u64 {
        let text = self.inside("free -m");
        let line = text.lines().find_map(|line| line.strip_prefix("Mem:"));
        let total = line.and_then(|rest| rest.split_whitespace().next());
        total.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
    }

    /// Whether the container's views are from the mount that is served now.
    fn is_served(&self) -> bool {
        let text =
            self.inside("grep ' /proc/meminfo ' /proc/self/mountinfo; cat /proc/uptime 2>&1");
        text.lines().count() > 1
            && !text.contains("not connected")
            && device(&text, "/proc/meminfo") == self.service.device()
    }

    /// USER_HZ ticks that all CPUs of the container were busy.
    fn busy(&self) -> u64 {
        busy(&self.inside("cat /proc/stat"))
    }

    fn lives(&self) {
        let name = self.name;
        check_limits(&self.inside(LIMITS));
        assert!(self.is_served(), "{name}");

        let _ = run(self.raise);
        assert_eq!(self.total(), 512, "{name}");

        // CPU time of another process is the host's, not the container's.
        let host = || busy(&std::fs::read_to_string("/proc/stat").unwrap());
        let before = (self.busy(), host());
        let load = Instant::now();
        while load.elapsed() < Duration::from_secs(5) {
            std::hint::spin_loop();
        }
        let used = (self.busy() - before.0, host() - before.1);
        assert!(used.0 * 2 < used.1, "{name}: {used:?} ticks");

        self.service.kill_supervisor();
        wait_until("views are served after SIGKILL of the supervisor", || {
            self.is_served()
        });
        self.service.upgrade();
        assert!(self.is_served() && self.total() == 512, "{name}");
        // The previous mount is gone; the next supervisor repairs the container's mounts.
        self.service.restart();
        wait_until("the container is repaired", || self.is_served());

        let _ = run(self.restart);
        assert!(self.is_served() && self.total() == 512, "{name}");
        let _ = run(self.remove);
    }
}

/// USER_HZ ticks of user, nice and system time in the first line of a `proc/stat`.
fn busy(stat: &str) -> u64 {
    let mut words = stat.split_whitespace();
    assert_eq!(words.next(), Some("cpu"), "{stat}");
    words.take(3).map(|word| word.parse::<u64>().unwrap()).sum()
}

#[test]
fn docker() {
    require_hosts!();
    let service = Service::vistafs();
    start("docker");
    let _ = run(&["docker", "load", "--input", ARCHIVE]);
    let line = block(PAGE, "podman", "docker-args");
    let _ = printed(
        &typed_detached(line, "--name life --cpus 1", IDLE)
            .output()
            .unwrap(),
    );
    Host {
        name: "docker",
        service,
        exec: &["docker", "exec", "life"],
        raise: &[
            "docker",
            "update",
            "--memory",
            "512m",
            "--memory-swap",
            "512m",
            "life",
        ],
        restart: &["docker", "restart", "--time", "0", "life"],
        remove: &["docker", "rm", "--force", "life"],
    }
    .lives();
}

#[test]
fn podman() {
    require_hosts!();
    let service = Service::vistafs();
    let hooks = "/usr/share/containers/oci/hooks.d";
    std::fs::create_dir_all(hooks).unwrap();
    let hook = include_str!("../../../contrib/oci/vistafs.json");
    std::fs::write(format!("{hooks}/vistafs.json"), hook).unwrap();
    let _ = run(&["podman", "load", "--input", ARCHIVE]);
    let line = block(PAGE, "podman", "hook");
    let options = "--name life --network none --cpuset-cpus 1";
    let _ = printed(&typed_detached(line, options, IDLE).output().unwrap());
    Host {
        name: "podman",
        service,
        exec: &["podman", "exec", "life"],
        raise: &[
            "podman",
            "update",
            "--memory",
            "512m",
            "--memory-swap",
            "1g",
            "life",
        ],
        restart: &["podman", "restart", "--time", "0", "life"],
        remove: &["podman", "rm", "--force", "--time", "0", "life"],
    }
    .lives();
}

#[test]
fn incus() {
    require_hosts!();
    let service = Service::lxcfs();
    crate::incus::set_up();
    let limits = ["--config=limits.memory=256MiB", "--config=limits.cpu=1"];
    let _ = run(&[&["incus", "launch", "--quiet", "box", "life"], &limits[..]].concat());
    Host {
        name: "incus",
        service,
        exec: &["incus", "exec", "life", "--"],
        raise: &["incus", "config", "set", "life", "limits.memory=512MiB"],
        restart: &["incus", "restart", "--force", "life"],
        remove: &["incus", "delete", "--force", "life"],
    }
    .lives();
}

#[test]
fn lxc() {
    require_hosts!();
    let service = Service::vistafs();
    let dir = "/var/lib/lxc/life";
    std::fs::create_dir_all(dir).unwrap();
    let _ = run(&["cp", "-a", ROOT, &format!("{dir}/rootfs")]);
    let hook = include_str!("../../../contrib/lxc/10-vistafs.conf");
    let text = format!(
        "lxc.rootfs.path = dir:{dir}/rootfs\n\
         lxc.uts.name = life\n\
         lxc.net.0.type = empty\n\
         lxc.tty.max = 0\n\
         lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed\n\
         lxc.cgroup2.memory.max = 256M\n\
         lxc.cgroup2.cpuset.cpus = 1\n\
         lxc.init.cmd = /bin/sh -c '{IDLE}'\n\
         {hook}"
    );
    std::fs::write(format!("{dir}/config"), text).unwrap();
    let _ = run(&["lxc-start", "--name", "life"]);
    Host {
        name: "lxc",
        service,
        exec: &["lxc-attach", "--name", "life", "--"],
        // Also changes the configuration, which a restart applies.
        raise: &[
            "sh",
            "-euc",
            "lxc-cgroup --name life memory.max 512M; sed -i s/256M/512M/ /var/lib/lxc/life/config",
        ],
        restart: &[
            "sh",
            "-euc",
            "lxc-stop --name life --kill; lxc-start --name life",
        ],
        remove: &["lxc-destroy", "--name", "life", "--force"],
    }
    .lives();
}
