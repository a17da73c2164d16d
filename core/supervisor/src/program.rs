//! The program file, held open: what was started stays what is started again, whatever is
//! installed over it meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A program.
#[derive(Debug)]
pub(crate) struct Program {
    file: File,
    path: PathBuf,
}

impl Program {
    /// The one that runs.
    pub(crate) fn running() -> anyhow::Result<Self> {
        const RUNNING: &str = "/proc/self/exe";
        let file = File::open(RUNNING).with_context(|| format!("cannot open {RUNNING}"))?;
        let link = std::fs::read_link(RUNNING).with_context(|| format!("cannot read {RUNNING}"))?;
        // Where it was before something else was installed there.
        let bytes = link.as_os_str().as_bytes();
        let path = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
        Ok(Self {
            file,
            path: OsStr::from_bytes(path).into(),
        })
    }

    /// The one that runs, installed at another path.
    pub(crate) fn running_from(path: PathBuf) -> anyhow::Result<Self> {
        let file = Self::running()?.file;
        Ok(Self { file, path })
    }

    /// The same once more.
    pub(crate) fn same(&self) -> anyhow::Result<Self> {
        let file = self.file.try_clone().context("no descriptor left")?;
        Ok(Self {
            file,
            path: self.path.clone(),
        })
    }

    /// The one that is at the path now.
    pub(crate) fn installed(&self) -> anyhow::Result<Self> {
        let file = File::open(&self.path)
            .with_context(|| format!("cannot open {}", self.path.display()))?;
        Ok(Self {
            file,
            path: self.path.clone(),
        })
    }

    /// Where it is installed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A path to execute it by, as long as it is held.
    pub(crate) fn held(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}
