//! `cargo xtask test`: all that can be proved on this machine, in one command.
//!
//! The steps are independent: what fails in one does not keep the next from running, and all of it
//! is in the table at the end.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::plugins::{Profile, examples};
use crate::program::{DAEMON, GUEST_TESTS, MACHINE_TESTS};
use crate::run;
use crate::tally::{Outcome, Report};
use crate::vm::{self, Job, Layout, Vm};
use crate::work_dir::WorkDir;
use crate::{bench, check, deb, packages};

/// Sets up what is missing and runs all checks and tests.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Only these steps; may be given more than once.
    #[arg(long)]
    only: Vec<Step>,
    /// Only these virtual machines; may be given more than once.
    #[arg(long)]
    layout: Vec<Layout>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Format, lints, documentation.
    Check,
    /// Tests that run on any machine, without privileges.
    Any,
    /// Tests that need root and /dev/fuse, on this machine.
    Machine,
    /// The same tests, and those that change a machine, in virtual ones: one for each cgroup layout.
    Vm,
}

impl TestArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let wants = |step| self.only.is_empty() || self.only.contains(&step);
        let mut report = Report::default();
        if wants(Step::Machine) || wants(Step::Vm) {
            report.step("packages", || packages::install(wants(Step::Vm)));
        }
        if wants(Step::Check) {
            check::check(&mut report);
        }
        if wants(Step::Any) {
            report.step("unit tests", || {
                cargo_test(
                    &[
                        "--workspace",
                        "--exclude",
                        "vistafs-tests",
                        "--no-fail-fast",
                    ],
                    None,
                )
            });
            report.step("tests on any machine", || {
                cargo_test(&["--package", "vistafs-tests", "--test", "any"], None)
            });
        }
        if wants(Step::Machine) {
            report.step("tests on this machine", || {
                let daemon = DAEMON.build()?;
                let tests = ["--package", "vistafs-tests", "--test", "machine"];
                // What needs a machine of its own has one in the VMs.
                let others = ["--", "--skip", ALONE, "--skip", UNPLUGS];
                cargo_test(&[&tests[..], &others].concat(), Some(daemon))
            });
            report.step("a quick bench", bench::quick);
        }
        if wants(Step::Vm) {
            let layouts = if self.layout.is_empty() {
                &Layout::ALL[..]
            } else {
                &self.layout
            };
            for &layout in layouts {
                report.step(&format!("vm {}", layout.name()), || in_vm(layout));
            }
        }
        Ok(if report.print() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Runs tests with cargo; `daemon` is the program that they start.
fn cargo_test(args: &[&str], daemon: Option<PathBuf>) -> Result<Outcome> {
    let work = WorkDir::new()?;
    let skip_log = work.path.join("skipped");
    fs::write(&skip_log, "")?;
    let mut command = run::cargo(&["test"]);
    command.args(args).env("VISTAFS_SKIP_LOG", &skip_log);
    if let Some(daemon) = daemon {
        command.env("VISTAFS_BIN", daemon);
        if let Some(program) = musl_sysconf(&work)? {
            command.env("VISTAFS_MUSL_SYSCONF", program);
        }
        command.env("VISTAFS_STATIC", static_program()?);
    }
    if run::is_ci() {
        command.env("VISTAFS_REQUIRE", "1");
    }
    let mut outcome = Outcome::default();
    let status = run::teed(&mut command, |line| outcome.read_libtest(line))?;
    outcome.read_skips(&fs::read_to_string(&skip_log)?);
    outcome.end(status.success());
    work.remove();
    Ok(outcome)
}

/// vistafs in one static file, built as INSTALL.md says. The C library's host is this one's, so that no
/// other target has to be installed; procedural macros cannot be static, hence `--target`.
fn static_program() -> Result<PathBuf> {
    let arch = std::env::consts::ARCH;
    let target = format!("{arch}-unknown-linux-gnu");
    let args = [
        "build",
        "--package",
        "vistafs",
        // A static program cannot load anything.
        "--no-default-features",
        "--features",
        "all-views",
        "--target-dir",
        "target/static",
        "--target",
    ];
    let mut command = run::cargo(&args);
    command
        .arg(&target)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    if !run::loud(&mut command)?.success() {
        bail!("no static program");
    }
    let built = run::workspace().join("target/static").join(target);
    Ok(built.join("debug/vistafs"))
}

/// A program that asks musl's sysconf(3), for a machine that may have no compiler. `None`: there is
/// none here either.
fn musl_sysconf(work: &WorkDir) -> Result<Option<PathBuf>> {
    if !run::is_there("musl-gcc") {
        return Ok(None);
    }
    let source = run::workspace().join("tests/tests/machine/sys_trees/sysconf.c");
    let program = work.path.join("sysconf-musl");
    let mut compile = Command::new("musl-gcc");
    compile
        .args(["-static", "-O", "-o"])
        .arg(&program)
        .arg(source);
    run::quiet(&mut compile)?;
    Ok(Some(program))
}

/// A directory with the plugins of the tests, for a machine without cargo.
fn plugins(work: &WorkDir) -> Result<PathBuf> {
    let directory = work.path.join("plugins");
    fs::create_dir(&directory)?;
    let mut build = run::cargo(&["build"]);
    for name in TEST_PLUGINS {
        build.args(["--package", &format!("vistafs-test-plugin-{name}")]);
    }
    if !run::loud(&mut build)?.success() {
        bail!("no plugins");
    }
    for name in TEST_PLUGINS {
        let file = format!("libvistafs_test_plugin_{name}.so");
        let built = run::workspace().join("target/debug").join(&file);
        // Each test copies some of them; most of their size is for debuggers.
        let mut strip = Command::new("strip");
        strip.arg("--strip-debug").arg("-o");
        run::quiet(strip.arg(directory.join(&file)).arg(built))?;
    }
    for object in examples(Profile::Dev)? {
        let name = object.file_name().context("a file without a name")?;
        fs::copy(&object, directory.join(name))?;
    }
    Ok(directory)
}

/// Runs this machine's tests in another one.
fn in_vm(layout: Layout) -> Result<Outcome> {
    if let Err(error) = vm::prepare(layout) {
        return Ok(Outcome::missing(format!("no virtual machine: {error:#}")));
    }
    let work = WorkDir::new()?;
    let skip_log = work.path.join("skipped");
    let tests = run::workspace().join("tests");
    let directory = tests
        .to_str()
        .context("the path of the sources is no UTF-8")?;
    let mut job = Job {
        command: guest_script(layout, directory),
        put: vec![
            (DAEMON.build()?, "/vistafs/vistafs".into()),
            (MACHINE_TESTS.build()?, "/vistafs/machine".into()),
            (GUEST_TESTS.build()?, "/vistafs/guest".into()),
        ],
        get: vec![("/vistafs/skipped".into(), skip_log.clone())],
    };
    if let Some(program) = musl_sysconf(&work)? {
        job.put.push((program, MUSL_SYSCONF.into()));
    }
    job.put.push((plugins(&work)?, PLUGINS.into()));
    if has_packages(layout) {
        let debs = work.path.join("debs");
        let program = DAEMON.build()?;
        for build in [1, 2] {
            deb::build(&program, Profile::Dev, build, &debs.join(build.to_string()))?;
        }
        job.put.push((debs, DEBS.into()));
    }
    // Where they are here, as the tests have that path compiled in.
    let fixtures = tests.join("fixtures");
    if fixtures.is_dir() {
        job.put.push((fixtures.clone(), fixtures));
    }
    let vm = Vm {
        prefix: format!("{}: ", layout.name()),
        // What is watched ends before, unless several things hang.
        timeout: Duration::from_secs(35 * 60),
        ..Vm::new(layout)
    };
    let mut outcome = Outcome::default();
    let status = vm.run(&job, |line| outcome.read_libtest(line))?;
    outcome.read_skips(&fs::read_to_string(&skip_log).unwrap_or_default());
    outcome.end(status == 0);
    work.remove();
    Ok(outcome)
}

/// Cgroups that stay for the life of the guest. The kernel patches its own code when the first quota
/// or cpuset is made and when the last one goes, which an emulated processor does not always survive
/// under load (see [`vm`]): so it happens once, before the tests.
const HOLD: &str = "\
for top in /sys/fs/cgroup /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/cpuset; do
    [ -e $top/cgroup.procs ] || continue
    [ ! -e $top/cgroup.subtree_control ] || echo '+cpu +cpuset' >$top/cgroup.subtree_control || :
    mkdir $top/hold
    [ ! -e $top/hold/cpu.max ] || echo 100000 100000 >$top/hold/cpu.max
    [ ! -e $top/hold/cpu.cfs_quota_us ] || echo 100000 >$top/hold/cpu.cfs_quota_us
done
";

/// Runs a program that may hang: its log has to tell where.
const WATCHED: &str = include_str!("watched.sh");
/// How long those may take that nothing else may run beside, in seconds. On a quiet machine it is 180.
const MOST_ALONE: u32 = 1000;
/// The same for the tests of a machine in a guest, which is 560.
const MOST: u32 = 1100;
/// The same for those that take CPUs away, which is 20.
const MOST_UNPLUGGED: u32 = 200;
/// And for those of guests alone, which is 200.
const MOST_OF_GUEST: u32 = 600;

/// The tests that nothing else may run beside.
const ALONE: &str = "alone::";

/// Whether they are run in a guest: they take minutes, and what differs for them is whether threads are
/// counted in a v1 or in a v2 hierarchy.
fn has_alone(layout: Layout) -> bool {
    matches!(layout, Layout::V1 | Layout::V2On612)
}

/// In the names of the tests that are run on this machine alone: the guests' image has not the programs;
/// and what is only page-cached on request is attacked at the pace of a real processor.
const HERE: &str = "nspawn_ --skip podman:: --skip page_cache";
/// In the name of the tests that take CPUs away from all others: only in a guest, and after them.
const UNPLUGS: &str = "is_unplugged";

/// Whether a guest gets the Debian packages: one does, for dpkg and systemd are the same in all.
fn has_packages(layout: Layout) -> bool {
    layout == Layout::V2On612
}

const DEBS: &str = "/vistafs/debs";
const PACKAGES: &str = "packages::";

/// The program is the same in each guest.
const STATIC: &str = "static_program::";

const PLUGINS: &str = "/vistafs/plugins";

/// What is in tests/plugins.
const TEST_PLUGINS: [&str; 3] = ["echo", "meminfo", "odd"];

const MUSL_SYSCONF: &str = "/vistafs/sysconf-musl";

/// What cargo would do around the test program.
fn guest_script(layout: Layout, directory: &str) -> String {
    let require = if run::is_ci() {
        "export VISTAFS_REQUIRE=1\n"
    } else {
        ""
    };
    let directory = vm::quote(directory);
    let packages = if has_packages(layout) {
        String::new()
    } else {
        format!(" --skip {PACKAGES}")
    };
    let alone = if has_alone(layout) {
        format!(
            "watched {MOST_ALONE} env VISTAFS_ALONE=1 \
             /vistafs/machine --test-threads=1 {ALONE} || status=$?\n"
        )
    } else {
        String::new()
    };
    format!(
        "export VISTAFS_BIN=/vistafs/vistafs VISTAFS_SKIP_LOG=/vistafs/skipped\n\
         export VISTAFS_LAYOUT={} VISTAFS_DEBS={DEBS} RUST_BACKTRACE=1\n\
         export VISTAFS_PLUGINS={PLUGINS}\n\
         [ ! -e {MUSL_SYSCONF} ] || export VISTAFS_MUSL_SYSCONF={MUSL_SYSCONF}\n\
         {require}\
         {HOLD}\
         {WATCHED}\
         : >\"$VISTAFS_SKIP_LOG\"\n\
         mkdir -p {directory} && cd {directory} || exit\n\
         status=0\n\
         {alone}\
         watched {MOST} /vistafs/machine --skip {ALONE} --skip {UNPLUGS} --skip {STATIC} --skip {HERE} \
         || status=$?\n\
         watched {MOST_UNPLUGGED} /vistafs/machine {UNPLUGS} || status=$?\n\
         watched {MOST_OF_GUEST} /vistafs/guest --test-threads=1{packages} || status=$?\n\
         exit $status\n",
        layout.name()
    )
}
