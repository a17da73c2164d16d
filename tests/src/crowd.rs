//! Idle processes, as many as are wanted, in no container.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const SCRIPT: &str = include_str!("crowd.sh");

/// Processes that do nothing until this is dropped.
#[derive(Debug)]
pub struct Crowd {
    shell: Child,
}

impl Crowd {
    /// Starts them; they are there when this returns.
    #[must_use]
    pub fn new(processes: u32) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, &processes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = shell.stdout.take().unwrap();
        BufReader::new(output)
            .read_line(&mut String::new())
            .unwrap();
        Self { shell }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
