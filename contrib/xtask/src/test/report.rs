//! The console output of a run: a line when a suite begins and ends, progress lines in between, and at the
//! end a table, the failures and the commands that repeat them.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::outcome::{Counts, Outcome};
use crate::run::{self, Log};

/// Interval of the progress lines.
const PROGRESS: Duration = Duration::from_secs(30);
/// Number of slowest tests in the report.
const SLOWEST: usize = 10;

/// The suites of a run. Suites may run in parallel.
pub(crate) struct Report {
    began: Instant,
    logs: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: BTreeMap<String, Log>,
    ended: Vec<(String, Outcome, Duration)>,
    is_over: bool,
}

impl Report {
    /// A report whose logs are below `target/test`.
    pub(crate) fn new() -> Result<Arc<Report>> {
        let logs = run::workspace().join("target/test");
        if logs.is_dir() {
            fs::remove_dir_all(&logs).with_context(|| format!("removing {}", logs.display()))?;
        }
        fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
        let report = Arc::new(Report {
            began: Instant::now(),
            logs,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let watched = Arc::clone(&report);
        thread::spawn(move || watched.print_progress());
        Ok(report)
    }

    /// Runs a suite. An error or a panic is a failure of that suite. Returns whether the whole suite passed.
    pub(crate) fn suite(&self, name: &str, suite: impl FnOnce() -> Result<Outcome>) -> bool {
        let path = self
            .logs
            .join(format!("{}.log", name.replace([' ', '/'], "-")));
        let outcome = Log::create(path.clone()).map(|log| {
            self.state().running.insert(name.to_owned(), log.clone());
            self.print(&format!("{name}: started"));
            let started = Instant::now();
            run::log_to(Some(log));
            let outcome = catch_unwind(AssertUnwindSafe(suite));
            run::log_to(None);
            let outcome = match outcome {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => Outcome::failed(format!("{error:#}")),
                Err(_) => Outcome::failed("xtask panicked".into()),
            };
            (outcome, started.elapsed())
        });
        let (mut outcome, took) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                let why = format!("{}: {error}", path.display());
                (Outcome::failed(why), Duration::ZERO)
            }
        };
        let counts = outcome.counts;
        if counts.failed > 0 && outcome.failures.is_empty() {
            outcome.failures.push(crate::outcome::Failure {
                name: String::new(),
                output: tail(&fs::read_to_string(&path).unwrap_or_default(), 30),
                command: None,
            });
        }
        self.print(&format!("{name}: {counts} in {}", minutes(took)));
        let mut state = self.state();
        state.running.remove(name);
        state.ended.push((name.to_owned(), outcome, took));
        counts.failed == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, line: &str) {
        println!("{:>6}  {line}", minutes(self.began.elapsed()));
    }

    fn print_progress(&self) {
        let mut state = self.state();
        while !state.is_over {
            let (again, waited) = self
                .changed
                .wait_timeout(state, PROGRESS)
                .unwrap_or_else(PoisonError::into_inner);
            state = again;
            if !waited.timed_out() || state.running.is_empty() {
                continue;
            }
            let running = state.running.iter().map(|(name, log)| {
                let progress = log.progress();
                if progress.is_empty() {
                    name.clone()
                } else {
                    format!("{name} ({progress})")
                }
            });
            let running: Vec<_> = running.collect();
            self.print(&format!("running: {}", running.join(", ")));
        }
    }

    /// Prints the table, the skips and the failures; returns whether nothing failed.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state();
        state.is_over = true;
        self.changed.notify_all();
        println!(
            "\n{:24} {:>8} {:>8} {:>8} {:>8}",
            "suite", "time", "passed", "failed", "skipped"
        );
        let mut all = Counts::default();
        for (name, outcome, took) in &state.ended {
            let Counts {
                passed,
                failed,
                skipped,
            } = outcome.counts;
            let time = minutes(*took);
            println!("{name:24} {time:>8} {passed:>8} {failed:>8} {skipped:>8}");
            all += outcome.counts;
        }
        let outcomes = state.ended.iter().map(|(name, outcome, _)| (name, outcome));
        let slowest = outcomes
            .clone()
            .flat_map(|(suite, outcome)| outcome.slowest.iter().map(move |slow| (suite, slow)));
        let mut slowest: Vec<_> = slowest.collect();
        slowest.sort_by(|(_, a), (_, b)| b.0.total_cmp(&a.0));
        for (suite, (seconds, test)) in slowest.iter().take(SLOWEST) {
            println!("slow: {seconds:6.1} s  {suite}: {test}");
        }
        for (suite, outcome) in outcomes.clone() {
            for skip in &outcome.skips {
                println!("skipped: {suite}: {skip}");
            }
        }
        for (suite, outcome) in outcomes {
            for failure in &outcome.failures {
                println!("\nFAILED: {suite}: {}", failure.name);
                for line in failure.output.lines() {
                    println!("    {line}");
                }
                if let Some(command) = &failure.command {
                    println!("  run it alone: {command}");
                }
            }
        }
        let took = minutes(self.began.elapsed());
        println!("\n{all} in {took}; logs in {}", self.logs.display());
        all.failed == 0
    }
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_and_times_are_short() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("", 2), "");
        assert_eq!(minutes(Duration::from_millis(61_900)), "1:01");
    }
}
