//! The container's cgroups, one in each hierarchy: `/vistafs/NAME`.
//!
//! Directly below the root, not below our own cgroup: on v2 a cgroup with processes in it, such
//! as ours, cannot hand controllers to children.
//!
//! A name is taken by the lock (flock(2)) on its directory in one hierarchy, which the kernel
//! releases however `run` ends. A directory that is not locked and holds no process is left over
//! from a `run` that was killed, and is removed by the next one. What makes or removes
//! directories outside a taken name does so under a lock on a file in the hierarchy's root.
//!
//! Promises: what was made is removed when it is dropped, with the processes and cgroups that are
//! in it by then. Controllers that had to be enabled at the root of v2 stay enabled, as others may
//! have come to rely on them.

mod controllers;
mod limits;
mod tree;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use vistafs_cgroup::{Hierarchies, Hierarchy, Version};

use super::args::Limits;

/// The parent of all containers' cgroups in each hierarchy.
const PARENT: &str = "vistafs";

/// How long processes that are killed may take to go; the kernel may be writing their core files.
const LONGEST_KILL: Duration = Duration::from_secs(5);

/// The cgroups of one container.
pub(super) struct Cgroups {
    name: String,
    places: Vec<Place>,
    // Present from the moment that the name is ours: what others made is not ours to remove.
    taken: Option<File>,
}

/// Where the container is in one hierarchy.
struct Place {
    version: Version,
    /// `memory`, or `cpu,cpuacct`, or `unified`.
    hierarchy: String,
    root: PathBuf,
    parent: PathBuf,
    own: PathBuf,
}

impl Place {
    fn has(&self, controller: &str) -> bool {
        self.hierarchy.split(',').any(|one| one == controller)
    }
}

impl Cgroups {
    /// Makes them, with their limits.
    pub(super) fn create(hierarchies: &Hierarchies, name: &str, limits: &Limits) -> Result<Self> {
        let mut places = places(hierarchies, name);
        // The first holds the locks: every `run` has to come to the same one.
        places.sort_by(|a, b| a.hierarchy.cmp(&b.hierarchy));
        let mut cgroups = Self {
            name: name.to_owned(),
            places,
            taken: None,
        };
        cgroups.make(&limits.controllers())?;
        limits::apply(limits, &cgroups.places)?;
        Ok(cgroups)
    }

    fn make(&mut self, needed: &[&str]) -> Result<()> {
        let Some(first) = self.places.first() else {
            bail!("no cgroup hierarchy is mounted");
        };
        let _roots = lock_roots(first)?;
        self.remove_left_over();
        for place in &self.places {
            make_directory(&place.parent)?;
            controllers::prepare_parent(place, needed)?;
        }
        let taken = self.take_name()?;
        self.taken = Some(taken);
        for place in &self.places {
            make_directory(&place.own)?;
            controllers::prepare_own(place)?;
        }
        Ok(())
    }

    /// Makes the directory that the name is locked by.
    fn take_name(&self) -> Result<File> {
        let in_use = |place: &Place| {
            let own = place.own.display();
            format!(
                "the name {} is in use: see {own}/cgroup.procs, or choose another with --name",
                self.name
            )
        };
        self.await_killed_namesake();
        // What was left over has been removed, so that what is there is in use.
        if let Some(place) = self.places.iter().find(|place| place.own.exists()) {
            bail!(in_use(place));
        }
        let first = &self.places[0];
        make_directory(&first.own)?;
        lock(&first.own, FlockOperation::NonBlockingLockExclusive)
    }

    /// A run of this name that was killed this instant takes its processes with it in a moment.
    fn await_killed_namesake(&self) {
        let claim = &self.places[0].own;
        let is_left = || self.places.iter().any(|place| place.own.exists());
        // The claim may have gone before the others, which had their processes yet. Who makes one holds
        // the lock of the roots, as we do.
        let is_free =
            || !claim.exists() || lock(claim, FlockOperation::NonBlockingLockExclusive).is_ok();
        let end = Instant::now() + LONGEST_KILL;
        while Instant::now() < end && is_left() && is_free() {
            self.remove_name(Path::new(&self.name));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Removes what killed runs have left, as far as it is empty.
    fn remove_left_over(&self) {
        let first = &self.places[0];
        for place in &self.places {
            for name in tree::children(&place.parent) {
                let claim = first.parent.join(&name);
                match lock(&claim, FlockOperation::NonBlockingLockExclusive) {
                    // Whatever is not empty is in use by somebody, and stays.
                    Ok(_unused) => self.remove_name(Path::new(&name)),
                    Err(_) if !claim.exists() => self.remove_name(Path::new(&name)),
                    Err(_) => {}
                }
            }
        }
    }

    fn remove_name(&self, name: &Path) {
        // The one with the lock last, so that a name is not free before it is gone.
        for place in self.places.iter().rev() {
            let left_over = place.parent.join(name);
            if tree::remove(&left_over) == Err(Errno::BUSY) {
                // Killed with its init, but frozen: it goes now, and the directory next time.
                tree::thaw(&left_over);
            }
        }
    }

    fn remove(&self) {
        let end = Instant::now() + LONGEST_KILL;
        for place in self.places.iter().rev() {
            loop {
                match tree::remove(&place.own) {
                    Ok(()) => break,
                    Err(errno) if errno == Errno::BUSY && Instant::now() < end => {
                        tree::kill_all(&place.own);
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    Err(errno) => {
                        eprintln!(
                            "vistafs run: cannot remove the cgroup {}: {errno}; \
                             once its processes have ended the next `vistafs run` removes it",
                            place.own.display()
                        );
                        break;
                    }
                }
            }
        }
    }

    /// Removes the parents, if no other container is in them.
    fn remove_parents(&self) {
        let first = &self.places[0];
        if let Ok(_roots) = lock_roots(first) {
            for place in &self.places {
                let _ = fs::remove_dir(&place.parent);
            }
        }
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        if self.taken.is_some() {
            self.remove();
        }
        if !self.places.is_empty() {
            self.remove_parents();
        }
    }
}

/// Moves this process into the cgroups of a container that is being made.
pub(super) fn join(hierarchies: &Hierarchies, name: &str) -> Result<()> {
    for place in places(hierarchies, name) {
        let procs = place.own.join("cgroup.procs");
        // Zero is the writer, whatever its number is there.
        fs::write(&procs, "0").with_context(|| format!("joining {}", procs.display()))?;
    }
    Ok(())
}

/// Thaws all of the container that this process is the init of, in its own view of the cgroups.
///
/// Without it the kernel would wait for ever, at the end of the init, for what the command froze.
pub(super) fn thaw(hierarchies: &Hierarchies) {
    for hierarchy in hierarchies.all() {
        tree::thaw(hierarchy.root().path());
    }
}

fn places(hierarchies: &Hierarchies, name: &str) -> Vec<Place> {
    let place = |hierarchy: &Arc<Hierarchy>| {
        let root = hierarchy.root().path().to_owned();
        let parent = root.join(PARENT);
        Place {
            version: hierarchy.version(),
            hierarchy: hierarchy.name().to_owned(),
            own: parent.join(name),
            root,
            parent,
        }
    };
    hierarchies.all().iter().map(place).collect()
}

fn make_directory(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            let path = path.display();
            Err(error).with_context(|| {
                format!("making the cgroup {path}: `vistafs run` needs cgroup mounts that it may write to")
            })
        }
        _ => Ok(()),
    }
}

/// A file in the root, not the directory: that is the name's lock of another `run` if we are in
/// its container.
fn lock_roots(first: &Place) -> Result<File> {
    let file = first.root.join("cgroup.procs");
    lock(&file, FlockOperation::LockExclusive)
}

/// The lock lasts as long as the file.
fn lock(path: &Path, how: FlockOperation) -> Result<File> {
    let locking = || format!("locking {}", path.display());
    let file = File::open(path).with_context(locking)?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&file, how)).with_context(locking)?;
    Ok(file)
}
