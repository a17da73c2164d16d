//! The systemd unit: the mount outlives restarts, crashes of both processes and reloads, and ends with a
//! stop. The readers are on the host and in LXC.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::require::resends;
use vistafs_tests::require_guest;
use vistafs_tests::stop_at_end::StopAtEnd;
use vistafs_tests::vistafs::{binary, children, printed, wait_until};

use crate::readers::{Readers, container, sees_itself};

const UNIT: &str = include_str!("../../../contrib/systemd/vistafs.service");
const PLACE: &str = "/run/systemd/system/vistafs.service";
const MOUNT: &str = "/var/lib/vistafs";
/// How often both processes are killed at the same time.
const KILLS: u32 = 3;
const READERS: usize = 2;

/// Number of restarts. A restart takes seconds on an emulated processor and does not depend on the layout, so
/// only one layout runs the full number.
fn restarts() -> u32 {
    let layout = std::env::var("VISTAFS_LAYOUT").unwrap();
    if layout == "v2-6.12" { 20 } else { 4 }
}

#[track_caller]
fn systemctl(args: &[&str]) -> String {
    printed(&Command::new("systemctl").args(args).output().unwrap())
}

fn main_pid() -> u32 {
    let pid = systemctl(&["show", "--property=MainPID", "--value", "vistafs"]);
    pid.trim().parse().unwrap()
}

/// The device number of the mount, if it is mounted.
fn device() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = text.lines().find(|line| line.contains(" fuse.vistafs "))?;
    Some(line.split(' ').nth(2).unwrap().to_owned())
}

/// One round of the reader on the host.
fn host_reads(kept: &File) -> std::io::Result<()> {
    let mut text = vec![0; 1 << 16];
    let got = kept.read_at(&mut text, 0)?;
    assert!(text[..got].starts_with(b"MemTotal:"));
    assert!(!std::fs::read(format!("{MOUNT}/proc/uptime"))?.is_empty());
    Ok(())
}

/// Whether an error is that of a request that the killed worker had in flight. Not expected if the kernel
/// resends requests: they are counted, and the test checks the count.
fn was_in_flight(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EIO))
}

/// Stops and removes the unit.
struct Service;

impl Service {
    fn install(program: &Path) -> Self {
        let unit = UNIT.replace("/usr/bin/vistafs", program.to_str().unwrap());
        std::fs::write(PLACE, unit).unwrap();
        let _ = systemctl(&["daemon-reload"]);
        Self
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let script = format!("systemctl stop vistafs; rm {PLACE}; systemctl daemon-reload");
        let _ = Command::new("sh").args(["-c", &script]).status();
        if std::thread::panicking() {
            let journal = Command::new("journalctl")
                .args(["--no-pager", "-u", "vistafs"])
                .output();
            eprintln!("{}", String::from_utf8_lossy(&journal.unwrap().stdout));
        }
    }
}

#[test]
fn the_mount_outlives_all_but_a_stop() {
    require_guest!();
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("vistafs");
    std::fs::copy(binary(), &program).unwrap();
    let _service = Service::install(&program);
    let _ = systemctl(&["start", "vistafs"]);
    let first = device();
    assert!(first.is_some());
    let container = container(Path::new(MOUNT));
    let kept = File::open(format!("{MOUNT}/proc/meminfo")).unwrap();
    let inside = Readers::start(&container, READERS);
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let interrupted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (stop, reads, kept, interrupted) = (&stop, &reads, &kept, &interrupted);
        scope.spawn(move || {
            let _stop = StopAtEnd(stop);
            while !stop.load(Ordering::Relaxed) {
                match host_reads(kept) {
                    Ok(()) => reads.fetch_add(1, Ordering::Relaxed),
                    Err(error) if was_in_flight(&error) => {
                        interrupted.fetch_add(1, Ordering::Relaxed)
                    }
                    Err(error) => panic!("on the host: {error}"),
                };
            }
        });
        let _stop = StopAtEnd(stop);
        let goes_on = |what: &str| {
            let (seen, rounds) = (reads.load(Ordering::Relaxed), inside.rounds());
            wait_until(&format!("readers go on after {what}"), || {
                stop.load(Ordering::Relaxed)
                    || reads.load(Ordering::Relaxed) > seen + 2 && inside.all_went_on(&rounds)
            });
            assert!(
                !stop.load(Ordering::Relaxed),
                "the reader failed after {what}"
            );
            assert_eq!(device(), first, "{what}");
        };
        goes_on("the start");
        let (restarts, begun) = (restarts(), Instant::now());
        for _ in 0..restarts {
            let _ = systemctl(&["restart", "vistafs"]);
            goes_on("a restart");
        }
        println!("{restarts} restarts took {:.1?}", begun.elapsed());
        let end = |pid: u32| kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        let supervisor = main_pid();
        end(supervisor).unwrap();
        wait_until("another supervisor runs", || {
            ![0, supervisor].contains(&main_pid())
        });
        goes_on("the end of the supervisor");
        for _ in 0..KILLS {
            let supervisor = main_pid();
            // The process that repairs containers has exited by then.
            wait_until("there is the worker alone", || {
                children(supervisor).len() == 1
            });
            let worker = children(supervisor)[0];
            end(supervisor).unwrap();
            // Systemd kills it too (KillMode=mixed), perhaps first.
            assert!(matches!(end(worker), Ok(()) | Err(Errno::ESRCH)));
            wait_until("another supervisor runs", || {
                ![0, supervisor].contains(&main_pid())
            });
            goes_on("the end of both");
        }
        let supervisor = main_pid();
        let _ = systemctl(&["reload", "vistafs"]);
        goes_on("a reload");
        std::fs::rename(&program, dir.path().join("aside")).unwrap();
        std::fs::copy("/bin/false", &program).unwrap();
        let reload = Command::new("systemctl")
            .args(["reload", "vistafs"])
            .status();
        assert!(!reload.unwrap().success());
        assert_eq!(main_pid(), supervisor);
        goes_on("a reload that fails");
        std::fs::rename(dir.path().join("aside"), &program).unwrap();
    });
    drop(kept);
    let (rounds, interrupted_inside) = inside.end(&container);
    let interrupted = interrupted.into_inner() + interrupted_inside;
    println!(
        "both killed {KILLS} times: {} reads on the host, {rounds} rounds in \
         LXC, {interrupted} more interrupted",
        reads.into_inner()
    );
    assert!(interrupted == 0 || !resends());
    let _ = systemctl(&["stop", "vistafs"]);
    assert_eq!(device(), None);
    assert_eq!(std::fs::read_dir(MOUNT).unwrap().count(), 0);
    assert!(!container.output("cat /proc/meminfo").status.success());
    let _ = systemctl(&["start", "vistafs"]);
    assert!(device().is_some());
    // At start, it repairs the mounts that the stop left in the container.
    wait_until("the container sees itself", || sees_itself(&container));
    let _ = systemctl(&["stop", "vistafs"]);
    assert_eq!(device(), None);
}
