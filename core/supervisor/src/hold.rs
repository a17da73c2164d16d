//! `vistafs hold`: holds shared files open, so that no container can lease them.
//!
//! The owner of a file may lease it (fcntl(2), F_SETLEASE): then every other open waits until the lease is released, or
//! for `fs.lease-break-time`, 45 seconds. Root in a container has the ID of the owner of shared files. While another
//! process has a file open for writing, the kernel refuses every lease on it (EAGAIN); so this process has each file of a
//! view open for writing. Files in trees, whose number is unlimited, have no owner instead
//! (`Attributes::without_owner` in vistafs-dispatch). A container's own files may be leased: only that container
//! waits.
//!
//! The supervisor starts this process, because it must never open a file of the mount itself. It exits with the
//! supervisor; workers come and go meanwhile. It opens the files through a detached clone of the mount,
//! so that umount(8) does not find the mount busy, and exits after the mount was unmounted. It must not be a
//! child of the supervisor, whose children are workers.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use vistafs_host::{Inherited, spawn};

use crate::fuse_mount::FuseMount;

/// Shared names that do not belong to views: containers' own directories, trees, files for root on the host.
const LEFT_OUT: [&[u8]; 5] = [b"at", b"c", b"cgroup", b"metrics", b"self"];
/// Not searched: trees of views, whose files have no owner.
const TREES: &str = "sys/devices/system/";
/// Maximum numbers of searched entries and of held files.
const MOST_ENTRIES: usize = 4096;
const MOST_FILES: usize = 256;
/// Delay before retrying a file that could not be opened: its lease is being broken.
const AGAIN: Duration = Duration::from_secs(5);
/// Minimum time between two reads of the mount table.
const REST: Duration = Duration::from_secs(1);
/// How long the files are held after the supervisor's exit: until then the next one may hold them.
const LINGER: Duration = Duration::from_secs(2);

/// Holds the files until the supervisor exits, which holds the other end of standard input, or until the mount is
/// unmounted.
///
/// `stays`: otherwise starts the process that does.
///
/// # Errors
/// If the mount is missing, or no process or descriptor is available.
pub fn hold(mount: &Path, stays: bool) -> anyhow::Result<u8> {
    if !stays {
        // The parent of the process that stays must not be the supervisor.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("vistafs")
            .args(["hold", "--stay", "--mount"])
            .arg(mount)
            .stdin(Stdio::inherit())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        start_to_stay(command)?;
        return Ok(0);
    }
    let _ = rustix::thread::set_name(c"vistafs-hold");
    let Some(held) = FuseMount::seen_at(mount)? else {
        bail!("{} is not a mount of vistafs", mount.display());
    };
    let outcome = Holder::new(mount)?.stay(&held);
    held.leave();
    outcome.map(|()| 0)
}

#[derive(Debug)]
struct Holder {
    root: OwnedFd,
    mounts: File,
    // Keyed by inode.
    held: BTreeMap<u64, OwnedFd>,
}

impl Holder {
    fn new(mount: &Path) -> anyhow::Result<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let root = rustix::mount::open_tree(CWD, mount, flags)
            .with_context(|| format!("cannot clone the mount at {}", mount.display()))?;
        Ok(Self {
            root,
            mounts: File::open("/proc/self/mountinfo").context("cannot open mountinfo")?,
            held: BTreeMap::new(),
        })
    }

    fn stay(&mut self, mount: &FuseMount) -> anyhow::Result<()> {
        let input = std::io::stdin();
        let mut is_due = true;
        let mut rests = false;
        loop {
            let missed = is_due && !self.open_all();
            is_due = missed;
            let mut fds = vec![PollFd::new(&input, PollFlags::IN)];
            if !rests {
                fds.push(PollFd::new(&self.mounts, PollFlags::PRI));
            }
            let most = match (rests, missed) {
                (true, _) => Some(REST),
                (false, true) => Some(AGAIN),
                (false, false) => None,
            };
            let most = most.and_then(|time| Timespec::try_from(time).ok());
            match poll(&mut fds, most.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).context("cannot wait"),
            }
            let [told, moved] =
                [0, 1].map(|at| fds.get(at).is_some_and(|fd| !fd.revents().is_empty()));
            rests = moved;
            if moved && !mount.is_there() {
                return Ok(());
            }
            if told {
                if rustix::io::read(&input, &mut [0; 64]).is_ok_and(|got| got == 0) {
                    if mount.is_there() {
                        std::thread::sleep(LINGER);
                    }
                    return Ok(());
                }
                // Another worker serves, perhaps with other views.
                is_due = true;
            }
        }
    }

    /// Opens the files that are not open yet; returns whether all are open.
    fn open_all(&mut self) -> bool {
        let mut entries = 0;
        let mut all = true;
        let mut left = vec![PathBuf::new()];
        while let Some(path) = left.pop() {
            let shown = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                &path
            };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let listed = openat(&self.root, shown, flags, Mode::empty())
                .and_then(|dir| Dir::read_from(&dir).map(|entries| (dir, entries)));
            let Ok((dir, found)) = listed else {
                all = false;
                continue;
            };
            for entry in found.flatten() {
                let name = entry.file_name().to_bytes();
                let is_top = path.as_os_str().is_empty();
                if matches!(name, b"." | b"..") || is_top && LEFT_OUT.contains(&name) {
                    continue;
                }
                entries += 1;
                if entries > MOST_ENTRIES {
                    return all;
                }
                // No second look-up: near the end of a worker it would make the kernel keep the name.
                if self.held.contains_key(&entry.ino()) {
                    continue;
                }
                let below =
                    path.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name));
                match entry.file_type() {
                    FileType::Directory if !below.starts_with(TREES) => left.push(below),
                    FileType::RegularFile => all &= self.open(&dir, entry.file_name()).is_ok(),
                    _ => {}
                }
            }
        }
        all
    }

    fn open(&mut self, dir: &OwnedFd, name: &std::ffi::CStr) -> Result<(), Errno> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_owned = stat.st_uid == 0;
        if !is_owned || self.held.contains_key(&stat.st_ino) || self.held.len() >= MOST_FILES {
            return Ok(());
        }
        // For writing, which root may do whatever the mode: read leases are refused then as well.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(dir, name, flags, Mode::empty()) {
            Ok(file) => {
                self.held.insert(stat.st_ino, file);
                Ok(())
            }
            // A lease on it is being broken.
            Err(Errno::AGAIN) => Err(Errno::AGAIN),
            // A view without a kernel file, for example: no process can open it, so none can lease it.
            Err(_) => Ok(()),
        }
    }
}

/// Starts the process, for the supervisor. Returns the end to hold, and to write to when another worker serves.
pub(crate) fn start(program: &Path, mount: &Path) -> anyhow::Result<OwnedFd> {
    use rustix::pipe::{PipeFlags, pipe_with};
    let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC).context("cannot make a pipe")?;
    rustix::fs::fcntl_setfl(ours.as_fd(), OFlags::NONBLOCK).context("cannot set up a pipe")?;
    let mut command = Command::new(program);
    command
        .arg0("vistafs")
        .args(["hold", "--mount"])
        .arg(mount)
        .stdin(theirs)
        .stdout(Stdio::null());
    // The supervisor waits for all of its children.
    start_to_stay(command)?;
    Ok(ours)
}

fn start_to_stay(command: Command) -> anyhow::Result<()> {
    let inherited = Inherited {
        lives_on: true,
        ..Inherited::default()
    };
    drop(spawn(command, inherited).context("cannot start vistafs hold")?);
    Ok(())
}
