//! Installs cargo-nextest if it is missing, runs it, and reads its report.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::report::tail;
use crate::outcome::{Failure, Outcome};
use crate::run;

/// The version to install. Any version from 0.9.100 on works.
const VERSION: &str = "0.9.143";
/// Tests wait most of the time, so more of them run at once than there are processors: here and in guests.
pub(crate) const TEST_THREADS: u32 = 4;
/// Lines of a failed test's output in the report.
const OUTPUT_LINES: usize = 40;
/// Number of slowest tests that a suite lists.
const SLOWEST: usize = 10;

/// Returns cargo-nextest, installed below `target` if it is not in PATH.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(path) = run::find("cargo-nextest") {
        return Ok(path);
    }
    let root = run::workspace().join("target/tools");
    let program = root.join("bin/cargo-nextest");
    if !program.is_file() {
        let mut install = run::cargo(&["install", "--locked", "cargo-nextest", "--version"]);
        install.arg(VERSION).arg("--root").arg(&root);
        run::progress("installing cargo-nextest");
        if !run::loud(&mut install)?.success() {
            bail!("cargo-nextest: not installed (cargo install cargo-nextest --locked)");
        }
    }
    Ok(program)
}

/// The path of nextest's report of the workspace's last run.
pub(crate) fn report_path() -> PathBuf {
    run::workspace().join("target/nextest/default/junit.xml")
}

/// Runs the tests that match a filter on this machine. `repeat` is the command that runs one of them alone,
/// without its name.
pub(crate) fn run_here(
    filter: &str,
    repeat: &str,
    environment: impl FnOnce(&mut Command),
) -> Result<Outcome> {
    let report = report_path();
    if report.is_file() {
        fs::remove_file(&report)?;
    }
    let mut command = Command::new(program()?);
    command
        .args(["nextest", "run", "--workspace", "--color", "never"])
        .args(["--no-tests", "pass", "-E", filter])
        .args(["--test-threads", &TEST_THREADS.to_string()])
        .current_dir(run::workspace());
    environment(&mut command);
    let skips = run::workspace().join("target/test/skipped");
    fs::write(&skips, "")?;
    command.env("VISTAFS_SKIP_LOG", &skips);
    if run::is_ci() {
        command.env("VISTAFS_REQUIRE", "1");
    }
    // nextest prints its progress to the standard error output.
    let status = run::teed_stderr(&mut command, show_progress)?;
    outcome(
        &report,
        &fs::read_to_string(&skips)?,
        status.success(),
        repeat,
    )
}

/// Shows "12/250" from nextest's line for a finished test as the progress of the suite.
pub(crate) fn show_progress(line: &str) {
    if let Some(progress) = progress_of(line) {
        run::set_progress(&progress);
    }
}

/// "        PASS [   0.004s] ( 12/539) vistafs-text cpu_set::tests::..."
fn progress_of(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("] (")?;
    let (counts, _) = rest.split_once(')')?;
    let (done, all) = counts.split_once('/')?;
    let number = |text: &str| text.trim().parse::<u32>().ok();
    Some(format!("{}/{}", number(done)?, number(all)?))
}

/// The result of a run, from nextest's report and the log of skips.
pub(crate) fn outcome(
    report: &Path,
    skips: &str,
    succeeded: bool,
    repeat: &str,
) -> Result<Outcome> {
    let Ok(text) = fs::read_to_string(report) else {
        if succeeded {
            // No test matches the filter.
            return Ok(Outcome::nothing());
        }
        return Ok(Outcome::of(false));
    };
    if let Some(log) = run::log() {
        log.keep_report(report)?;
    }
    let mut outcome =
        read_report(&text, repeat).with_context(|| format!("reading {}", report.display()))?;
    outcome.read_skips(skips);
    if !succeeded && outcome.counts.failed == 0 {
        outcome.counts.failed = 1;
    }
    Ok(outcome)
}

fn read_report(text: &str, repeat: &str) -> Result<Outcome> {
    let document = roxmltree::Document::parse(text)?;
    let mut outcome = Outcome::default();
    for case in document
        .descendants()
        .filter(|n| n.has_tag_name("testcase"))
    {
        let name = case.attribute("name").context("a test without a name")?;
        let seconds = case.attribute("time").and_then(|time| time.parse().ok());
        outcome
            .slowest
            .push((seconds.unwrap_or(0.0), name.to_owned()));
        let child = |tag: &str| case.children().find(|child| child.has_tag_name(tag));
        let Some(failure) = child("failure").or_else(|| child("error")) else {
            outcome.counts.passed += 1;
            continue;
        };
        outcome.counts.failed += 1;
        let texts = [child("system-out"), child("system-err")];
        let texts = texts.into_iter().flatten().filter_map(|node| node.text());
        let mut output = texts.collect::<Vec<_>>().join("\n");
        if output.trim().is_empty() {
            failure.text().unwrap_or_default().clone_into(&mut output);
        }
        let kind = failure.attribute("type").unwrap_or("failure");
        outcome.failures.push(Failure {
            name: format!("{name} ({kind})"),
            output: tail(output.trim_end(), OUTPUT_LINES),
            command: Some(format!("{repeat} {name}")),
        });
    }
    outcome.slowest.sort_by(|a, b| b.0.total_cmp(&a.0));
    outcome.slowest.truncate(SLOWEST);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_counted_and_quoted() {
        let text = "<testsuites><testsuite name='vistafs-tests::machine'>\
            <testcase name='a::good' time='0.5'></testcase>\
            <testcase name='a::bad' time='2'>\
            <failure type='test failure with exit code 101'>short</failure>\
            <system-out>one\ntwo &lt;3\n</system-out></testcase>\
            </testsuite></testsuites>";
        let outcome = read_report(text, "cargo xtask test --layout v1").unwrap();
        assert_eq!(outcome.counts.to_string(), "1 passed, 1 failed, 0 skipped");
        assert_eq!(outcome.slowest[0], (2.0, "a::bad".to_owned()));
        let failure = &outcome.failures[0];
        assert!(failure.name.starts_with("a::bad (test failure"));
        assert_eq!(failure.output, "one\ntwo <3");
        let command = failure.command.as_deref();
        assert_eq!(command, Some("cargo xtask test --layout v1 a::bad"));
    }

    #[test]
    fn progress_is_read_from_the_lines_of_nextest() {
        let line = "        PASS [   0.004s] (  1/539) vistafs-text a::b";
        assert_eq!(progress_of(line).as_deref(), Some("1/539"));
        assert_eq!(
            progress_of("    Starting 539 tests across 20 binaries"),
            None
        );
    }
}
