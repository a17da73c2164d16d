//! `cargo xtask capture`: captures a host for the golden tests from a running machine.
//!
//! `capture/capture.py` runs in the machine: it creates the cgroup `/box/app`, runs a load in it and copies
//! the files. A fixture is a directory with
//!
//! - `container.toml`: which cgroup is the container, and when its first process started;
//! - `proc/...` and `sys/devices/system/{cpu,node}/...`: the host's files;
//! - `proc/self/mountinfo`: the cgroup mounts of process 1, and no others;
//! - the files of the cgroups `/`, `/box` and `/box/app`, below the mount points of the host.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::run;
use crate::vm::{Job, Layout, Vm};

const SCRIPT: &str = include_str!("capture/capture.py");

/// Boots a virtual machine, runs a container-like cgroup in it and captures the host around it.
#[derive(Args)]
pub(crate) struct CaptureArgs {
    /// How the machine mounts its cgroup hierarchies.
    #[arg(long)]
    layout: Layout,
    /// The directory in tests/fixtures; what is there is replaced.
    #[arg(long)]
    name: String,
}

impl CaptureArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if self.name.is_empty() || self.name.starts_with('.') || self.name.contains('/') {
            bail!("{:?} is not a valid name of a directory", self.name);
        }
        let fixtures = run::workspace().join("tests/fixtures");
        // Captured to another name, so that the old capture stays until the new one is complete.
        let fresh = fixtures.join(format!(".{}.new", self.name));
        let job = Job {
            command: format!("cat >capture.py <<'END'\n{SCRIPT}END\npython3 capture.py /capture"),
            get: vec![("/capture".into(), fresh.clone())],
            ..Job::default()
        };
        let vm = Vm {
            // More than the container may use, so that the difference is visible.
            cpus: 4,
            ..Vm::new(self.layout)
        };
        let status = vm.run(&job, |_| ())?;
        if status != 0 {
            let _ = fs::remove_dir_all(&fresh);
            bail!("the capture failed in the machine");
        }
        let fixture = fixtures.join(&self.name);
        if fixture.is_dir() {
            fs::remove_dir_all(&fixture)
                .with_context(|| format!("removing {}", fixture.display()))?;
        }
        fs::rename(&fresh, &fixture).with_context(|| format!("making {}", fixture.display()))?;
        println!("captured {}", fixture.display());
        Ok(ExitCode::SUCCESS)
    }
}
