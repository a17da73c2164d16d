//! Reloading the configuration while files are open and read.

use std::io::{ErrorKind, Read, Seek};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted, children, printed, vistafs, wait_until};

use crate::custom_files;

fn mounted(config: &str) -> Mounted {
    Mounted::with(&MountOptions {
        config: config.into(),
        ..MountOptions::default()
    })
}

fn write(mounted: &Mounted, config: &str) {
    std::fs::write(mounted.root().with_file_name("config.toml"), config).unwrap();
}

fn reload(mounted: &Mounted) -> std::process::Output {
    let mut output = None;
    wait_until("no other exchange is under way", || {
        let told = vistafs(&["reload", "--mount", mounted.root().to_str().unwrap()]);
        let is_busy = String::from_utf8_lossy(&told.stderr).contains("another exchange");
        output = Some(told);
        !is_busy
    });
    output.unwrap()
}

fn hang_up(mounted: &Mounted) {
    let supervisor = Pid::from_raw(mounted.supervisor().cast_signed());
    kill(supervisor, Signal::SIGHUP).unwrap();
}

#[test]
fn files_go_and_come_with_the_configuration() {
    require_privileged!();
    let mounted = mounted("");
    let (supervisor, worker) = (mounted.supervisor(), mounted.pid());
    let mut held = std::fs::File::open(mounted.path("proc/stat")).unwrap();
    let mut text = String::new();
    held.read_to_string(&mut text).unwrap();
    // Also after a look-up that failed.
    let missing = |below: &str| {
        let found = std::fs::metadata(mounted.path(below));
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    assert!(missing("proc/softirqs"));

    write(
        &mounted,
        "[views]\ndisable = [\"stat\"]\nenable = [\"softirqs\"]\n",
    );
    hang_up(&mounted);
    wait_until("the file has come", || {
        mounted.path("proc/softirqs").exists()
    });
    // Both workers may answer until the old one has exited.
    wait_until("the worker before has left", || {
        !children(supervisor).contains(&worker)
    });
    // The kernel caches attributes for a second, and a look-up in the meantime renews them.
    wait_until("the file has gone", || missing("proc/stat"));
    held.rewind().unwrap();
    let error = held.read_to_string(&mut text).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::ESTALE as i32));
    let names = std::fs::read_dir(mounted.path("proc")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name == "softirqs"), "{names:?}");
    assert!(!names.iter().any(|name| name == "stat"), "{names:?}");
    assert_eq!(mounted.supervisor(), supervisor);

    write(&mounted, "");
    let told = printed(&reload(&mounted));
    assert!(
        told.contains("the new configuration is in effect"),
        "{told}"
    );
    assert!(mounted.read("proc/stat").starts_with("cpu "));
    held.rewind().unwrap();
    text.clear();
    held.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("cpu "), "{text}");
}

#[test]
fn a_bad_configuration_changes_nothing_not_even_after_a_crash() {
    require_privileged!();
    let mut mounted = mounted("[views]\ndisable = [\"stat\"]\n");
    let worker = mounted.pid();
    for (bad, expected) in [
        (
            "[views]\n\nenabel = []\n",
            "line 3: unknown key `views.enabel`",
        ),
        (
            "[views]\nenable = [\"nosuch\"]\n",
            "line 2: unknown view \"nosuch\"",
        ),
        ("[", "line 1"),
    ] {
        write(&mounted, bad);
        let output = reload(&mounted);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("is unchanged"), "{message}");
        assert_eq!(mounted.pid(), worker);
    }
    // A replacement after a crash uses the configuration of the crashed worker.
    kill(Pid::from_raw(worker.cast_signed()), Signal::SIGKILL).unwrap();
    // Wait: the old worker may still read a request, which would be lost if the kernel does not resend.
    wait_until("there is another", || mounted.pid() != worker);
    assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
    assert!(!mounted.path("proc/stat").exists());
    // A signal has no reply; the result is in the log.
    let worker = mounted.pid();
    hang_up(&mounted);
    assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
    let (status, messages) = {
        // The next request is handled after the signal.
        let status = vistafs(&[
            "views",
            "--restore",
            "x",
            "--mount",
            mounted.root().to_str().unwrap(),
        ]);
        assert!(!status.status.success());
        wait_until("the next worker has failed", || {
            vistafs_tests::vistafs::children(mounted.supervisor()) == [worker]
        });
        mounted.end(Signal::SIGTERM)
    };
    assert!(status.success(), "{status}");
    assert!(messages.matches("not reloaded").count() >= 3, "{messages}");
}

#[test]
fn nobody_notices_a_reload() {
    require_privileged!();
    let mounted = mounted("");
    let path = mounted.path("proc/meminfo");
    let ended = AtomicBool::new(false);
    let read = |path: &Path| {
        let kept = std::fs::File::open(path).unwrap();
        let (mut reads, mut buffer) = (0, [0; 8192]);
        while !ended.load(Ordering::Relaxed) {
            let text = std::fs::read(path).unwrap();
            assert!(text.starts_with(b"MemTotal:"));
            let got = kept.read_at(&mut buffer, 0).unwrap();
            assert!(buffer[..got].starts_with(b"MemTotal:"));
            reads += 1;
        }
        reads
    };
    let reads = std::thread::scope(|scope| {
        let readers = [(); 3].map(|()| scope.spawn(|| read(&path)));
        for round in 0..4 {
            write(&mounted, &format!("[host]\nttl_ms = {round}\n"));
            let _ = printed(&reload(&mounted));
        }
        ended.store(true, Ordering::Relaxed);
        readers.map(|reader| reader.join().unwrap())
    });
    assert!(reads.iter().all(|reads| *reads > 0), "{reads:?}");
}

/// A draining worker does not wait forever for slow requests, whether its own or left by its predecessor; the
/// reader does not notice.
#[test]
fn what_a_worker_leaves_undone_is_answered_by_the_next() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let begun = dir.path().join("begun");
    let script = format!("echo >>{} && sleep 20 && echo done", begun.display());
    let mounted =
        custom_files::mounted(custom_files::command("slow", &script, "timeout_ms = 60000"));
    let times = || std::fs::read(&begun).map_or(0, |lines| lines.len());
    let slow = mounted.path("proc/site/slow");
    let reader = std::thread::spawn(move || std::fs::read_to_string(slow));
    for already in 0..3 {
        wait_until("the command runs", || times() > already);
        if already < 2 {
            let _ = printed(&reload(&mounted));
        }
    }
    wait_until("the reader has its answer", || reader.is_finished());
    assert_eq!(reader.join().unwrap().unwrap(), "done\n");
    assert_eq!(times(), 3);
}
