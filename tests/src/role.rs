//! Roles: functions of this program that run as processes of their own, inside test containers.
//!
//! A test starts its own program again inside a container. The environment names the role and its arguments.
//! The process ends when its standard input ends, so no role outlives the test that started it, even if the
//! test is killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::container::TestContainer;

/// A name and the function that runs under it. The function receives its arguments and a receiver of the
/// lines that the test sends.
pub type Role = (&'static str, fn(&[String], &Receiver<String>));

/// The environment variable that holds the role and its arguments, separated by newlines.
const VARIABLE: &str = "VISTAFS_TEST_ROLE";
/// Separates what a role prints from what the test harness prints.
const MARK: &str = "role: ";

/// The shell line that becomes the role. Libtest needs the name of the test that calls [`play`].
pub const EXEC: &str = "exec \"$ROLE_PROGRAM\" $ROLE_ARGS";

/// Runs the role that the environment names and exits. Returns at once if it names none.
pub fn play(roles: &[Role]) {
    let Ok(words) = std::env::var(VARIABLE) else {
        return;
    };
    let mut words = words.split('\n').map(str::to_owned);
    let name = words.next().unwrap_or_default();
    let (_, run) = roles
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("no role {name:?}"));
    let (lines, received) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
        std::process::exit(0);
    });
    let args: Vec<String> = words.collect();
    run(&args, &received);
    std::process::exit(0);
}

/// Sends a line from a role to its test.
pub fn report(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "\n{MARK}{line}");
    let _ = out.flush();
}

/// A running role. Dropping it ends its standard input, and so the process.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// How to start a role.
#[derive(Debug, Default)]
pub struct Start<'a> {
    /// Arguments of the role.
    pub args: Vec<String>,
    /// Shell lines that run inside the container before the role. They end with [`EXEC`] or a variant of it;
    /// empty: [`EXEC`] alone.
    pub script: &'a str,
    /// Variables for the script.
    pub env: Vec<(&'a str, String)>,
}

impl Running {
    /// Starts a role in a container.
    #[must_use]
    #[track_caller]
    pub fn start(container: &TestContainer<'_>, role: &str, start: Start<'_>) -> Self {
        let script = if start.script.is_empty() {
            EXEC
        } else {
            start.script
        };
        let mut command = container.command(script);
        command.envs(start.env);
        Self::of(command, role, &start.args)
    }

    /// Starts a role by a command that runs [`EXEC`] in the end.
    #[must_use]
    #[track_caller]
    pub fn of(mut command: Command, role: &str, args: &[String]) -> Self {
        let words: Vec<&str> = std::iter::once(role)
            .chain(args.iter().map(String::as_str))
            .collect();
        // `isolation::role` calls `play`; a program without libtest ignores its arguments.
        let mut child = command
            .env(VARIABLE, words.join("\n"))
            .env("ROLE_PROGRAM", std::env::current_exe().unwrap())
            .env("ROLE_ARGS", "--exact isolation::role --nocapture")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || forward(output, |line| sender.send(line).is_ok()));
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    /// The PID of the first process, outside the container.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line to the role.
    pub fn send(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            // A role that has ended is noticed by the next line that does not come.
            let _ = writeln!(stdin, "{line}");
        }
    }

    /// The next line of the role. `None`: none came in that time.
    #[must_use]
    #[track_caller]
    pub fn line_within(&mut self, most: Duration) -> Option<String> {
        match self.lines.recv_timeout(most) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the role ended early: {:?}", self.child.wait())
            }
        }
    }

    /// Waits for that line, up to two minutes: an emulated processor may need them.
    #[track_caller]
    pub fn expect(&mut self, wanted: &str) {
        let line = self.line_within(Duration::from_secs(120));
        assert_eq!(line.as_deref(), Some(wanted));
    }

    /// Waits for the role's own end, and returns what it still has to say.
    #[must_use]
    pub fn rest(mut self) -> Vec<String> {
        let _ = self.child.wait();
        self.lines.iter().collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stdin = None;
        // A test that fails must not wait for a process that hangs in the kernel.
        if !std::thread::panicking() {
            let _ = self.child.wait();
        }
    }
}

fn forward(output: BufReader<ChildStdout>, mut send: impl FnMut(String) -> bool) {
    for line in output.lines().map_while(Result::ok) {
        if let Some(line) = line.strip_prefix(MARK)
            && !send(line.to_owned())
        {
            return;
        }
    }
}
