//! A file of the host.
//!
//! Root configures the path, and links are followed. The target is checked before it is opened:
//! pipes and devices are never opened, and files on FUSE, which may be this very mount, are not
//! read.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;
use vistafs_host::HostError;
use vistafs_text::{cpu_columns, cpu_lines};
use vistafs_view::ViewError;

use crate::scene::Scene;

/// linux/magic.h
const FUSE_MAGIC: i64 = 0x6573_5546;

/// A host file and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// Absolute.
    pub path: PathBuf,
    /// Whether containers see only the lines about their CPUs.
    pub cpus: bool,
    /// A larger file is an error.
    pub max_bytes: usize,
}

impl HostFile {
    /// Whether reading may take long: the file is not on a kernel file system.
    pub(crate) fn is_slow(&self) -> bool {
        !["/proc", "/sys"]
            .iter()
            .any(|top| self.path.starts_with(top))
    }

    pub(crate) fn render(
        &self,
        scene: &mut Scene<'_, '_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let text = self.read().map_err(|errno| failed(errno, &self.path))?;
        if !self.cpus || scene.container().is_none() {
            out.extend_from_slice(&text);
            return Ok(());
        }
        let (visible, numbering) = scene.cpus()?;
        let filtered = if cpu_columns::has_heading(&text) {
            cpu_columns::filter(&text, &visible, numbering, out)
        } else {
            cpu_lines::filter(&text, &visible, numbering, out);
            Ok(())
        };
        filtered.map_err(|source| HostError::malformed(&self.path, source).into())
    }

    fn read(&self) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        read_all(&open(&self.path)?, self.max_bytes, &mut text)?;
        Ok(text)
    }
}

/// Appends the rest of a file; more than `max_bytes` is an error.
pub(crate) fn read_all(file: &OwnedFd, max_bytes: usize, out: &mut Vec<u8>) -> Result<(), Errno> {
    loop {
        out.reserve(4096);
        match rustix::io::read(file, spare_capacity(out)) {
            Ok(0) => return Ok(()),
            Ok(_) if out.len() > max_bytes => return Err(Errno::FBIG),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// A missing file is missing for the reader too; every other error is a fault.
pub(crate) fn failed(errno: Errno, path: &Path) -> ViewError {
    match errno {
        Errno::NOENT | Errno::NOTDIR => ViewError::Answer(Errno::NOENT),
        Errno::FBIG => ViewError::Answer(Errno::FBIG),
        errno => HostError::from_errno(errno, path).into(),
    }
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    let seen = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&seen)?.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Errno::ISDIR),
        _ => return Err(Errno::INVAL),
    }
    #[allow(
        clippy::unnecessary_cast,
        reason = "its type differs between platforms"
    )]
    if fstatfs(&seen)?.f_type as i64 == FUSE_MAGIC {
        return Err(Errno::LOOP);
    }
    let again = format!("/proc/self/fd/{}", seen.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(CWD, again, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Result<Vec<u8>, Errno> {
        let file = HostFile {
            path: path.to_owned(),
            cpus: false,
            max_bytes: 10_000,
        };
        file.read()
    }

    #[test]
    fn files_and_links_to_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for size in [0, 1, 4096, 9999, 10_000] {
            let file = dir.path().join("f");
            std::fs::write(&file, vec![b'x'; size]).unwrap();
            assert_eq!(read(&file).unwrap().len(), size);
        }
        let link = dir.path().join("l");
        std::os::unix::fs::symlink("f", &link).unwrap();
        assert_eq!(read(&link).unwrap().len(), 10_000);
        assert!(!read(Path::new("/proc/self/status")).unwrap().is_empty());
        // The file is removed and created again.
        std::fs::remove_file(dir.path().join("f")).unwrap();
        assert_eq!(read(&link), Err(Errno::NOENT));
        std::fs::write(dir.path().join("f"), "x").unwrap();
        assert_eq!(read(&link).unwrap(), b"x");
    }

    #[test]
    fn other_file_types_are_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("p");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let link = dir.path().join("l");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let large = dir.path().join("large");
        std::fs::write(&large, vec![b'x'; 10_001]).unwrap();
        let around = dir.path().join("around");
        std::os::unix::fs::symlink(&around, &around).unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, errno) in [
            (dir.path(), Errno::ISDIR),
            (&pipe, Errno::INVAL),
            (&link, Errno::INVAL),
            (&socket, Errno::INVAL),
            (Path::new("/dev/zero"), Errno::INVAL),
            (&large, Errno::FBIG),
            (&around, Errno::LOOP),
        ] {
            assert_eq!(read(path), Err(errno), "{}", path.display());
        }
    }
}
