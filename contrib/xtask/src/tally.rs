//! Counting: what passed, failed and was skipped, per step and in all.
//!
//! A skip is never silent: it is counted, and its reason is printed at the end. So is what a failed
//! test said first, and which tests had begun and not ended: of a long log the end alone may be left.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::run;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// What came of one step.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    counts: Counts,
    /// Why something was skipped or failed, one line each.
    notes: Vec<String>,
    /// Of the output of a failed test, how many more lines become notes.
    quoted: usize,
    /// The tests that run for long.
    slow: BTreeSet<String>,
}

/// So many lines of a failed test's output say what it was.
const QUOTED: usize = 12;

impl Outcome {
    /// Of something that is one piece, such as a lint.
    pub(crate) fn of(success: bool) -> Outcome {
        let mut outcome = Outcome::default();
        if success {
            outcome.counts.passed = 1;
        } else {
            outcome.counts.failed = 1;
        }
        outcome
    }

    /// A prerequisite is missing: a skip where a person sees it, a failure in CI.
    pub(crate) fn missing(reason: String) -> Outcome {
        let mut outcome = Outcome::default();
        if run::is_ci() {
            outcome.counts.failed = 1;
        } else {
            outcome.counts.skipped = 1;
        }
        outcome.notes.push(reason);
        outcome
    }

    /// Nothing was done, as nothing was to do.
    pub(crate) fn nothing() -> Outcome {
        Outcome::default()
    }

    /// Reads a line of a libtest program: each program ends with one line of counts.
    pub(crate) fn read_libtest(&mut self, line: &str) {
        self.read_names(line.trim_end());
        let Some(counts) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        // "ok. 5 passed; 0 failed; 1 ignored; 0 measured; ..."
        for part in counts.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else {
                continue;
            };
            match what {
                "passed" => self.counts.passed += number,
                "failed" => self.counts.failed += number,
                "ignored" => self.counts.skipped += number,
                _ => {}
            }
        }
    }

    /// "test a::b has been running for over 60 seconds", "test a::b ... ok", "---- a::b stdout ----".
    fn read_names(&mut self, line: &str) {
        if self.quoted > 0 {
            self.quoted -= 1;
            if !line.is_empty() {
                self.notes.push(format!("    {line}"));
            }
        }
        if let Some(name) = line.strip_prefix("---- ") {
            let name = name.trim_end_matches(" stdout ----");
            self.notes.push(format!("{name} failed:"));
            self.quoted = QUOTED;
        }
        let Some(test) = line.strip_prefix("test ") else {
            return;
        };
        if let Some((name, _)) = test.split_once(" has been running for over ") {
            self.slow.insert(name.to_owned());
        } else if let Some((name, _)) = test.split_once(" ... ") {
            self.slow.remove(name);
        }
    }

    /// Reads the log of the tests that ended early as something was missing. libtest has no word for
    /// that and counted them as passed.
    pub(crate) fn read_skips(&mut self, log: &str) {
        for line in log.lines().filter(|line| !line.is_empty()) {
            self.counts.passed = self.counts.passed.saturating_sub(1);
            self.counts.skipped += 1;
            self.notes.push(line.to_string());
        }
    }

    /// Takes the exit status into account: a program may fail without a failed test, as when it does
    /// not compile.
    pub(crate) fn end(&mut self, success: bool) {
        if !success && self.counts.failed == 0 {
            self.counts.failed = 1;
        }
        let hung = std::mem::take(&mut self.slow);
        let hung = hung.into_iter().map(|name| format!("{name} has not ended"));
        self.notes.extend(hung);
    }
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Report {
    steps: Vec<(String, Outcome, Duration)>,
}

impl Report {
    /// Runs a step. An error is a failure of that step, and the next one goes on.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Result<Outcome>) {
        println!("\n== {name}");
        let started = Instant::now();
        let outcome = step().unwrap_or_else(|error| {
            let error = format!("{error:#}");
            eprintln!("{name}: {error}");
            let mut outcome = Outcome::of(false);
            outcome
                .notes
                .extend(error.lines().next_back().map(String::from));
            outcome
        });
        let took = started.elapsed();
        self.steps.push((name.to_string(), outcome, took));
    }

    /// Prints the table and the last line; returns whether nothing failed.
    pub(crate) fn print(&self) -> bool {
        println!(
            "\n{:24} {:>8} {:>8} {:>8} {:>8}",
            "step", "seconds", "passed", "failed", "skipped"
        );
        let mut all = Counts::default();
        for (name, outcome, took) in &self.steps {
            let Counts {
                passed,
                failed,
                skipped,
            } = outcome.counts;
            let seconds = took.as_secs_f32();
            println!("{name:24} {seconds:>8.1} {passed:>8} {failed:>8} {skipped:>8}");
            all += outcome.counts;
        }
        for (name, outcome, _) in &self.steps {
            for note in &outcome.notes {
                println!("{name}: {note}");
            }
        }
        println!("{all}");
        all.failed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Outcome};

    #[test]
    fn libtest_lines_are_added_up() {
        let mut outcome = Outcome::default();
        outcome.read_libtest("running 6 tests");
        outcome.read_libtest(
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; \
             finished in 0.01s",
        );
        outcome.read_libtest("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured");
        outcome.read_skips("mounts_in_lxc: no lxc-execute\n");
        outcome.end(false);
        assert_eq!(
            outcome.counts,
            Counts {
                passed: 5,
                failed: 2,
                skipped: 2
            }
        );
        assert_eq!(outcome.counts.to_string(), "5 passed, 2 failed, 2 skipped");
    }

    #[test]
    fn what_failed_and_what_has_not_ended_is_told() {
        let mut outcome = Outcome::default();
        for line in [
            "test a::slow has been running for over 60 seconds",
            "test a::hung has been running for over 60 seconds",
            "test a::slow ... ok",
            "test a::bad ... FAILED",
            "---- a::bad stdout ----",
            "",
            "assertion failed: 1 == 2",
        ] {
            outcome.read_libtest(line);
        }
        outcome.end(false);
        let expected = [
            "a::bad failed:",
            "    assertion failed: 1 == 2",
            "a::hung has not ended",
        ];
        assert_eq!(outcome.notes, expected);
    }

    #[test]
    fn a_failure_without_a_failed_test_counts() {
        let mut outcome = Outcome::default();
        outcome.end(false);
        assert_eq!(outcome.counts.failed, 1);
    }
}
