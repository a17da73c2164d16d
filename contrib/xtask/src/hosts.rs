//! `cargo xtask hosts`: the tests of real container hosts, in a guest that has them (see `vm/hosts.rs`).
//!
//! One boot serves all hosts. `cargo xtask test` calls [`run`] as one of its steps.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::program::{DAEMON, HOSTS_TESTS};
use crate::run;
use crate::tally::{Outcome, Report};
use crate::vm::{self, Job, Layout, Vm};
use crate::work_dir::WorkDir;

/// Tests Docker, containerd, Podman, crun, Incus and LXC in a virtual machine.
#[derive(Args)]
pub(crate) struct HostsArgs {
    /// Only tests with one of these in their names, such as `docker`.
    filter: Vec<String>,
}

impl HostsArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let mut report = Report::default();
        report.step("container hosts", || run(&self.filter));
        Ok(match report.print() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// For all tests. On a quiet machine they take 3 minutes.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// A cgroup that stays for the life of the guest. The kernel patches its own code when the first quota
/// or cpuset is made and when the last one goes, which an emulated processor does not always survive
/// under load.
const HOLD: &str = "\
echo '+cpu +cpuset' >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/hold
echo 100000 100000 >/sys/fs/cgroup/hold/cpu.max
echo 0 >/sys/fs/cgroup/hold/cpuset.cpus
";

/// Boots the guest and runs the tests whose names contain one of the filters, or all of them.
pub(crate) fn run(filters: &[String]) -> Result<Outcome> {
    if let Err(error) = vm::prepare(Layout::Hosts) {
        return Ok(Outcome::missing(format!("no virtual machine: {error:#}")));
    }
    let work = WorkDir::new()?;
    let skip_log = work.path.join("skipped");
    let daemon = work.path.join("vistafs");
    // Most of its size is for debuggers.
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&daemon).arg(DAEMON.build()?);
    run::quiet(&mut strip)?;
    let job = Job {
        command: script(filters),
        put: vec![
            (daemon, "/usr/bin/vistafs".into()),
            (HOSTS_TESTS.build()?, "/vistafs/hosts".into()),
        ],
        get: vec![("/vistafs/skipped".into(), skip_log.clone())],
    };
    let vm = Vm {
        prefix: "hosts: ".to_owned(),
        timeout: LIMIT,
        ..Vm::new(Layout::Hosts)
    };
    let mut outcome = Outcome::default();
    let status = vm.run(&job, |line| outcome.read_libtest(line))?;
    outcome.read_skips(&fs::read_to_string(&skip_log).unwrap_or_default());
    outcome.end(status == 0);
    work.remove();
    Ok(outcome)
}

fn script(filters: &[String]) -> String {
    let require = if run::is_ci() { "1" } else { "0" };
    let filters: Vec<_> = filters.iter().map(|filter| vm::quote(filter)).collect();
    format!(
        "export VISTAFS_BIN=/usr/bin/vistafs VISTAFS_SKIP_LOG=/vistafs/skipped\n\
         export VISTAFS_LAYOUT={} VISTAFS_REQUIRE={require} RUST_BACKTRACE=1\n\
         {HOLD}\
         : >\"$VISTAFS_SKIP_LOG\"\n\
         exec /vistafs/hosts {}\n",
        Layout::Hosts.name(),
        filters.join(" ")
    )
}
