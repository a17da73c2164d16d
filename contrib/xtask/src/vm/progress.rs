//! Prints a line for each step of a long command, so that a build of minutes shows progress.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run;

/// Prints a step of the build of that image, with the time since its start.
pub(super) fn step(name: &str, started: Instant, step: &str) {
    run::progress(&format!(
        "vm: {name}: {:4.0} s: {step}",
        started.elapsed().as_secs_f32()
    ));
}

/// Runs a command and prints each line of its standard error that begins with `I: ` (mmdebstrap) as a step.
/// The rest is shown if the command fails.
pub(super) fn follow(name: &str, started: Instant, command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {program}"))?;
    let mut log = String::new();
    let stderr = child.stderr.take().context("no standard error")?;
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        match line.strip_prefix("I: ") {
            Some(text) if text.ends_with("...") => step(name, started, text.trim_end_matches('.')),
            _ => {
                log.push_str(&line);
                log.push('\n');
            }
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{program}: {status}\n{log}");
    }
    Ok(())
}
