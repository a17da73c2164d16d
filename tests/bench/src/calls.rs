//! Counts the system calls of a server for one read with strace(1).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::container::Container;
use crate::job::{Job, Length};

const READS: u64 = 300;

/// Returns the system calls per read, in hundredths. `None`: strace is not installed.
pub(crate) fn per_read(
    container: &mut Container,
    job: &Job,
    pids: &[u32],
    work: &Path,
) -> Result<Option<u64>> {
    let counts = work.join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o"]).arg(&counts);
    for pid in pids {
        strace.args(["-p", &pid.to_string()]);
    }
    let Ok(mut strace) = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return Ok(None);
    };
    // It prints nothing when it has attached.
    sleep(Duration::from_millis(300));
    let job = Job {
        length: Length::Reads(READS),
        ..job.clone()
    };
    let done = container.run(&job);
    let pid = rustix::process::Pid::from_child(&strace);
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    strace.wait()?;
    let reads = done?.each.len() as u64;
    let text = fs::read_to_string(&counts).context("strace has written nothing")?;
    Ok(total(&text).map(|calls| calls * 100 / reads.max(1)))
}

/// Parses the last line: `100.00 SECONDS USECS CALLS ERRORS total`.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().rfind(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                     99.00    0.080000          88       901           read\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.080122          40      1802         1 total\n";
        assert_eq!(total(text), Some(1802));
        assert_eq!(total(""), None);
    }
}
