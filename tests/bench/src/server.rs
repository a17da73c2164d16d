//! A mounted file server on a set of CPUs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::plan::File;

/// A file server, which ends on drop.
pub(crate) struct Mounted {
    child: Child,
    mount_point: PathBuf,
}

impl Mounted {
    /// Starts `program ARGUMENTS MOUNT_POINT` on CPUs `cpus` and waits until it serves.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        mount_point: PathBuf,
        cpus: &str,
    ) -> Result<Self> {
        fs::create_dir(&mount_point)?;
        let child = Command::new("taskset")
            .args(["-c", cpus])
            .arg(program)
            .args(arguments)
            .arg(&mount_point)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("running taskset")?;
        let mut mounted = Self { child, mount_point };
        for _ in 0..500 {
            if mounted.mount_point.join("proc").exists() {
                return Ok(mounted);
            }
            if let Some(status) = mounted.child.try_wait()? {
                bail!("{} has ended: {status}", program.display());
            }
            sleep(Duration::from_millis(10));
        }
        bail!("{} does not serve", program.display());
    }

    /// Returns the ID of the started process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the mount point.
    pub(crate) fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Returns the path of a file. `None`: the server does not have it.
    pub(crate) fn path(&self, file: &File) -> Option<String> {
        let path = self.mount_point.join(file.path);
        path.exists().then(|| path.to_string_lossy().into_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // All servers exit when they are unmounted.
        let unmounted = Command::new("umount")
            .arg("-l")
            .arg(&self.mount_point)
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
