//! The worker: enters a namespace, and places or removes views there.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MoveMountFlags;
use vistafs_text::mountinfo::Mount;

use super::row::{Outcome, Row};
use crate::cover;
use crate::entry::{self, Entry};
use crate::error::{Context as _, Result};
use crate::kernel::Refusals;
use crate::live::{self, Live};
use crate::propagation;
use crate::protocol::{Event, Job, shown, tell};
use crate::table::{self, Table};
use crate::walk::{self, Lost};

/// Maximum number of mounts of vistafs at one place that are removed.
const MOST_LAYERS: usize = 16;

/// Takes jobs from standard input until its end, and reports on standard output.
///
/// # Errors
/// When the parent is gone.
pub fn work(mount: &Path, detach: bool, is_dry_run: bool) -> Result<()> {
    let worker = || -> Result<Worker> {
        Ok(Worker {
            live: Live::open(mount)?,
            entry: Entry::new()?,
            is_dry_run,
        })
    };
    entry::serve(worker(), |worker, job| worker.work(job, detach))
}

struct Worker {
    live: Live,
    entry: Entry,
    is_dry_run: bool,
}

/// The current namespace.
struct Place<'p> {
    pid: u32,
    inode: u64,
    namespace: &'p OwnedFd,
}

/// The place of a view, and the mount there.
enum Found {
    Free(OwnedFd, Refusals),
    Present,
    Left(String),
}

impl Worker {
    fn work(&self, job: &Job, detach: bool) -> Result<()> {
        let inode = job.inode;
        let Some((pid, namespace)) = self.entry.open(job) else {
            let pid = job.pids.first().copied().unwrap_or_default();
            return row(pid, inode, None, Outcome::Gone, None);
        };
        let place = Place {
            pid,
            inode,
            namespace: &namespace,
        };
        if inode == self.entry.mounts_inode {
            return place.left("it is the mount namespace of the host");
        }
        let root = match self.root(&place) {
            Ok(Some(root)) => root,
            Ok(None) => {
                return place
                    .left("its root directory is not that of its mount namespace (chroot)");
            }
            // It has ended just now.
            Err(_) if self.entry.open(job).is_none() => {
                return row(pid, inode, None, Outcome::Gone, None);
            }
            Err(error) => return Err(error),
        };
        if detach {
            self.detach(&place, &root, &job.views)
        } else {
            self.attach(&place, &root, &job.views)
        }
    }

    /// The root directory of the namespace, if the process has the same.
    fn root(&self, place: &Place<'_>) -> Result<Option<OwnedFd>> {
        let root = self.entry.within(place.namespace, || {
            live::root().context("cannot open its root directory")
        })?;
        let path = format!("{}/root", place.pid);
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let of_process = rustix::fs::openat(&self.entry.proc, path, flags, Mode::empty())
            .context("cannot open the root directory of the process")?;
        let look = |file| walk::look(file).context("cannot look at its root directory");
        Ok((look(&root)? == look(&of_process)?).then_some(root))
    }

    fn table(&self, place: &Place<'_>) -> Result<Vec<u8>> {
        self.entry
            .within(place.namespace, || self.entry.mountinfo())
    }

    fn attach(&self, place: &Place<'_>, root: &OwnedFd, views: &[String]) -> Result<()> {
        let text = self.table(place)?;
        let table = Table::parse(&text).context("its mountinfo")?;
        let opened: Vec<_> = views
            .iter()
            .map(|view| walk::open_place(root, &table, format!("/{view}").as_bytes()))
            .collect();
        // Read again: the held mount cannot go any more, and no other mount can have its ID.
        let text = self.table(place)?;
        let table = Table::parse(&text).context("its mountinfo")?;
        let mut host = None;
        let mut ready = Vec::new();
        for (view, opened) in views.iter().zip(opened) {
            let found = match opened {
                Ok(file) => judge(&self.live, &table, view, file),
                Err(Lost::Kernel(Errno::NOENT | Errno::NOTDIR)) => {
                    Found::Left("the container has no such file".to_owned())
                }
                Err(lost) => Found::Left(lost.to_string()),
            };
            let (file, refusals) = match found {
                Found::Free(file, refusals) => (file, refusals),
                Found::Present => {
                    place.row(view, Outcome::Present, None)?;
                    continue;
                }
                Found::Left(why) => {
                    place.row(view, Outcome::Left, Some(why))?;
                    continue;
                }
            };
            if self.reaches_host(&text, &file, &mut host)? {
                let why = "a mount there would appear on the host as well: the mount below it is shared with the host's".to_owned();
                place.row(view, Outcome::Left, Some(why))?;
                continue;
            }
            match self.copy(view, &file, refusals) {
                Ok(_) if self.is_dry_run => place.row(view, Outcome::Possible, None)?,
                Ok(copy) => ready.push((view, copy, file)),
                Err(why) => place.row(view, Outcome::Left, Some(why))?,
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        self.entry.within(place.namespace, || {
            for (view, copy, file) in &ready {
                match cover::attach(copy, file, MoveMountFlags::empty()) {
                    Ok(()) => place.row(view, Outcome::Attached, None)?,
                    Err(errno) => {
                        let why = format!("cannot mount there: {errno}");
                        place.row(view, Outcome::Left, Some(why))?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Returns whether a mount of the host receives mounts made on the mount of `file`.
    fn reaches_host(
        &self,
        text: &[u8],
        file: &OwnedFd,
        host: &mut Option<Vec<u8>>,
    ) -> Result<bool> {
        let seen = walk::look(file).context("cannot look at a file of it")?;
        let id = u32::try_from(seen.mount).unwrap_or_default();
        let Some(group) = propagation::of(text, id).shared else {
            return Ok(false);
        };
        let host = match host {
            Some(host) => host,
            None => host.insert(self.entry.mountinfo()?),
        };
        Ok(propagation::reaches(host, group))
    }

    fn copy(&self, view: &str, file: &OwnedFd, refusals: Refusals) -> Result<OwnedFd, String> {
        let copy = self.live.copy(Path::new(view), refusals);
        let copy = copy.map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => "the mount has no such file".to_owned(),
            errno => format!("cannot copy it from the mount: {errno}"),
        })?;
        let is_directory = |file| walk::look(file).map(|seen| seen.is_directory);
        match (is_directory(&copy), is_directory(file)) {
            (Ok(one), Ok(other)) if one == other => Ok(copy),
            (Err(errno), _) | (_, Err(errno)) => Err(errno.to_string()),
            _ => Err("one is a directory, and the other is a file".to_owned()),
        }
    }

    fn detach(&self, place: &Place<'_>, root: &OwnedFd, views: &[String]) -> Result<()> {
        // Several mounts may lie on one place; the upper ones hide the lower ones.
        let mut given_up: Vec<String> = Vec::new();
        for _ in 0..MOST_LAYERS {
            let text = self.table(place)?;
            let table = Table::parse(&text).context("its mountinfo")?;
            let mut is_done = true;
            for view in views {
                if given_up.contains(view) {
                    continue;
                }
                let target = format!("/{view}");
                let mut placed = table.candidates().filter(|mount| {
                    *mount.mount_point == *target.as_bytes() && shows(&self.live, mount, view)
                });
                let Some(mount) = placed.next() else {
                    continue;
                };
                let removed = walk::open_mount(root, &table, mount)
                    .map_err(|lost| lost.to_string())
                    .and_then(|file| self.remove(place, &file));
                let (outcome, why) = match removed {
                    Ok(()) if self.is_dry_run => (Outcome::Possible, None),
                    Ok(()) => (Outcome::Detached, None),
                    Err(why) => (Outcome::Left, Some(why)),
                };
                if outcome == Outcome::Detached {
                    is_done = false;
                } else {
                    given_up.push(view.clone());
                }
                place.row(view, outcome, why)?;
            }
            if is_done {
                break;
            }
        }
        Ok(())
    }

    fn remove(&self, place: &Place<'_>, file: &OwnedFd) -> Result<(), String> {
        if self.is_dry_run {
            return Ok(());
        }
        let removed = self.entry.within(place.namespace, || {
            Ok(cover::detach(&self.entry.proc, file))
        });
        match removed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(errno)) => Err(format!("cannot unmount it: {errno}")),
            Err(error) => Err(error.line()),
        }
    }
}

/// Returns whether a mount shows this view of the live mount.
fn shows(live: &Live, mount: &Mount<'_>, view: &str) -> bool {
    let below = table::path_below(mount);
    let shared = table::shared_path(below).unwrap_or(below);
    table::looks_like_ours(mount) && live.is_on(mount.device) && shared == Path::new(view)
}

/// The mount at the place of a view.
fn judge(live: &Live, table: &Table<'_>, view: &str, file: OwnedFd) -> Found {
    let seen = match walk::look(&file) {
        Ok(seen) => seen,
        Err(errno) => return Found::Left(errno.to_string()),
    };
    let mount = table.get(seen.mount);
    let Some(mount) = mount.filter(|mount| mount.device == seen.device) else {
        return Found::Left("it is being mounted or unmounted (run it again)".to_owned());
    };
    if shows(live, mount, view) {
        return Found::Present;
    }
    if table::looks_like_ours(mount) {
        return Found::Left(
            "a file of another vistafs is mounted there; a dead one is for vistafs repair"
                .to_owned(),
        );
    }
    if is_kernels_own(mount, view) {
        Found::Free(file, Refusals::parse(mount.options))
    } else {
        let kind = shown(mount.fs_type);
        Found::Left(format!(
            "a mount of type {kind} is there, not the kernel's file"
        ))
    }
}

/// Returns whether a mount shows the kernel's own file at the path of a view, and no other file of its file
/// system.
fn is_kernels_own(mount: &Mount<'_>, view: &str) -> bool {
    let Some((top, below)) = view.split_once('/') else {
        return false;
    };
    let fs_type: &[u8] = if top == "proc" { b"proc" } else { b"sysfs" };
    let at = path(&mount.mount_point);
    let target = Path::new("/").join(view);
    mount.fs_type == fs_type
        && target
            .strip_prefix(at)
            .is_ok_and(|rest| path(&mount.root).join(rest) == Path::new("/").join(below))
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

impl Place<'_> {
    fn row(&self, view: &str, outcome: Outcome, why: Option<String>) -> Result<()> {
        row(self.pid, self.inode, Some(format!("/{view}")), outcome, why)
    }

    fn left(&self, why: &str) -> Result<()> {
        row(
            self.pid,
            self.inode,
            None,
            Outcome::Left,
            Some(why.to_owned()),
        )
    }
}

fn row(
    pid: u32,
    namespace: u64,
    path: Option<String>,
    outcome: Outcome,
    why: Option<String>,
) -> Result<()> {
    tell(&Event::Row(Row {
        // The parent adds the name.
        container: String::new(),
        pid,
        namespace,
        path,
        outcome,
        why,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(line: &str, view: &str) -> bool {
        let table = Table::parse(line.as_bytes()).unwrap();
        is_kernels_own(table.get(3).unwrap(), view)
    }

    #[test]
    fn only_the_file_of_that_path_is_the_kernels_own() {
        let proc = "3 2 0:3 / /proc rw - proc proc rw\n";
        assert!(is_own(proc, "proc/meminfo") && !is_own(proc, "sys/devices/system/cpu"));
        let sys = "3 2 0:4 / /sys ro - sysfs sysfs rw\n";
        assert!(is_own(sys, "sys/devices/system/cpu") && !is_own(sys, "proc/meminfo"));
        let same = "3 2 0:3 /meminfo /proc/meminfo rw - proc proc rw\n";
        assert!(is_own(same, "proc/meminfo"));
        for other in [
            "3 2 0:3 /cpuinfo /proc/meminfo rw - proc proc rw\n",
            "3 2 0:3 /1 /proc rw - proc proc rw\n",
            "3 2 0:5 /null /proc/meminfo rw - devtmpfs dev rw\n",
            "3 2 0:6 / /proc rw - tmpfs tmpfs rw\n",
            "3 2 0:7 / /proc/meminfo rw - fuse.lxcfs lxcfs rw\n",
        ] {
            assert!(!is_own(other, "proc/meminfo"), "{other}");
        }
    }
}
