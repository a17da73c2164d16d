//! Virtual machines: a real kernel of each cgroup layout, on any machine with qemu.
//!
//! A machine lives for one job: it boots from an image that is built once (see [`image`] and [`kernel`]),
//! receives files, runs one command as root under a real systemd, returns files, and is discarded. The image
//! never changes.

mod accel;
mod boot;
mod cache;
mod cli;
mod container;
mod hosts;
mod image;
mod job;
mod kernel;
mod layout;
mod mirror;
mod progress;

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use boot::RunFiles;
pub(crate) use cli::{VmArgs, quote};
pub(crate) use layout::Layout;

use crate::run::{self, Tail};
use crate::work_dir::WorkDir;

/// A machine that can be booted.
pub(crate) struct Vm {
    pub(crate) layout: Layout,
    pub(crate) memory_mib: u32,
    pub(crate) cpus: u32,
    /// For the command only; the boot is not included.
    pub(crate) timeout: Duration,
    /// Printed before each line of the output.
    pub(crate) prefix: String,
}

/// The job of a machine.
#[derive(Default)]
pub(crate) struct Job {
    /// A shell script.
    pub(crate) command: String,
    /// Files and directories to copy into the guest first: path here, path in the guest.
    pub(crate) put: Vec<(PathBuf, PathBuf)>,
    /// Files and directories to copy back: path in the guest, path here.
    pub(crate) get: Vec<(PathBuf, PathBuf)>,
}

impl Vm {
    /// The default machine of that layout.
    pub(crate) fn new(layout: Layout) -> Vm {
        Vm {
            layout,
            memory_mib: layout.memory_mib(),
            cpus: 2,
            timeout: Duration::from_secs(25 * 60),
            prefix: String::new(),
        }
    }

    /// Boots, runs the job, and returns the exit status of its command.
    pub(crate) fn run(&self, job: &Job, mut on_line: impl FnMut(&str) + Send) -> Result<i32> {
        // First, because later a console would exist, and a failure would print its end.
        prepare(&[self.layout])?;
        let work = WorkDir::new()?;
        let console = work.path.join("console.log");
        let mut outcome = self.run_in(&work.path, job, &console, &mut on_line);
        if outcome.is_err() && boot::is_fault_of_emulator(&console) {
            run::say("vm: the emulated processor has failed the guest's kernel: once more");
            outcome = self.run_in(&work.path, job, &console, &mut on_line);
        }
        match outcome {
            Ok(status) => {
                work.remove();
                Ok(status)
            }
            Err(error) => {
                let tail = boot::console_tail(&console);
                let path = console.display();
                Err(error.context(format!("{tail}\nvm: that was the end of {path}")))
            }
        }
    }

    fn run_in(
        &self,
        work: &Path,
        job: &Job,
        console: &Path,
        on_line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<i32> {
        let files = RunFiles {
            job: &job::pack(job, self.timeout.as_secs(), work)?,
            result: &job::result_disk(work)?,
            console,
        };
        let printed = boot::boot(self, &files, on_line)?;
        let Some(results) = job::unpack(job, files.result, work)? else {
            bail!("the guest ended before its job did");
        };
        let mut rest = File::open(&results.output)?;
        rest.seek(SeekFrom::Start(u64::try_from(printed)?))?;
        run::tee(rest, &self.prefix, Tail::Print, on_line);
        Ok(results.status)
    }
}

/// Builds the images for those layouts, so that a machine without the means (no qemu, no network) is
/// distinguished from a failure of a guest. All images are built in parallel.
pub(crate) fn prepare(layouts: &[Layout]) -> Result<()> {
    if !run::is_there("qemu-system-x86_64") {
        bail!("no qemu-system-x86_64");
    }
    let log = run::log();
    let log = &log;
    thread::scope(|scope| {
        let mut builds = Vec::new();
        for layout in layouts {
            let builds_of_layout = [
                scope.spawn(move || {
                    run::log_to(log.clone());
                    layout.root().map(drop)
                }),
                scope.spawn(move || {
                    run::log_to(log.clone());
                    layout.kernel().files().map(drop)
                }),
            ];
            builds.extend(builds_of_layout);
        }
        for build in builds {
            build.join().map_err(|_| anyhow!("a build panicked"))??;
        }
        Ok(())
    })
}
