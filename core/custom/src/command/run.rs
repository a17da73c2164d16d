//! One run of a command.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use vistafs_host::{Inherited, spawn};

use super::CommandSpec;

/// Maximum length of the stored error output, bytes.
const MESSAGES: usize = 4096;

/// Returns the output, or an explanation of the failure.
pub(super) fn run(
    guard: &[OsString],
    spec: &CommandSpec,
    environment: Vec<(String, OsString)>,
    deadline: Instant,
) -> Result<Vec<u8>, String> {
    let words = guard
        .iter()
        .cloned()
        .chain(spec.argv.iter().map(OsString::from));
    let words: Vec<OsString> = words.collect();
    let (program, arguments) = words.split_first().ok_or("no program")?;
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let child = spawn(command, Inherited::default())
        .map_err(|error| format!("cannot be started: {error}"))?;
    let mut running = Running(child);
    let read = running.read(spec, deadline);
    // Before it is reaped: until then its ID is not reused.
    running.kill();
    let status = running
        .0
        .wait()
        .map_err(|error| format!("cannot be waited for: {error}"))?;
    let (printed, messages) = read?;
    if status.success() {
        return Ok(printed);
    }
    let messages = String::from_utf8_lossy(&messages);
    let first = messages.lines().next().unwrap_or_default().trim();
    Err(format!("{status}: {}", first.escape_debug()))
}

/// A child that is killed with its process group at drop.
struct Running(Child);

impl Running {
    fn kill(&self) {
        let number = i32::try_from(self.0.id()).ok();
        if let Some(group) = number.and_then(Pid::from_raw) {
            // The group may be empty.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Reads until the child has ended.
    fn read(
        &mut self,
        spec: &CommandSpec,
        deadline: Instant,
    ) -> Result<(Vec<u8>, Vec<u8>), String> {
        let failed = |errno: Errno| format!("cannot be read from: {errno}");
        let number = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let number = number.ok_or("it has no number")?;
        let ended = pidfd_open(number, PidfdFlags::empty()).map_err(failed)?;
        let mut pipes = [
            Pipe::new(self.0.stdout.take().map(OwnedFd::from), spec.max_bytes)?,
            Pipe::new(self.0.stderr.take().map(OwnedFd::from), MESSAGES)?,
        ];
        loop {
            let has_ended = self.wait(&ended, &pipes, deadline)?;
            for pipe in &mut pipes {
                pipe.take_all().map_err(failed)?;
            }
            if pipes[0].is_full() {
                return Err(format!("prints more than {} bytes", spec.max_bytes));
            }
            if has_ended {
                // Descendants that still run are not waited for.
                let [printed, messages] = pipes;
                return Ok((printed.text, messages.text));
            }
        }
    }

    /// Waits for output; `true`: the child has ended.
    fn wait(&self, ended: &OwnedFd, pipes: &[Pipe; 2], deadline: Instant) -> Result<bool, String> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("takes too long".into());
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = vec![PollFd::new(ended, PollFlags::IN)];
        let open = pipes.iter().filter(|pipe| !pipe.closed);
        fds.extend(open.map(|pipe| PollFd::from_borrowed_fd(pipe.end.as_fd(), PollFlags::IN)));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(!fds[0].revents().is_empty()),
            Err(errno) => Err(format!("cannot be waited for: {errno}")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.0.wait();
        }
    }
}

/// A pipe that the child writes to.
struct Pipe {
    end: OwnedFd,
    text: Vec<u8>,
    most: usize,
    closed: bool,
}

impl Pipe {
    fn new(end: Option<OwnedFd>, most: usize) -> Result<Self, String> {
        let end = end.ok_or("its output is not there")?;
        rustix::io::ioctl_fionbio(&end, true).map_err(|errno| errno.to_string())?;
        Ok(Self {
            end,
            text: Vec::new(),
            most,
            closed: false,
        })
    }

    fn is_full(&self) -> bool {
        self.text.len() > self.most
    }

    /// Reads the available output. One byte beyond the limit is stored, to detect the excess.
    fn take_all(&mut self) -> Result<(), Errno> {
        while !self.closed {
            self.text.reserve(4096);
            match rustix::io::read(&self.end, spare_capacity(&mut self.text)) {
                Ok(0) => self.closed = true,
                Ok(_) if self.is_full() => {
                    self.text.truncate(self.most + 1);
                    return Ok(());
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn printed(script: &str) -> Result<String, String> {
        let spec = CommandSpec {
            argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            user: "nobody".into(),
            timeout: Duration::from_secs(10),
            max_bytes: 100_000,
            cache: Duration::ZERO,
        };
        let environment = vec![("VISTAFS_X".to_owned(), "y".into())];
        let text = run(&[], &spec, environment, Instant::now() + spec.timeout)?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn the_output_is_shown() {
        assert_eq!(printed("echo a; echo b >&2").unwrap(), "a\n");
        assert_eq!(printed(":").unwrap(), "");
        assert_eq!(printed("echo \"$VISTAFS_X$HOME\"").unwrap(), "y\n");
        let exact = "head -c 100000 /dev/zero";
        assert_eq!(printed(exact).unwrap().len(), 100_000);
        // Error output has no limit.
        assert_eq!(
            printed("head -c 1000000 /dev/zero >&2; echo a").unwrap_or_default(),
            "a\n"
        );
    }

    /// The command inherits neither vistafs's signal mask, which blocks SIGTERM, nor its
    /// descriptors.
    #[test]
    fn the_command_inherits_no_signal_mask_and_no_descriptor() {
        use rustix::io::{FdFlags, fcntl_setfd};
        use std::os::fd::AsRawFd;
        nix::sys::signal::SigSet::all().thread_block().unwrap();
        let script = "sleep 100 & p=$!; kill $p; wait $p; echo status $?";
        assert_eq!(printed(script).unwrap(), "status 143\n");
        let stray = std::fs::File::open("/dev/null").unwrap();
        fcntl_setfd(&stray, FdFlags::empty()).unwrap();
        let script = format!("test -e /proc/self/fd/{} || echo closed", stray.as_raw_fd());
        assert_eq!(printed(&script).unwrap(), "closed\n");
    }

    #[test]
    fn a_failure_is_reported_in_one_line() {
        let why = printed("echo one; printf 'no\\tway\\nat all\\n' >&2; exit 3").unwrap_err();
        assert_eq!(why, "exit status: 3: no\\tway");
        assert!(printed("kill -9 $$").unwrap_err().contains("signal: 9"));
        let spec = CommandSpec {
            argv: vec!["/no/such/program".into()],
            user: "nobody".into(),
            timeout: Duration::from_secs(1),
            max_bytes: 1,
            cache: Duration::ZERO,
        };
        let why = run(&[], &spec, vec![], Instant::now() + spec.timeout).unwrap_err();
        assert!(why.contains("cannot be started"), "{why}");
    }

    #[test]
    fn a_command_that_prints_too_much_is_killed() {
        assert_eq!(
            printed("exec cat /dev/zero").unwrap_err(),
            "prints more than 100000 bytes"
        );
        assert_eq!(
            printed("head -c 100001 /dev/zero").unwrap_err(),
            "prints more than 100000 bytes"
        );
    }

    #[test]
    fn a_timeout_kills_the_process_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let began = Instant::now();
        let script = format!("sleep 100 & echo $! > {}; wait", file.display());
        assert_eq!(printed(&script).unwrap_err(), "takes too long");
        assert!(began.elapsed() < Duration::from_secs(20));
        let pid = std::fs::read_to_string(&file).unwrap();
        let status = format!("/proc/{}/stat", pid.trim());
        let is_gone = || {
            let text = std::fs::read_to_string(&status);
            text.map_or(true, |text| text.contains(") Z "))
        };
        while !is_gone() {
            assert!(began.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn surviving_descendants_are_not_waited_for() {
        let began = Instant::now();
        assert_eq!(printed("sleep 100 & echo a").unwrap(), "a\n");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
