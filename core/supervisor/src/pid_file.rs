//! The pid file, locked while the process runs: a second process with the same file is refused.
//!
//! It is a record lock, as lxcfs uses, so that each refuses the other. The lock stays with the process
//! across execve(2), and ends with it, whatever the file contains.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use crate::inherited;

/// A locked pid file; removed on drop.
#[derive(Debug)]
pub(super) struct PidFile {
    // Never opened twice: closing the second descriptor would release the lock.
    file: File,
    path: PathBuf,
}

impl PidFile {
    /// Locks the file, and writes the process ID into it.
    pub(super) fn lock(path: &Path) -> anyhow::Result<Self> {
        let path =
            std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))?;
        let shown = path.display();
        let mut file = loop {
            let file = open(&path).with_context(|| format!("cannot open the pid file {shown}"))?;
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                // The previous owner may have removed it just now.
                Ok(()) if is_at(&file, &path) => break file,
                Ok(()) => {}
                Err(Errno::ACCESS | Errno::AGAIN) => bail!(
                    "the pid file {shown} is already locked: another one runs (for two: -p FILE)"
                ),
                Err(errno) => return Err(errno).context(format!("cannot lock {shown}")),
            }
        };
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .with_context(|| format!("cannot write {shown}"))?;
        Ok(Self { file, path })
    }

    /// Continues with the file that the previous program in this process has locked.
    pub(super) fn again(path: &Path, number: RawFd) -> anyhow::Result<Self> {
        Ok(Self {
            file: inherited::take(number)?.into(),
            path: std::path::absolute(path)?,
        })
    }

    /// Returns the descriptor for the next program.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            log::warn!(
                "cannot remove {}: {error} (no process uses it: rm it)",
                self.path.display()
            );
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        // Until it is locked it may belong to another process.
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Returns whether the path leads to the open file.
fn is_at(file: &File, path: &Path) -> bool {
    let number = |data: std::fs::Metadata| (data.dev(), data.ino());
    let there = std::fs::symlink_metadata(path).map(number);
    matches!((file.metadata().map(number), there), (Ok(ours), Ok(there)) if ours == there)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_holds_our_number_and_goes_with_us() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        std::fs::write(&path, "4194304 of one that was killed\n").unwrap();
        let locked = PidFile::lock(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(locked);
        assert!(!path.exists());
        let locked = PidFile::lock(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Another process has replaced the file.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(locked);
        assert!(path.exists());
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        std::fs::write(&target, "kept").unwrap();
        std::os::unix::fs::symlink(&target, dir.path().join("pid")).unwrap();
        assert!(PidFile::lock(&dir.path().join("pid")).is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
    }
}
