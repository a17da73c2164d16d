//! What can be said about the code without running it.

use crate::run;
use crate::tally::{Outcome, Report};

/// Format, lints and documentation, each one a step.
pub(crate) fn check(report: &mut Report) {
    report.step("fmt", || {
        let status = run::loud(&mut run::cargo(&["fmt", "--all", "--check"]))?;
        Ok(Outcome::of(status.success()))
    });
    report.step("clippy", || {
        let args = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        Ok(Outcome::of(run::loud(&mut run::cargo(&args))?.success()))
    });
    report.step("doc", || {
        let mut doc = run::cargo(&["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-Dwarnings");
        Ok(Outcome::of(run::loud(&mut doc)?.success()))
    });
}
