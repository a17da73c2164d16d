//! `cargo xtask test`: all tests that can run on this machine, in one command.
//!
//! Suites are independent: a failure in one does not stop the others. The tests on this machine compare
//! durations, so no guest runs beside them; the guests, two at a time, run beside the steps that need cargo.

mod artifacts;
mod guest;
mod matrix;
mod nextest;
mod report;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::outcome::Outcome;
use crate::vm::{self, Layout};
use crate::{bench, check, packages, run};
use artifacts::Artifacts;
use matrix::Matrix;
pub(crate) use report::Report;

/// Sets up what is missing and runs all checks and tests.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Run only these suites; may be given more than once.
    #[arg(long)]
    only: Vec<Suite>,
    /// Run only the virtual machines of these layouts; may be given more than once.
    #[arg(long)]
    layout: Vec<Layout>,
    /// Which tests run in the guest with container hosts.
    #[arg(long, value_enum, default_value_t = Hosts::Smoke)]
    hosts: Hosts,
    /// Print which tests run on which machine, and exit.
    #[arg(long)]
    list: bool,
    /// Run only tests whose names contain this text.
    filter: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Format, lints, documentation.
    Check,
    /// Tests that run on any machine, without privileges.
    Any,
    /// Tests that need root and /dev/fuse, on this machine.
    Machine,
    /// Tests in virtual machines: one for each cgroup layout, and one with container hosts.
    Vm,
}

/// Tests with real container hosts.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Hosts {
    /// One container for each host and way in.
    Smoke,
    /// The life of a container at each host, too.
    Full,
}

/// How many guests run at the same time.
const GUESTS: usize = 2;

/// The guests in the order in which they start: those that take longest come first.
const ORDER: [Layout; 5] = [
    Layout::V2On612,
    Layout::V2,
    Layout::V1,
    Layout::Hosts,
    Layout::Hybrid,
];

impl TestArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let matrix = Matrix::read()?;
        if self.list {
            println!("{}", matrix.table());
            return Ok(ExitCode::SUCCESS);
        }
        let report = Report::new()?;
        self.run_suites(&matrix, &report);
        Ok(if report.end() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn wants(&self, suite: Suite) -> bool {
        if self.only.is_empty() {
            // A layout or a test name selects tests as well.
            let by_layout = self.layout.is_empty() || suite == Suite::Vm;
            return by_layout && (self.filter.is_none() || suite != Suite::Check);
        }
        self.only.contains(&suite)
    }

    fn run_suites(&self, matrix: &Matrix, report: &Arc<Report>) {
        let (machine, vm) = (self.wants(Suite::Machine), self.wants(Suite::Vm));
        if machine || vm {
            report.suite("packages", || packages::install(vm));
        }
        // Set when the guests may start.
        let ready: OnceLock<Option<Artifacts>> = OnceLock::new();
        thread::scope(|scope| {
            let guests = vm.then(|| {
                scope.spawn(|| {
                    if self.prepare_images(report) {
                        self.run_guests(matrix, report, ready.wait().as_ref());
                    }
                })
            });
            if machine || vm {
                let mut artifacts = None;
                report.suite("build", || {
                    artifacts = Some(Artifacts::build()?);
                    Ok(Outcome::of(true))
                });
                if let (true, Some(artifacts)) = (machine, &artifacts) {
                    self.run_machine(report, artifacts);
                }
                let _ = ready.set(artifacts);
            }
            if self.wants(Suite::Any) {
                self.run_any(report);
            }
            if self.wants(Suite::Check) {
                check::check(report);
            }
            if let Some(guests) = guests {
                let _ = guests.join();
            }
        });
    }

    /// The filter of nextest for the tests of a suite.
    fn filter(&self, suite: &str) -> String {
        match &self.filter {
            Some(name) => format!("({suite}) & test({name})"),
            None => suite.to_owned(),
        }
    }

    fn run_any(&self, report: &Report) {
        report.suite("unit tests", || {
            let filter = self.filter("!package(vistafs-tests)");
            nextest::run_here(&filter, "cargo xtask test --only any", |_| {})
        });
        report.suite("tests on any machine", || {
            let filter = self.filter("package(vistafs-tests) & binary(any)");
            nextest::run_here(&filter, "cargo xtask test --only any", |_| {})
        });
        if self.filter.is_none() {
            report.suite("examples of documents", || {
                let mut doc = run::cargo(&["test", "--workspace", "--doc", "--quiet"]);
                Ok(Outcome::of(run::loud(&mut doc)?.success()))
            });
        }
    }

    fn run_machine(&self, report: &Report, artifacts: &Artifacts) {
        report.suite("tests on this machine", || {
            let filter = self.filter(&format!("package(vistafs-tests) & {}", Matrix::here()));
            let fixed = artifacts::static_program()?;
            nextest::run_here(&filter, "cargo xtask test --only machine", |command| {
                command
                    .env("VISTAFS_BIN", &artifacts.daemon)
                    .env("VISTAFS_STATIC", fixed)
                    .envs(
                        artifacts
                            .musl_sysconf
                            .iter()
                            .map(|p| ("VISTAFS_MUSL_SYSCONF", p)),
                    );
            })
        });
        if self.filter.is_none() {
            report.suite("a quick bench", bench::quick);
        }
    }

    fn layouts(&self) -> Vec<Layout> {
        let wanted = |layout: &Layout| self.layout.is_empty() || self.layout.contains(layout);
        ORDER.into_iter().filter(wanted).collect()
    }

    /// Builds the images that are not there; whether all of them are there now.
    fn prepare_images(&self, report: &Report) -> bool {
        let mut is_ready = false;
        report.suite("images", || {
            if let Err(error) = vm::prepare(&self.layouts()) {
                return Ok(Outcome::missing(format!("no virtual machine: {error:#}")));
            }
            is_ready = true;
            Ok(Outcome::nothing())
        });
        is_ready
    }

    /// Runs the guests, [`GUESTS`] at a time.
    fn run_guests(&self, matrix: &Matrix, report: &Report, built: Option<&Artifacts>) {
        let Some(artifacts) = built else {
            // The report contains the failure of the build.
            return;
        };
        let waiting = Mutex::new(self.layouts().into_iter());
        thread::scope(|scope| {
            for _ in 0..GUESTS {
                scope.spawn(|| {
                    loop {
                        let next = waiting
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .next();
                        let Some(layout) = next else { return };
                        report.suite(layout.name(), || {
                            let filter = match (layout, self.hosts) {
                                // A test name selects tests as well.
                                (Layout::Hosts, Hosts::Smoke) if self.filter.is_none() => {
                                    "binary(hosts) & !test(/^full::/)".into()
                                }
                                (Layout::Hosts, _) => "binary(hosts)".into(),
                                _ => matrix.in_guest(layout).context("tests/matrix.toml")?,
                            };
                            guest::run_tests(layout, &self.filter(&filter), artifacts)
                        });
                    }
                });
            }
        });
    }
}
