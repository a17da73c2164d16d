//! One supervisor hands the mount over to another process, and no reader notices.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require::rounds;
use vistafs_tests::require_privileged;
use vistafs_tests::stop_at_end::StopAtEnd;
use vistafs_tests::vistafs::{MountOptions, Mounted, binary, printed, vistafs, wait_until};

fn handing_over() -> MountOptions {
    MountOptions {
        args: vec!["--handover".into()],
        ..MountOptions::default()
    }
}

/// The control socket of a supervisor.
fn socket(mounted: &Mounted) -> String {
    let name = mounted.root().to_str().unwrap()[1..].replace('/', "-");
    format!("/run/vistafs/{name}.sock")
}

/// The answer to `status` at that socket.
fn status_of(mounted: &Mounted) -> Option<serde_json::Value> {
    let mut stream = UnixStream::connect(socket(mounted)).ok()?;
    stream.write_all(b"{\"ask\":\"status\"}\n").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// The supervisor behind that socket, once it knows that its worker answers; then its predecessor knows it
/// too.
fn serving(mounted: &Mounted) -> Option<u64> {
    let status = status_of(mounted)?;
    let serves = status["worker"]["serving"] == true;
    serves.then(|| status["supervisor"]["pid"].as_u64())?
}

fn terminate(mut old: Child) -> (std::process::ExitStatus, String) {
    kill(Pid::from_raw(old.id().cast_signed()), Signal::SIGTERM).unwrap();
    let mut said = String::new();
    let mut stderr = old.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    (old.wait().unwrap(), said)
}

/// Ends the container's reader, also on a panic.
struct EndInside<'a>(&'a Mounted);

impl Drop for EndInside<'_> {
    fn drop(&mut self) {
        let stop = self.0.root().with_file_name("stop");
        if let Err(error) = std::fs::write(stop, "") {
            eprintln!("the container's reader goes on: {error}");
        }
    }
}

/// Runs `act` while a kept descriptor, new descriptors and a container read; its argument waits until all
/// have made progress. Returns the number of reads.
fn under_load(mounted: &Mounted, act: impl FnOnce(&dyn Fn(&str))) -> u64 {
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 << 20);
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let inside = TestContainer::new(mounted, &cgroup).spawn(
        "until [ -e \"$M/../stop\" ]; do grep -q 'MemTotal: *65536 kB' /proc/meminfo || exit 3; \
         cat /proc/stat /proc/uptime >/dev/null || exit 4; \
         ls /sys/devices/system/cpu >/dev/null || exit 5; done",
    );
    let end = EndInside(mounted);
    std::thread::scope(|scope| {
        let (stop, reads) = (&stop, &reads);
        for kept in [true, false, false] {
            scope.spawn(move || {
                let _stop = StopAtEnd(stop);
                let path = mounted.path("proc/meminfo");
                let first = File::open(&path).unwrap();
                let mut text = vec![0; 1 << 16];
                while !stop.load(Ordering::Relaxed) {
                    let fresh = (!kept).then(|| File::open(&path).unwrap());
                    let file = fresh.as_ref().unwrap_or(&first);
                    let got = file.read_at(&mut text, 0).unwrap();
                    assert!(text[..got].starts_with(b"MemTotal:"));
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stop = StopAtEnd(stop);
        act(&|what| {
            let seen = reads.load(Ordering::Relaxed);
            wait_until(&format!("readers go on {what}"), || {
                reads.load(Ordering::Relaxed) > seen + 6 || stop.load(Ordering::Relaxed)
            });
            assert!(!stop.load(Ordering::Relaxed), "a reader has failed {what}");
        });
    });
    drop(end);
    let _ = printed(&inside.wait_with_output().unwrap());
    reads.into_inner()
}

#[test]
fn nobody_notices_that_the_mount_is_handed_over() {
    require_privileged!();
    let mut mounted = Mounted::with(&handing_over());
    let inode = |mounted: &Mounted| {
        std::os::unix::fs::MetadataExt::dev(&std::fs::metadata(mounted.root()).unwrap())
    };
    let device = inode(&mounted);
    let times = (rounds(80) / 10).max(3);
    // The holder of the mount is replaced; the readers keep the mount itself.
    let readers = mounted.for_readers();
    let mut longest = Duration::ZERO;
    let reads = under_load(&readers, |go_on| {
        go_on("at first");
        for time in 0..times {
            let options = MountOptions {
                // Like a pod, with private mounts; the last one must unmount for all.
                wrapper: if time % 2 == 0 && time + 1 < times {
                    ["unshare", "-m"].map(Into::into).to_vec()
                } else {
                    Vec::new()
                },
                ..handing_over()
            };
            let begun = Instant::now();
            let old = mounted.succeed(&options);
            wait_until("the new one serves", || {
                serving(&mounted) == Some(mounted.supervisor().into())
            });
            longest = longest.max(begun.elapsed());
            go_on("after a succession");
            // The old supervisor waits for SIGTERM, and then leaves the mount alone.
            let (status, said) = terminate(old);
            assert!(status.success(), "{status}: {said}");
            assert!(said.contains("another vistafs serves it"), "{said}");
            go_on("after the end of the old one");
            assert_eq!(inode(&mounted), device);
        }
    });
    println!("{times} successions, the longest {longest:?}: {reads} reads");
    let (status, said) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    assert!(!mounted.path("proc").exists());
}

#[test]
fn status_shows_when_the_new_supervisor_started() {
    require_privileged!();
    let mut mounted = Mounted::with(&handing_over());
    let seconds = |status: &serde_json::Value| {
        let since = |value: &serde_json::Value| value.as_u64().unwrap();
        (
            since(&status["mounted_since"]),
            since(&status["supervisor"]["since"]),
        )
    };
    let (mounted_since, first) = seconds(&status_of(&mounted).unwrap());
    let now = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_secs()
    };
    // The times are in seconds.
    wait_until("the clock has moved on", || now() > first);
    let old = mounted.succeed(&handing_over());
    wait_until("the new one serves", || {
        serving(&mounted) == Some(mounted.supervisor().into())
    });
    let (still_since, second) = seconds(&status_of(&mounted).unwrap());
    assert_eq!(still_since, mounted_since);
    assert!(second > first && second <= now());
    let metric = format!("vistafs_supervisor_start_time_seconds {second}");
    assert!(mounted.read("metrics").contains(&metric));
    assert!(terminate(old).0.success());
}

#[test]
fn a_successor_that_fails_changes_nothing() {
    require_privileged!();
    let mounted = Mounted::with(&handing_over());
    let supervisor = Some(mounted.supervisor().into());
    let readers = mounted.for_readers();
    let _ = under_load(&readers, |go_on| {
        // A successor whose worker cannot serve.
        let config = tempfile::tempdir().unwrap();
        let config = config.path().join("not there.toml");
        let root = mounted.root();
        let arguments = ["mount", "--handover", "--config", config.to_str().unwrap()];
        let output = vistafs(&[&arguments[..], &[root.to_str().unwrap()]].concat());
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("not there.toml"), "{said}");
        go_on("after one that cannot serve");
        assert_eq!(serving(&mounted), supervisor);

        // One that exits before it takes over, one that exits when it could, one that sends garbage.
        let socket = socket(&mounted);
        for words in [&[][..], &["take"], &["serving"], &["\0"]] {
            let stream = UnixStream::connect(&socket).unwrap();
            (&stream).write_all(b"{\"ask\":\"hand-over\"}\n").unwrap();
            let mut answers = BufReader::new(&stream).lines();
            let state = answers.next().unwrap().unwrap();
            assert!(state.contains("\"descriptors\":[\"device\""), "{state}");
            for word in words {
                writeln!(&stream, "{{\"say\":\"{word}\"}}").unwrap();
                if *word == "take" {
                    let yours = answers.next().unwrap().unwrap();
                    assert!(yours.contains("yours"), "{yours}");
                }
            }
            drop(answers);
            drop(stream);
            wait_until("the first one serves", || serving(&mounted) == supervisor);
            go_on("after one that gave up");
        }
    });
}

#[test]
fn who_may_not_be_asked_is_not() {
    require_privileged!();
    let mounted = Mounted::new();
    let root = mounted.root();
    // Without the option, an existing mount is left alone, as before.
    let output = vistafs(&["mount", root.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("busy"), "{said}");
    let stored = vistafs(&["mount", "--handover", "--stored", root.to_str().unwrap()]);
    assert_eq!(stored.status.code(), Some(2));
}

#[test]
fn the_first_one_has_nobody_to_ask_and_makes_its_directory() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b");
    let mount = deep.to_str().unwrap();
    let mut child = Command::new(binary())
        .args(["mount", "--handover", "--mkdir", "--no-repair", mount])
        .spawn()
        .unwrap();
    wait_until("it serves", || {
        vistafs(&["status", "--mount", mount]).status.success()
    });
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(deep.is_dir() && !deep.join("proc").exists());
}
