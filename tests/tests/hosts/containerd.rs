//! Pods that containerd's CRI creates, as the kubelet calls it.

use std::process::Command;

use crate::container::{SCRIPT, check};
use crate::service::{Service, start};
use crate::{ARCHIVE, IMAGE, make_cdi_devices, require_hosts, run};

/// Creates a pod of one container, like a kubelet.
const POD: &str = include_str!("pod.py");

const SOCKET: &str = "/run/containerd/containerd.sock";

/// The command that creates a pod with a script as its container's command, at a containerd.
pub(crate) fn pod(socket: &str, device: &str, script: &str, annotations: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-c", POD, socket, IMAGE, device, script])
        .args(annotations);
    command
}

#[test]
fn containerd_s_cri_with_cdi() {
    require_hosts!();
    let service = Service::vistafs();
    start("containerd");
    let _ = run(&["ctr", "--namespace", "k8s.io", "images", "import", ARCHIVE]);
    make_cdi_devices();
    let mut command = pod(SOCKET, "vistafs.dev/view=all", SCRIPT, &[]);
    check("containerd", &service, &mut command);
}
