//! The program file, held open: the same program is started again, whatever was installed over it
//! meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A program file.
#[derive(Debug)]
pub(crate) struct Program {
    file: File,
    path: PathBuf,
}

impl Program {
    /// Opens the running program.
    pub(crate) fn running() -> anyhow::Result<Self> {
        const RUNNING: &str = "/proc/self/exe";
        let file = File::open(RUNNING).with_context(|| format!("cannot open {RUNNING}"))?;
        let link = std::fs::read_link(RUNNING).with_context(|| format!("cannot read {RUNNING}"))?;
        // The path before another program was installed there.
        let bytes = link.as_os_str().as_bytes();
        let path = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
        Ok(Self {
            file,
            path: OsStr::from_bytes(path).into(),
        })
    }

    /// Opens the running program, which was installed at another path.
    pub(crate) fn running_from(path: PathBuf) -> anyhow::Result<Self> {
        let file = Self::running()?.file;
        Ok(Self { file, path })
    }

    /// Duplicates it.
    pub(crate) fn same(&self) -> anyhow::Result<Self> {
        let file = self.file.try_clone().context("no descriptor left")?;
        Ok(Self {
            file,
            path: self.path.clone(),
        })
    }

    /// Opens the program that is installed at the path now.
    pub(crate) fn installed(&self) -> anyhow::Result<Self> {
        let file = File::open(&self.path)
            .with_context(|| format!("cannot open {}", self.path.display()))?;
        Ok(Self {
            file,
            path: self.path.clone(),
        })
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a path by which it can be executed while it is held.
    pub(crate) fn held(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}
