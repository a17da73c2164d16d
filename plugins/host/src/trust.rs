//! Checks the owner of a file and write access to it.
//!
//! The directory is opened once, the file once below it: the checked file is the loaded one, even
//! if names change meanwhile.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;

/// Required owner of plugins and their directories: root; in tests, the user that runs them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner(pub(crate) u32);

/// Opens a plugin directory. `None`: it does not exist.
///
/// # Errors
/// An explanation.
pub(crate) fn directory(path: &Path, owner: Owner) -> Result<Option<OwnedFd>, String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = match openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened.map_err(|errno| errno.to_string())?,
    };
    let stat = fstat(&opened).map_err(|errno| errno.to_string())?;
    owner.check(&stat, "the directory")?;
    owner.check_parents(path, &opened)?;
    Ok(Some(opened))
}

/// Opens a plugin file below a checked directory.
///
/// # Errors
/// An explanation.
pub(crate) fn file(directory: &OwnedFd, name: &OsStr, owner: Owner) -> Result<OwnedFd, String> {
    // A symbolic link of root may point anywhere; its target is checked like a file here. Opening
    // other file types must not block.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = openat(directory, name, flags, Mode::empty()).map_err(|e| e.to_string())?;
    let stat = fstat(&opened).map_err(|errno| errno.to_string())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("it is not a regular file".into());
    }
    owner.check(&stat, "it")?;
    Ok(opened)
}

impl Owner {
    /// Whether only root can replace this directory: neither by the names of its
    /// path nor, where those are links, by the directories that it is in.
    fn check_parents(self, path: &Path, directory: &OwnedFd) -> Result<(), String> {
        let told = |errno: Errno| errno.to_string();
        for parent in path.ancestors().skip(1).filter(|p| p.has_root()) {
            let stat = rustix::fs::stat(parent).map_err(told)?;
            self.check_parent(&stat, &parent.display().to_string())?;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let number = |stat: &Stat| (stat.st_dev, stat.st_ino);
        let mut below = fstat(directory).map_err(told)?;
        let mut here = openat(directory, "..", flags, Mode::empty()).map_err(told)?;
        loop {
            let stat = fstat(&here).map_err(told)?;
            // The root is its own parent.
            if number(&stat) == number(&below) {
                return Ok(());
            }
            self.check_parent(&stat, "a directory above it")?;
            here = openat(&here, "..", flags, Mode::empty()).map_err(told)?;
            below = stat;
        }
    }

    fn check_parent(self, stat: &Stat, what: &str) -> Result<(), String> {
        if stat.st_uid != 0 && stat.st_uid != self.0 {
            let owner = stat.st_uid;
            return Err(format!(
                "{what} belongs to user {owner}, who can put another in its place: chown root"
            ));
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        // In a sticky directory users cannot rename the files of other users.
        if mode.intersects(Mode::WGRP | Mode::WOTH) && !mode.contains(Mode::SVTX) {
            return Err(format!(
                "others than root may write to {what}, and put another in its place: chmod go-w"
            ));
        }
        Ok(())
    }

    fn check(self, stat: &Stat, what: &str) -> Result<(), String> {
        if stat.st_uid != self.0 {
            let owner = stat.st_uid;
            return Err(format!(
                "{what} belongs to user {owner}, and must belong to root: chown root"
            ));
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.intersects(Mode::WGRP | Mode::WOTH) {
            return Err(format!("others than root may write to {what}: chmod go-w"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn us() -> Owner {
        Owner(rustix::process::geteuid().as_raw())
    }

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_may_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.so");
        std::fs::write(&path, "").unwrap();
        let look = || {
            let held = directory(dir.path(), us())?.ok_or("none")?;
            file(&held, OsStr::new("a.so"), us()).map(drop)
        };
        for (of_dir, of_file, fine) in [
            (0o755, 0o644, true),
            (0o700, 0o600, true),
            (0o775, 0o644, false),
            (0o1757, 0o644, false),
            (0o755, 0o664, false),
            (0o755, 0o646, false),
        ] {
            set(dir.path(), of_dir);
            set(&path, of_file);
            let why = look();
            assert_eq!(why.is_ok(), fine, "{of_dir:o} {of_file:o} {why:?}");
        }
        set(dir.path(), 0o700);
    }

    #[test]
    fn a_directory_that_others_can_replace_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (parent, link) = (dir.path().join("parent"), dir.path().join("link"));
        let plugins = parent.join("plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        set(&plugins, 0o755);
        std::os::unix::fs::symlink(&plugins, &link).unwrap();
        for (mode, is_fine) in [
            (0o755, true),
            (0o1777, true),
            (0o775, false),
            (0o757, false),
        ] {
            set(&parent, mode);
            for path in [&plugins, &link] {
                let opened = directory(path, us());
                assert_eq!(opened.is_ok(), is_fine, "{mode:o} {opened:?}");
            }
        }
        set(&parent, 0o755);
        if us().0 == 0 {
            std::os::unix::fs::chown(&parent, Some(65534), None).unwrap();
            for path in [&plugins, &link] {
                let why = directory(path, us()).unwrap_err();
                assert!(why.contains("belongs to user 65534"), "{why}");
            }
        }
    }

    #[test]
    fn other_owners_and_file_types_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.so"), "").unwrap();
        std::fs::create_dir(dir.path().join("b.so")).unwrap();
        rustix::fs::mkfifoat(CWD, dir.path().join("c.so"), Mode::RUSR).unwrap();
        std::os::unix::fs::symlink("a.so", dir.path().join("d.so")).unwrap();
        std::os::unix::fs::symlink("none", dir.path().join("e.so")).unwrap();
        let held = directory(dir.path(), us()).unwrap().unwrap();
        for (name, expected) in [
            ("a.so", None),
            ("b.so", Some("not a regular file")),
            ("c.so", Some("not a regular file")),
            ("d.so", None),
            ("e.so", Some("No such file")),
            ("f.so", Some("No such file")),
        ] {
            let opened = file(&held, OsStr::new(name), us());
            match expected {
                None => drop(opened.unwrap()),
                Some(why) => assert!(opened.unwrap_err().contains(why), "{name}"),
            }
        }
        let other = Owner(us().0 + 1);
        let why = file(&held, OsStr::new("a.so"), other).unwrap_err();
        assert!(why.contains("must belong to root"), "{why}");
        assert!(directory(dir.path(), other).is_err());
        assert!(directory(&dir.path().join("none"), us()).unwrap().is_none());
    }
}
