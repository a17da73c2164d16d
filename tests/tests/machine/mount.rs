//! Mounting and unmounting, command line errors, systemd.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted, binary, copy_program, vistafs};

/// Asserts that a command fails with one line on standard error, and returns that line.
#[track_caller]
fn failure(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "it succeeded: {text}");
    assert_eq!(text.lines().count(), 1, "not one line:\n{text}");
    text
}

#[test]
fn sigint_and_sigterm_unmount() {
    require_privileged!();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut mounted = Mounted::new();
        let root = mounted.root();
        assert!(root.join("proc/meminfo").exists());
        let (status, messages) = mounted.end(signal);
        assert!(status.success(), "{status}: {messages}");
        assert!(
            std::fs::read_dir(&root).unwrap().next().is_none(),
            "still mounted"
        );
    }
}

#[test]
fn a_directory_that_is_missing_or_none_is_named() {
    require_privileged!();
    let line = failure(&vistafs(&["mount", "/no/such/dir"]));
    assert!(
        line.contains("/no/such/dir does not exist (make it first"),
        "{line}"
    );
    let line = failure(&vistafs(&["mount", "/etc/passwd"]));
    assert!(line.contains("/etc/passwd is not a directory"), "{line}");
}

#[test]
fn a_mount_point_that_is_taken_is_busy() {
    require_privileged!();
    let mounted = Mounted::new();
    let root = mounted.root();
    let line = failure(&vistafs(&["mount", root.to_str().unwrap()]));
    assert!(
        line.contains("is busy: vistafs is already mounted there (unmount it first"),
        "{line}"
    );
    assert!(mounted.path("proc/stat").exists());
}

#[test]
fn without_the_device_the_remedy_is_told() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs none /dev && exec \"$0\" mount \"$1\"";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .arg(binary())
        .arg(dir.path())
        .output()
        .unwrap();
    let line = failure(&output);
    assert!(
        line.contains("cannot open /dev/fuse: No such file or directory"),
        "{line}"
    );
    assert!(line.contains("load the fuse module"), "{line}");
}

#[test]
fn not_root_is_told() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    // At a path where an unprivileged user can execute it.
    let copy = dir.path().join("vistafs");
    copy_program(&binary(), &copy);
    std::fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&copy)
        .args(["mount", "/mnt"])
        .output()
        .unwrap();
    let line = failure(&output);
    assert!(line.contains("needs root"), "{line}");
}

#[test]
fn mistakes_in_the_configuration_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    let name = file.to_str().unwrap();
    let views = |text: &str| {
        std::fs::write(&file, text).unwrap();
        failure(&vistafs(&["views", "--config", name]))
    };
    let line = views("[views]\n\ndisabel = []\n");
    assert!(
        line.contains("c.toml: line 3: unknown key `views.disabel` (did you mean `disable`?)"),
        "{line}"
    );
    let line = views("[views]\ndisable = [\"memifo\"]\n");
    assert!(
        line.contains("unknown view \"memifo\" (did you mean \"meminfo\"?"),
        "{line}"
    );
    let line = views("[view.loadavg]\nidle_seconds = 1\n");
    assert!(
        line.contains("option idle_seconds of view loadavg takes 5 to 86400, not 1"),
        "{line}"
    );
    let line = views("[view.stat]\nsteel = true\n");
    assert!(
        line.contains("view stat has no option steel (it has: steal, host_counters)"),
        "{line}"
    );
}

#[test]
fn verbose_tells_the_whole_chain() {
    let output = vistafs(&["-v", "show", "proc/meminfo", "--cgroup", "/no/such/cgroup"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        text.contains("no cgroup /no/such/cgroup in any hierarchy"),
        "{text}"
    );
    assert!(text.contains("because: "), "{text}");
}

#[test]
fn systemd_is_told_when_the_mount_answers() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(std::time::Duration::from_secs(10)))
        .unwrap();
    let mut mounted = Mounted::with(&MountOptions {
        env: vec![("NOTIFY_SOCKET".into(), path.to_str().unwrap().into())],
        ..MountOptions::default()
    });
    let mut buffer = [0; 256];
    let receive = |buffer: &mut [u8]| {
        let got = socket.recv(buffer).unwrap();
        String::from_utf8_lossy(&buffer[..got]).into_owned()
    };
    let message = receive(&mut buffer);
    assert!(message.contains("READY=1"), "{message}");
    assert!(!mounted.read("proc/uptime").is_empty());
    mounted.end(Signal::SIGTERM);
    assert!(receive(&mut buffer).contains("STOPPING=1"));
}

#[test]
fn the_journal_gets_priorities() {
    require_privileged!();
    // The shell sets the identity of its standard error, as systemd would.
    let script = "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$0\" \"$@\"";
    let mut mounted = Mounted::with(&MountOptions {
        wrapper: ["sh", "-c", script].map(String::from).to_vec(),
        ..MountOptions::default()
    });
    let said = mounted.hear("serving at");
    assert!(said.starts_with("<6>serving at "), "{said}");
}

#[test]
fn nothing_is_logged_per_request() {
    require_privileged!();
    let mut mounted = Mounted::new();
    for _ in 0..100 {
        let _ = mounted.read("proc/meminfo");
        let _ = std::fs::metadata(mounted.path("proc/nothing"));
    }
    let (_, messages) = mounted.end(Signal::SIGTERM);
    assert_eq!(messages.lines().count(), 2, "{messages}");
}

#[test]
fn a_view_that_is_disabled_is_not_there() {
    require_privileged!();
    let mounted = Mounted::with(&MountOptions {
        config: "[views]\ndisable = [\"stat\", \"sys-cpu\", \"sys-node\"]\n".into(),
        ..MountOptions::default()
    });
    assert!(mounted.path("proc/meminfo").exists());
    assert!(!mounted.path("proc/stat").exists());
    assert!(!mounted.path("sys").exists());
}

#[test]
fn unmounted_from_outside_it_ends_and_leaves_others_alone() {
    require_privileged!();
    let mut mounted = Mounted::new();
    let root = mounted.root();
    let umount = |path: &std::path::Path| Command::new("umount").arg(path).status().unwrap();
    assert!(umount(&root).success());
    let (status, messages) = mounted.wait();
    assert!(!status.success(), "{messages}");
    assert!(
        messages.contains("was unmounted by another process"),
        "{messages}"
    );

    // Another mount covers it: vistafs must not unmount that one.
    let mut mounted = Mounted::new();
    let root = mounted.root();
    let over = Command::new("mount")
        .args(["-t", "tmpfs", "none"])
        .arg(&root)
        .status()
        .unwrap();
    assert!(over.success());
    std::fs::write(root.join("theirs"), "x").unwrap();
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(
        status.success() && messages.contains("another file system is mounted there now"),
        "{messages}"
    );
    assert!(root.join("theirs").exists());
    assert!(umount(&root).success());
    assert!(
        Command::new("umount")
            .arg("-l")
            .arg(&root)
            .status()
            .unwrap()
            .success()
    );
}
