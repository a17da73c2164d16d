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
        // One line for each hundred.
        let hundreds = BufReader::new(output).lines().map(Result::unwrap);
        let there = hundreds.take(processes.div_ceil(100) as usize).count();
        assert_eq!(there, processes.div_ceil(100) as usize);
        Self { shell }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
