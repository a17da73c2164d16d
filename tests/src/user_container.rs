//! A container in a user namespace of its own, without a cgroup namespace: ids 0 to 65535 in it are
//! 100000 and above on the host.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Command, Stdio};

use crate::cgroup::TestCgroup;
use crate::vistafs::{Mounted, printed, wait_until};

/// The container's root on the host.
pub const ROOT: u32 = 100_000;

const MAP: &str = "0 100000 65536\n";

/// Starts a shell script as root of such a container in a cgroup; `$M` is the mount. Standard input
/// and output are pipes.
#[must_use]
pub fn spawn(mounted: &Mounted, cgroup: &TestCgroup, script: &str) -> Child {
    const BEGIN: &str = "read _; exec setpriv --reuid=0 --regid=0 --clear-groups sh -c \"$INNER\"";
    let mut outer = cgroup.join_script();
    outer.extend_from_slice(b"exec unshare -Umpf --keep-caps sh -c \"$BEGIN\"\n");
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(OsString::from_vec(outer))
        .env("M", mounted.root())
        .env("BEGIN", BEGIN)
        .env("INNER", format!("mount -t proc proc /proc\n{script}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    let pid = child.id().to_string();
    wait_until("it is in its user namespace", || {
        namespace(&pid) != namespace("self")
    });
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("/proc/{pid}/{map}"), MAP).unwrap();
    }
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    child
}

/// Output of a script in one.
#[must_use]
#[track_caller]
pub fn run(mounted: &Mounted, cgroup: &TestCgroup, script: &str) -> String {
    printed(&spawn(mounted, cgroup, script).wait_with_output().unwrap())
}
