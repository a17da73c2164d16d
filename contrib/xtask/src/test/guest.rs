//! The tests of one cgroup layout, in a virtual machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::artifacts::Artifacts;
use super::nextest::{self, TEST_THREADS};
use crate::outcome::Outcome;
use crate::plugins::Profile;
use crate::vm::{Job, Layout, Vm, quote};
use crate::work_dir::WorkDir;
use crate::{deb, run};

const DAEMON: &str = "/vistafs/vistafs";
/// Container hosts start the program at the path of the packages.
const INSTALLED: &str = "/usr/bin/vistafs";
const NEXTEST: &str = "/vistafs/cargo-nextest";
const BINARIES: &str = "/vistafs/binaries.json";
const METADATA: &str = "/vistafs/cargo.json";
const DEBS: &str = "/vistafs/debs";
const PLUGINS: &str = "/vistafs/plugins";
const MUSL_SYSCONF: &str = "/vistafs/sysconf-musl";
const SKIPPED: &str = "/vistafs/skipped";

/// Timeout for the tests of a guest. The longest take 20 minutes with both processors. nextest ends a hanging
/// test long before.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Cgroups that exist until the guest ends. The kernel patches its own code when the first quota or cpuset is
/// created and when the last one is removed, which an emulated processor does not always survive under load
/// (see [`crate::vm`]). So this happens once, before the tests.
const HOLD: &str = "\
for top in /sys/fs/cgroup /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/cpuset; do
    [ -e $top/cgroup.procs ] || continue
    [ ! -e $top/cgroup.subtree_control ] || echo '+cpu +cpuset' >$top/cgroup.subtree_control || :
    mkdir $top/hold
    [ ! -e $top/hold/cpu.max ] || echo 100000 100000 >$top/hold/cpu.max
    [ ! -e $top/hold/cpu.cfs_quota_us ] || echo 100000 >$top/hold/cpu.cfs_quota_us
done
";

/// Whether a guest gets the Debian packages: only one does, since dpkg and systemd are the same in all.
fn has_packages(layout: Layout) -> bool {
    layout == Layout::V2On612
}

fn daemon(layout: Layout) -> &'static str {
    match layout {
        Layout::Hosts => INSTALLED,
        _ => DAEMON,
    }
}

/// Boots a guest and runs the tests that match a filter.
pub(crate) fn run_tests(layout: Layout, filter: &str, artifacts: &Artifacts) -> Result<Outcome> {
    let work = WorkDir::new()?;
    let workspace = run::workspace();
    let (skipped, report) = (work.path.join("skipped"), work.path.join("junit.xml"));
    let same = |path: PathBuf| (path.clone(), path);
    let mut job = Job {
        command: script(layout, filter, &workspace)?,
        put: vec![
            (artifacts.daemon.clone(), daemon(layout).into()),
            (artifacts.nextest.clone(), NEXTEST.into()),
            (artifacts.binaries_metadata.clone(), BINARIES.into()),
            (artifacts.cargo_metadata.clone(), METADATA.into()),
            (artifacts.plugins.clone(), PLUGINS.into()),
            // The same paths as here, since the tests have them compiled in.
            same(workspace.join("Cargo.toml")),
            same(workspace.join(".config/nextest.toml")),
            same(workspace.join("tests/fixtures")),
        ],
        get: vec![
            (SKIPPED.into(), skipped.clone()),
            (nextest::report_path(), report.clone()),
        ],
    };
    job.put.extend(artifacts.programs.iter().cloned().map(same));
    if let Some(program) = &artifacts.musl_sysconf {
        job.put.push((program.clone(), MUSL_SYSCONF.into()));
    }
    if has_packages(layout) {
        let debs = work.path.join("debs");
        for build in [1, 2] {
            let to = debs.join(build.to_string());
            deb::build(&artifacts.daemon, Profile::Dev, build, &to)?;
        }
        job.put.push((debs, DEBS.into()));
    }
    let vm = Vm {
        timeout: TIMEOUT,
        ..Vm::new(layout)
    };
    let status = vm.run(&job, nextest::show_progress)?;
    let skips = fs::read_to_string(&skipped).unwrap_or_default();
    let repeat = format!("cargo xtask test --layout {}", layout.name());
    let outcome = nextest::outcome(&report, &skips, status == 0, &repeat)?;
    work.remove();
    Ok(outcome)
}

/// Sets the environment that cargo would set for the test programs.
fn script(layout: Layout, filter: &str, workspace: &Path) -> Result<String> {
    let workspace = workspace
        .to_str()
        .context("the path of the sources is not UTF-8")?;
    let require = if run::is_ci() {
        "export VISTAFS_REQUIRE=1\n"
    } else {
        ""
    };
    Ok(format!(
        "export VISTAFS_BIN={} VISTAFS_SKIP_LOG={SKIPPED} VISTAFS_LAYOUT={} \
         VISTAFS_DEBS={DEBS} VISTAFS_PLUGINS={PLUGINS} RUST_BACKTRACE=1\n\
         [ ! -e {MUSL_SYSCONF} ] || export VISTAFS_MUSL_SYSCONF={MUSL_SYSCONF}\n\
         {require}\
         {HOLD}\
         : >{SKIPPED}\n\
         mkdir -p {workspace}/tests && cd {workspace} || exit\n\
         exec {NEXTEST} nextest run --color never --no-tests pass --test-threads {TEST_THREADS} \
         --binaries-metadata {BINARIES} --cargo-metadata {METADATA} -E {}\n",
        daemon(layout),
        layout.name(),
        quote(filter),
        workspace = quote(workspace),
    ))
}
