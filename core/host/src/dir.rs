//! A held directory of a kernel file system.
//!
//! Names below it never reach the kernel joined by hand: `openat2` resolves them beneath the held
//! descriptor and refuses links of either kind and `..`.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::HostError;

/// A directory that is held open; its path serves messages only.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory by its path, following links as a shell would.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Io`.
    pub fn open(path: &Path) -> Result<Self, HostError> {
        let fd = rustix::fs::openat(
            CWD,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| HostError::from_errno(errno, path))?;
        Ok(Self::from_fd(fd, path.to_owned()))
    }

    /// Takes over a descriptor of a directory, `path` being what messages call it.
    #[must_use]
    pub fn from_fd(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// What messages call it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory beneath this one. `relative` may have several components.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Io`; a link or `..` on the way is an error too.
    pub fn subdir(&self, relative: &Path) -> Result<Self, HostError> {
        let path = self.path.join(relative);
        let fd = self
            .open_beneath(relative, OFlags::PATH | OFlags::DIRECTORY)
            .map_err(|errno| HostError::from_errno(errno, &path))?;
        Ok(Self { fd, path })
    }

    /// Opens a file beneath this one for reading.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open_file(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        self.open_beneath(relative, OFlags::RDONLY)
    }

    /// Opens a file beneath this one for reading and writing.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open_file_to_write(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        self.open_beneath(relative, OFlags::RDWR)
    }

    /// Whether there is something at `relative`.
    #[must_use]
    pub fn has(&self, relative: &Path) -> bool {
        self.open_beneath(relative, OFlags::PATH).is_ok()
    }

    /// Opens this directory itself, for those who need more than the O_PATH descriptor that is held.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open_readable(&self) -> Result<OwnedFd, Errno> {
        self.open_beneath(Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// The names of the directories in it, unsorted.
    ///
    /// # Errors
    /// `NotFound` when it has been removed, `Denied` or `Io`.
    pub fn subdirectories(&self) -> Result<Vec<OsString>, HostError> {
        let failed = |errno| HostError::from_errno(errno, &self.path);
        let fd = self.open_readable().map_err(failed)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if entry.file_type() == FileType::Directory && !matches!(name, b"." | b"..") {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    fn open_beneath(&self, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat2(
            &self.fd,
            relative,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_parents_are_refused() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("inside")).unwrap();
        std::fs::write(tmp.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink("../secret", tmp.path().join("inside/link")).unwrap();
        let dir = Dir::open(&tmp.path().join("inside")).unwrap();
        assert!(dir.open_file(Path::new("link")).is_err());
        assert!(dir.open_file(Path::new("../secret")).is_err());
        assert!(dir.subdir(Path::new("..")).is_err());
        assert!(dir.open_file(Path::new("/etc/passwd")).is_err());
        assert!(!dir.has(Path::new("../secret")));
        assert!(!dir.has(Path::new("link")));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = Dir::open(Path::new("/no/such/dir")).unwrap_err();
        assert_eq!(error.to_string(), "/no/such/dir does not exist");
    }
}
