use std::process::Command;

use crate::container::{SCRIPT, check};
use crate::service::Service;
use crate::{ROOT, require_hosts, run};

/// Runs LXC with `$0` as the directory of lines for all containers: the default one has the line of lxcfs's
/// package, which Incus needs.
const WITH_DIRECTORY: &str =
    "mount --bind \"$0\" /usr/share/lxc/config/common.conf.d && exec lxc-execute \"$@\"";

#[test]
fn lxc_with_the_hook() {
    require_hosts!();
    let service = Service::vistafs();
    let dir = tempfile::tempdir().unwrap();
    let common = dir.path().join("common.conf.d");
    std::fs::create_dir(&common).unwrap();
    let line = include_str!("../../../contrib/lxc/10-vistafs.conf");
    std::fs::write(common.join("10-vistafs.conf"), line).unwrap();
    let root = dir.path().join("root");
    let _ = run(&["cp", "-a", ROOT, root.to_str().unwrap()]);
    let config = dir.path().join("config");
    let text = format!(
        "lxc.include = /usr/share/lxc/config/common.conf\n\
         lxc.rootfs.path = dir:{}\n\
         lxc.uts.name = box\n\
         lxc.net.0.type = empty\n\
         lxc.tty.max = 0\n\
         lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed\n\
         lxc.cgroup2.memory.max = 256M\n\
         lxc.cgroup2.cpuset.cpus = 1\n",
        root.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", WITH_DIRECTORY])
        .arg(&common)
        .args(["--name", "box", "--rcfile"])
        .arg(&config)
        .args(["--", "/bin/sh", "-c", SCRIPT]);
    check("lxc", &service, &mut command);
}
