//! An open directory of a kernel file system.
//!
//! Paths below it are never joined as text: `openat2` resolves them beneath the open descriptor and
//! refuses symbolic links, magic links and `..`.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use crate::HostError;
use crate::kept_file::read_whole;

/// Type of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A device, pipe or socket.
    Other,
}

impl From<FileType> for FileKind {
    fn from(file_type: FileType) -> Self {
        match file_type {
            FileType::Directory => Self::Directory,
            FileType::RegularFile => Self::File,
            FileType::Symlink => Self::Link,
            _ => Self::Other,
        }
    }
}

/// File attributes from stat(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Type of the file.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Inode number.
    pub inode: u64,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name.
    pub name: OsString,
    /// Type of the entry.
    pub kind: FileKind,
    /// Inode number.
    pub inode: u64,
}

/// An open directory; its path is used only in messages.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: Box<Path>,
}

impl Dir {
    /// Opens a directory by its path and follows links.
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

    /// Wraps a descriptor of a directory; `path` is used in messages.
    #[must_use]
    pub fn from_fd(fd: OwnedFd, path: PathBuf) -> Self {
        let path = path.into_boxed_path();
        Self { fd, path }
    }

    /// Path used in messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory beneath this one. `relative` may have several components.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Io`; a link or `..` in the path is an error too.
    pub fn subdir(&self, relative: &Path) -> Result<Self, HostError> {
        let path = self.path.join(relative);
        let fd = self
            .open_beneath(relative, OFlags::PATH | OFlags::DIRECTORY)
            .map_err(|errno| HostError::from_errno(errno, &path))?;
        Ok(Self::from_fd(fd, path))
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

    /// Opens a file beneath this one for writing.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open_file_to_write_only(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        self.open_beneath(relative, OFlags::WRONLY)
    }

    /// Opens the parent directory, which may be outside every other open directory.
    ///
    /// # Errors
    /// The kernel's.
    pub fn parent(&self) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, "..", flags, Mode::empty())?;
        Ok(Self::from_fd(fd, self.path.join("..")))
    }

    /// Inode number of this directory.
    ///
    /// # Errors
    /// The kernel's.
    pub fn inode(&self) -> Result<u64, Errno> {
        Ok(rustix::fs::fstat(&self.fd)?.st_ino)
    }

    /// Creates a directory in this one.
    ///
    /// # Errors
    /// EINVAL unless `name` is a single component; the kernel's errors.
    pub fn make_directory(&self, name: &OsStr, mode: u32) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.fd, single(name)?, Mode::from_raw_mode(mode))
    }

    /// Removes a directory in this one.
    ///
    /// # Errors
    /// EINVAL unless `name` is a single component; the kernel's errors.
    pub fn remove_directory(&self, name: &OsStr) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, single(name)?, AtFlags::REMOVEDIR)
    }

    /// Changes the permission bits of a file in this directory, or of the directory with `.`.
    ///
    /// # Errors
    /// EINVAL unless `name` is a single component; the kernel's errors.
    pub fn set_mode(&self, name: &OsStr, mode: u32) -> Result<(), Errno> {
        let name = if name == "." { name } else { single(name)? };
        rustix::fs::chmodat(&self.fd, name, Mode::from_raw_mode(mode), AtFlags::empty())
    }

    /// Changes the owner of a file in this directory, or of the directory with `.`.
    ///
    /// # Errors
    /// EINVAL unless `name` is a single component; the kernel's errors.
    pub fn set_owner(&self, name: &OsStr, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let name = if name == "." { name } else { single(name)? };
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        rustix::fs::chownat(&self.fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Whether `relative` exists.
    #[must_use]
    pub fn has(&self, relative: &Path) -> bool {
        self.open_beneath(relative, OFlags::PATH).is_ok()
    }

    /// Reopens this directory for operations that the held O_PATH descriptor does not allow.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open_readable(&self) -> Result<OwnedFd, Errno> {
        self.open_beneath(Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Appends the whole text of a file beneath this one to `out`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self, relative: &Path, out: &mut Vec<u8>) -> Result<(), Errno> {
        read_whole(&self.open_file(relative)?, out)
    }

    /// Returns the attributes of `relative`, without following a link.
    ///
    /// # Errors
    /// The kernel's.
    pub fn stat(&self, relative: &Path) -> Result<FileStat, Errno> {
        let stat = if relative == Path::new(".") {
            rustix::fs::fstat(&self.fd)?
        } else if single(relative.as_os_str()).is_ok() {
            // A single name cannot escape, and this takes one system call instead of three.
            rustix::fs::statat(&self.fd, relative, AtFlags::SYMLINK_NOFOLLOW)?
        } else {
            let fd = self.open_beneath(relative, OFlags::PATH | OFlags::NOFOLLOW)?;
            rustix::fs::fstat(&fd)?
        };
        Ok(FileStat {
            kind: FileType::from_raw_mode(stat.st_mode).into(),
            // Twelve bits.
            mode: u16::try_from(stat.st_mode & 0o7777).unwrap_or(0),
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            inode: stat.st_ino,
        })
    }

    /// Returns the target of the symbolic link at `relative`.
    ///
    /// # Errors
    /// EINVAL for a file that is not a link; the kernel's errors.
    pub fn read_link(&self, relative: &Path) -> Result<OsString, Errno> {
        let fd = self.open_beneath(relative, OFlags::PATH | OFlags::NOFOLLOW)?;
        let target = match rustix::fs::readlinkat(&fd, "", Vec::new()) {
            // The kernel's errno for an empty path that is not a link.
            Err(Errno::NOENT) => return Err(Errno::INVAL),
            target => target?,
        };
        Ok(OsStr::from_bytes(target.to_bytes()).to_owned())
    }

    /// Lists the directory at `relative` (`.` for this one) without `.` and `..`, in the kernel's
    /// order.
    ///
    /// # Errors
    /// The kernel's.
    pub fn entries(&self, relative: &Path) -> Result<Vec<DirEntry>, Errno> {
        let fd = self.open_beneath(relative, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::new(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let name = OsStr::from_bytes(name).to_owned();
            let kind = match entry.file_type() {
                // The file system does not report types.
                FileType::Unknown => self.stat(&relative.join(&name))?.kind,
                known => known.into(),
            };
            let inode = entry.ino();
            entries.push(DirEntry { name, kind, inode });
        }
        Ok(entries)
    }

    /// Names of the subdirectories, unsorted.
    ///
    /// # Errors
    /// `NotFound` when it has been removed, `Denied` or `Io`.
    pub fn subdirectories(&self) -> Result<Vec<OsString>, HostError> {
        let entries = self
            .entries(Path::new("."))
            .map_err(|errno| HostError::from_errno(errno, &self.path))?;
        let directories = entries
            .into_iter()
            .filter(|entry| entry.kind == FileKind::Directory);
        Ok(directories.map(|entry| entry.name).collect())
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

/// Checks that `name` is a single component other than `.` and `..`.
fn single(name: &OsStr) -> Result<&OsStr, Errno> {
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') || bytes.contains(&0) {
        return Err(Errno::INVAL);
    }
    Ok(name)
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
    fn links_are_reported_and_not_followed() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::write(tmp.path().join("file"), "text\n").unwrap();
        std::fs::create_dir(tmp.path().join("sub")).unwrap();
        std::os::unix::fs::symlink("../file", tmp.path().join("sub/link")).unwrap();
        let dir = Dir::open(tmp.path()).unwrap();
        let stat = |path| dir.stat(Path::new(path));
        assert_eq!(stat("sub/link").unwrap().kind, FileKind::Link);
        assert_eq!(stat("sub").unwrap().kind, FileKind::Directory);
        let file = stat("file").unwrap();
        assert_eq!((file.kind, file.size), (FileKind::File, 5));
        assert_eq!(stat("sub/link/x"), Err(Errno::LOOP));
        assert_eq!(stat("nothing"), Err(Errno::NOENT));
        assert_eq!(dir.read_link(Path::new("sub/link")).unwrap(), "../file");
        assert_eq!(dir.read_link(Path::new("file")), Err(Errno::INVAL));
        let mut text = b"before ".to_vec();
        dir.read(Path::new("file"), &mut text).unwrap();
        assert_eq!(text, b"before text\n");
        assert!(dir.read(Path::new("sub"), &mut text).is_err());
        let entries = dir.entries(Path::new("sub")).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].name.as_os_str(), entries[0].kind),
            (OsStr::new("link"), FileKind::Link)
        );
        let sub = dir.subdir(Path::new("sub")).unwrap();
        assert_eq!(entries[0].inode, sub.stat(Path::new("link")).unwrap().inode);
        assert_eq!(sub.parent().unwrap().inode(), dir.inode());
        assert_eq!(dir.subdirectories().unwrap(), ["sub"]);
    }

    #[test]
    fn changes_stay_in_the_directory() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("inside")).unwrap();
        let dir = Dir::open(&tmp.path().join("inside")).unwrap();
        for name in ["", ".", "..", "../x", "a/b", "/tmp/x", "a\0"] {
            let name = OsStr::new(name);
            assert_eq!(dir.make_directory(name, 0o755), Err(Errno::INVAL));
            assert_eq!(dir.remove_directory(name), Err(Errno::INVAL));
            if name != "." {
                assert_eq!(dir.set_mode(name, 0o700), Err(Errno::INVAL));
                assert_eq!(dir.set_owner(name, Some(0), None), Err(Errno::INVAL));
            }
        }
        let odd = OsStr::from_bytes(b"\xff \n");
        dir.make_directory(odd, 0o700).unwrap();
        dir.set_mode(odd, 0o750).unwrap();
        assert_eq!(dir.stat(Path::new(odd)).unwrap().mode, 0o750);
        dir.set_mode(OsStr::new("."), 0o711).unwrap();
        assert_eq!(dir.stat(Path::new(".")).unwrap().mode, 0o711);
        dir.remove_directory(odd).unwrap();
        assert_eq!(dir.remove_directory(odd), Err(Errno::NOENT));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = Dir::open(Path::new("/no/such/dir")).unwrap_err();
        assert_eq!(error.to_string(), "/no/such/dir does not exist");
    }
}
