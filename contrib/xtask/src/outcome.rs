//! The result of one suite: passed, failed and skipped tests, and the reasons.
//!
//! A skip is never silent: it is counted, and its reason is printed at the end.

use std::fmt;
use std::ops::AddAssign;

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

/// The result of one suite.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    pub(crate) failures: Vec<Failure>,
    /// The reasons of skips, one line each.
    pub(crate) skips: Vec<String>,
    /// The slowest tests: seconds and name.
    pub(crate) slowest: Vec<(f64, String)>,
}

/// A test that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) name: String,
    /// The end of its output.
    pub(crate) output: String,
    /// The command that runs it alone.
    pub(crate) command: Option<String>,
}

impl Outcome {
    /// The result of a single check, such as a lint.
    pub(crate) fn of(success: bool) -> Outcome {
        let mut outcome = Outcome::default();
        if success {
            outcome.counts.passed = 1;
        } else {
            outcome.counts.failed = 1;
        }
        outcome
    }

    /// The result of a suite that could not be completed.
    pub(crate) fn failed(why: String) -> Outcome {
        let mut outcome = Outcome::of(false);
        outcome.failures.push(Failure {
            output: why,
            ..Failure::default()
        });
        outcome
    }

    /// A prerequisite is missing: a skip on a developer's machine, a failure in CI.
    pub(crate) fn missing(reason: String) -> Outcome {
        if run::is_ci() {
            return Outcome::failed(reason);
        }
        let mut outcome = Outcome::default();
        outcome.counts.skipped = 1;
        outcome.skips.push(reason);
        outcome
    }

    /// The result of an empty suite.
    pub(crate) fn nothing() -> Outcome {
        Outcome::default()
    }

    /// Reads the log of tests that returned early because a prerequisite was missing. The test runner counts
    /// them as passed, since it cannot report skips.
    pub(crate) fn read_skips(&mut self, log: &str) {
        for line in log.lines().filter(|line| !line.is_empty()) {
            self.counts.passed = self.counts.passed.saturating_sub(1);
            self.counts.skipped += 1;
            self.skips.push(line.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_not_a_pass() {
        let mut outcome = Outcome::default();
        outcome.counts.passed = 6;
        outcome.read_skips("mounts_in_lxc: no lxc-execute\n\n");
        assert_eq!(outcome.counts.to_string(), "5 passed, 0 failed, 1 skipped");
        assert_eq!(outcome.skips, ["mounts_in_lxc: no lxc-execute"]);
    }
}
