use std::process::Command;

use crate::container::{self, SCRIPT, check};
use crate::service::{Service, SetUp, main_pid, start};
use crate::{require_hosts, run};

/// Storage in directories, no network.
const SET_UP: &str = r#"incus admin init --preseed <<'END'
storage_pools:
- name: default
  driver: dir
profiles:
- name: default
  devices:
    root: {path: /, pool: default, type: disk}
END
"#;

/// Starts Incus with a pool and an image, once.
pub(crate) fn set_up() {
    let _alone = SetUp::begin();
    start("incus");
    let images = run(&["incus", "image", "list", "--format", "csv"]);
    if images.is_empty() {
        let _ = run(&["sh", "-euc", SET_UP]);
        let archive = "/srv/images/incus.tar";
        let _ = run(&["incus", "image", "import", archive, "--alias", "box"]);
    }
}

#[test]
fn incus_with_vistafs_for_lxcfs() {
    require_hosts!();
    let service = Service::lxcfs();
    set_up();
    let limits = ["--config=limits.memory=256MiB", "--config=limits.cpu=1"];
    let _ = run(&[&["incus", "launch", "--quiet", "box", "c"], &limits[..]].concat());
    let mut command = Command::new("incus");
    command.args(["exec", "c", "--", "sh", "-c", SCRIPT]);
    check("incus", &service, &mut command);

    // Debian's incus.service requires lxcfs.service: a crash of lxcfs.service must not restart Incus.
    let (daemon, device) = (main_pid("incus"), service.device());
    service.kill_supervisor();
    let script = "free -m; grep ' /proc/meminfo ' /proc/self/mountinfo";
    let text = run(&["incus", "exec", "c", "--", "sh", "-c", script]);
    assert!(text.contains(" 256 "), "{text}");
    assert_eq!(container::device(&text, "/proc/meminfo"), device, "{text}");
    assert_eq!(main_pid("incus"), daemon);
    let _ = run(&["incus", "delete", "--force", "c"]);
}
