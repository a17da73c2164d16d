//! Checks a container from start to end: the limits that it sees, and its reader while the worker is killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use vistafs_tests::vistafs::wait_for;

use crate::service::Service;

/// Prints the input of [`check_limits`].
pub(crate) const LIMITS: &str =
    "free -m; grep '^cpu[0-9]' /proc/stat; echo online $(cat /sys/devices/system/cpu/online)";

/// The container's command. Each round of the reader prints `ok`, or the wrong text. A line of input ends it.
pub(crate) const SCRIPT: &str = r#"
free -m; grep '^cpu[0-9]' /proc/stat; echo online $(cat /sys/devices/system/cpu/online)
grep ' /proc/meminfo ' /proc/self/mountinfo; echo ready
while text=$(free -m 2>&1; cat /proc/uptime /proc/stat /sys/devices/system/cpu/online 2>&1 || echo failed); do
    case $text in
    *failed* | *rror*) echo "failed: $text" ;;
    *Mem:\ *\ 256\ *cpu\ *) echo ok ;;
    *) echo "not its own: $text" ;;
    esac
done &
read -r _
kill $!
"#;

/// The limit of each container's memory in MiB.
const MEMORY: u64 = 256;

/// Timeout for starting a container: usually 15 s on a busy machine with an emulated processor.
const START: Duration = Duration::from_secs(300);
const END: Duration = Duration::from_secs(120);

/// How often the worker is killed while the reader runs.
const KILLS: u32 = 2;
/// Rounds of the reader that must follow each kill.
const ROUNDS: u32 = 3;

/// A container with piped standard streams.
pub(crate) struct Container {
    child: Child,
    lines: Receiver<String>,
    /// A file: processes of the host may keep it open after the command exits.
    stderr: NamedTempFile,
}

impl Container {
    pub(crate) fn start(command: &mut Command) -> Self {
        let stderr = NamedTempFile::new().unwrap();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.reopen().unwrap())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // After a failure the receiver is gone.
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            lines,
            stderr,
        }
    }

    /// The next line, or `None` at the end of the output.
    #[track_caller]
    fn line(&self, what: &str, most: Duration) -> Option<String> {
        match self.lines.recv_timeout(most) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no line for {most:?}: {what}: {}", self.messages())
            }
        }
    }

    /// The lines before `ready`.
    #[track_caller]
    pub(crate) fn description(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line("the container starts", START) {
                Some(line) if line == "ready" => return lines,
                Some(line) => lines.push(line),
                None => panic!("the container ended: {lines:?} {}", self.messages()),
            }
        }
    }

    /// Waits for a round of [`SCRIPT`] that shows the container its own limits; those before show the host's.
    #[track_caller]
    pub(crate) fn becomes_ok(&self, what: &str) {
        let started = Instant::now();
        while self.line(what, START).expect(what) != "ok" {
            assert!(started.elapsed() < START, "{what}: {}", self.messages());
        }
    }

    /// Waits for [`ROUNDS`] rounds that start after this call.
    #[track_caller]
    pub(crate) fn rounds(&self, what: &str) {
        while let Ok(line) = self.lines.try_recv() {
            assert_eq!(line, "ok", "{what}");
        }
        // The first of them may have started earlier.
        for _ in 0..=ROUNDS {
            let line = self.line(what, START);
            assert_eq!(line.as_deref(), Some("ok"), "{what}");
        }
    }

    /// Ends the script and the container.
    #[track_caller]
    pub(crate) fn end(mut self) {
        self.child
            .stdin
            .take()
            .unwrap()
            .write_all(b"end\n")
            .unwrap();
        let mut status = None;
        wait_for(END, "the container ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let messages = self.messages();
        assert!(status.unwrap().success(), "{}: {messages}", status.unwrap());
        while let Some(line) = self.line("the output ends", END) {
            assert_eq!(line, "ok", "at the end");
        }
    }

    /// The standard error of the host's command so far.
    fn messages(&self) -> String {
        std::fs::read_to_string(self.stderr.path()).unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Only needed after a failure; otherwise the child has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a container, checks the limits that it sees, kills the worker under its reader, and ends it.
#[track_caller]
pub(crate) fn check(host: &str, service: &Service, command: &mut Command) {
    let started = Instant::now();
    let container = Container::start(command);
    let lines = container.description();
    report(host, "started", started);
    let text = lines.join("\n");
    check_limits(&text);
    // The machine has two mounts, and lxcfs's hook: check that the views are from the tested mount.
    let device = device(&text, "/proc/meminfo");
    assert_eq!(device, service.device(), "{text}");
    container.rounds("before the worker is killed");
    for number in 1..=KILLS {
        service.kill_worker();
        container.rounds(&format!("after kill {number} of the worker"));
    }
    container.end();
    report(host, "ended", started);
}

/// The device number of the topmost mount at a path, from lines of /proc/PID/mountinfo.
#[track_caller]
pub(crate) fn device(mountinfo: &str, place: &str) -> String {
    let mut lines = mountinfo.lines().map(|line| line.split(' '));
    let mount = lines.rfind(|words| words.clone().nth(4) == Some(place));
    let device = mount.and_then(|mut words| words.nth(2));
    device
        .unwrap_or_else(|| panic!("nothing is mounted at {place}: {mountinfo}"))
        .to_owned()
}

/// Prints a duration to stdout directly: libtest hides the captured output of tests that pass.
pub(crate) fn report(host: &str, what: &str, since: Instant) {
    let took = since.elapsed();
    // A closed output must not fail the test.
    let _ = writeln!(std::io::stdout(), "{host}: {what} after {took:.1?}");
}

/// Checks for 256 MiB and one CPU in free(1), /proc/stat and the list of CPUs.
#[track_caller]
pub(crate) fn check_limits(text: &str) {
    let memory = text.lines().find_map(|line| line.strip_prefix("Mem:"));
    let total = memory.and_then(|rest| rest.split_whitespace().next());
    assert_eq!(total, Some(&*MEMORY.to_string()), "{text}");
    let cpus: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("cpu"))
        .filter_map(|rest| rest.split(' ').next())
        .collect();
    let online = text.lines().find_map(|line| line.strip_prefix("online "));
    assert_eq!(cpus.len(), 1, "{text}");
    assert_eq!(online, Some(cpus[0]), "{text}");
}
